// The hooks for React: a component is shown the room as it is, also in React's strict mode, and leaves nothing behind.

import assert from 'node:assert/strict';
import { afterEach, beforeEach, test } from 'node:test';
import { Window } from 'happy-dom';
import { FakeMediaStreamTrack, answer, ben, benCamera, fakeEnvironment, joinedMessage, settle } from './fakes.js';

const dom = new Window();
const { document, navigator } = dom;
for (const [name, value] of Object.entries({ window: dom, document, navigator, IS_REACT_ACT_ENVIRONMENT: true }))
  Object.defineProperty(globalThis, name, { value, configurable: true });
globalThis.MediaStream = class {
  constructor(tracks) {
    this.tracks = tracks;
  }
};
const { StrictMode, act, createElement, memo } = await import('react');
const { createRoot } = await import('react-dom/client');
const { useParticipants, useRoom, useRoomEvent, useTrack } = await import('../react/index.js');

let fake;
let root;
let container;
/** What the component was shown last. */
let shown;

beforeEach(() => {
  fake = fakeEnvironment();
  container = document.createElement('div');
  root = createRoot(container);
});

afterEach(() => act(() => root.unmount()));

/** One person, who is shown again only if something of theirs has changed. */
const Tile = memo(({ participant }) => {
  const { muted, status, ref } = useTrack(participant, 'camera');
  const microphone = useTrack(participant, 'microphone');
  const text = `${participant.name} ${status} ${muted ? 'dark' : 'bright'} ${microphone.muted ? 'silent' : 'loud'}`;
  return createElement('p', {}, text, createElement('video', { ref }));
});

function Call(options) {
  const view = useRoom({
    name: 'Anna',
    room: 'standup',
    url: 'ws://test/ws',
    environment: fake.environment,
    ...options,
  });
  const participants = useParticipants(view.room);
  useRoomEvent(view.room, 'data', ({ payload }) => shown.messages.push(payload));
  shown = { ...view, participants, messages: shown?.messages ?? [] };
  return participants.map((participant) => createElement(Tile, { key: participant.participantId, participant }));
}

/** The component is there, and so is what it does a moment later. */
async function show(options) {
  await act(() => root.render(createElement(StrictMode, null, createElement(Call, options))));
  await happens(() => new Promise((resolve) => setTimeout(resolve)));
}

/** The room's own doing, and what React makes of it. */
const happens = (task) =>
  act(async () => {
    await task();
    await settle();
  });

async function join(changes = {}) {
  await happens(async () => {
    await fake.socket().open();
    await fake.socket().reply('join', 'joined', joinedMessage(changes));
    await answer(fake);
    await fake.connection().ice('connected');
  });
}

const texts = () => [...container.querySelectorAll('p')].map(({ textContent }) => textContent);

beforeEach(() => (shown = null));

test('a component joins one time, also in strict mode, and leaves when it goes', async () => {
  await show();
  assert.equal(fake.sockets.length, 1);
  assert.equal(shown.state, 'connecting');
  assert.deepEqual(shown.participants, []);
  await join();
  assert.equal(shown.state, 'connected');
  assert.equal(shown.roomId, 'standup');
  assert.equal(fake.socket().last('join').data.name, 'Anna');
  await happens(() => root.render(null));
  assert.equal(fake.socket().count('leave'), 1);
  assert.equal(fake.sockets.length, 1);
});

test('who comes, changes and goes is shown, oneself first', async () => {
  await show();
  await join({ participants: [ben()] });
  assert.deepEqual(texts(), ['Anna null dark silent', 'Ben null dark silent']);
  await happens(() => fake.socket().news('track-added', benCamera()));
  assert.deepEqual(texts(), ['Anna null dark silent', 'Ben pending bright silent']);
  await happens(() => fake.socket().news('track-muted', { ...benCamera(), muted: true }));
  assert.deepEqual(texts(), ['Anna null dark silent', 'Ben pending dark silent']);
  await happens(() => fake.socket().news('participant-left', { participantId: 'p-ben', reason: 'left' }));
  assert.deepEqual(texts(), ['Anna null dark silent']);
});

test('an element shows the track as long as both are there, and no longer', async () => {
  await show();
  await join({ participants: [ben([benCamera()])] });
  const video = container.querySelectorAll('video')[1];
  const [, person] = shown.participants;
  const camera = person.track('camera');
  assert.deepEqual([...camera.elements.keys()], [video]);
  await happens(() => fake.socket().news('track-removed', { trackId: 't-cam', participantId: 'p-ben' }));
  assert.equal(camera.elements.size, 0);
  await happens(() => fake.socket().news('track-added', benCamera({ trackId: 't-other' })));
  const other = person.track('camera');
  assert.notEqual(other, camera);
  assert.deepEqual([...other.elements.keys()], [video]);
  await happens(() => root.render(null));
  assert.equal(other.elements.size, 0);
});

test('what is published before the join goes out with it, and is muted on the screen when it is muted', async () => {
  const track = new FakeMediaStreamTrack('audio');
  await show({ prepare: (room) => room.publish(track, { source: 'microphone', recapture: async () => track }) });
  await join();
  assert.deepEqual(texts(), ['Anna null dark loud']);
  await happens(() => shown.room.setMicrophone(false));
  assert.deepEqual(texts(), ['Anna null dark silent']);
  await happens(() => root.render(null));
  assert.equal(track.readyState, 'ended', 'the device is released');
});

test('a device that was opened for a room that is not joined any more is released', async () => {
  const track = new FakeMediaStreamTrack('audio');
  await show({ prepare: (room) => room.publish(track, { source: 'microphone', recapture: async () => track }) });
  await happens(() => root.render(null));
  assert.equal(track.readyState, 'ended');
});

test('whoever is not let in is told why', async () => {
  await show();
  await happens(async () => {
    await fake.socket().open();
    await fake.socket().reply('join', 'error', { code: 'room-full', message: 'Full.', action: 'Try another one.' });
  });
  assert.equal(shown.state, 'disconnected');
  assert.equal(shown.error.code, 'room-full');
});

test('a connection that breaks is told by the state, and the people stay', async () => {
  await show();
  await join({ participants: [ben()] });
  await happens(() => fake.socket().break());
  assert.equal(shown.state, 'reconnecting');
  assert.equal(shown.error, null);
  assert.equal(shown.participants.length, 2);
});

test('a preparation that fails is told, and nothing is joined', async () => {
  await show({ prepare: () => Promise.reject(new Error('no microphone')) });
  assert.equal(shown.state, 'disconnected');
  assert.match(shown.error.message, /no microphone/);
  assert.equal(fake.sockets.length, 0);
});

test('the room is joined when it is wanted, left when it is not, and another one is another stay', async () => {
  await show({ connect: false });
  assert.equal(shown.room, null);
  assert.equal(fake.sockets.length, 0);
  await show({ connect: true });
  await join();
  const first = shown.room;
  await show({ connect: true, room: 'other' });
  assert.equal(fake.sockets[0].count('leave'), 1);
  assert.notEqual(shown.room, first);
  assert.equal(shown.state, 'connecting');
  await show({ connect: false, room: 'other' });
  assert.equal(shown.room, null);
  assert.equal(first.state, 'disconnected');
});

test('a new token, name or function is no reason to leave', async () => {
  await show({ token: 'a', prepare: () => {} });
  await join();
  const { room } = shown;
  await show({ token: 'b', name: 'Anne', prepare: () => {} });
  assert.equal(shown.room, room);
  assert.equal(fake.sockets.length, 1);
});

test('messages are heard', async () => {
  await show();
  await join({ participants: [ben()] });
  await happens(() => fake.socket().news('data', { from: 'p-ben', topic: 'chat', payload: 'hello' }));
  assert.deepEqual(shown.messages, ['hello']);
});

test('nobody listens to a room any more whose component has gone', async () => {
  await show();
  await join({ participants: [ben([benCamera()])] });
  const { room, participants } = shown;
  let listeners = 0;
  const all = [room, ...participants, ...participants.flatMap(({ tracks }) => [...tracks])];
  for (const target of all) {
    const remove = target.removeEventListener.bind(target);
    const add = target.addEventListener.bind(target);
    target.addEventListener = (...of) => (listeners++, add(...of));
    target.removeEventListener = (...of) => (listeners--, remove(...of));
  }
  // Mounted again on the same objects, and gone again.
  const Others = () => [createElement(People, { room, key: 1 })];
  const People = () =>
    useParticipants(room).map((participant) => createElement(Tile, { participant, key: participant.name }));
  const second = createRoot(document.createElement('div'));
  await act(() => second.render(createElement(StrictMode, null, createElement(Others))));
  assert.ok(listeners > 0);
  await act(() => second.unmount());
  assert.equal(listeners, 0);
});
