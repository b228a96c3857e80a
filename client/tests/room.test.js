// The whole of a room over a fake socket and a fake peer connection: join, publish, resume, rejoin, ICE recovery.

import assert from 'node:assert/strict';
import { beforeEach, test } from 'node:test';
import { Room } from '../sdk/room.js';
import { FakeMediaStreamTrack, ben, benCamera, fakeEnvironment, joinedMessage, settle } from './fakes.js';

let fake;
let room;
let states;
let errors;

beforeEach(() => {
  fake = fakeEnvironment();
  room = new Room({ url: 'ws://test/ws', environment: fake.environment });
  states = [];
  errors = [];
  room.on('state', ({ detail }) => states.push(detail.state));
  room.on('error', ({ detail }) => errors.push(detail.error.code));
});

/** The list of publications that answers the newest offer. */
function published(socket = fake.socket()) {
  return socket.last('offer').data.publications.map(({ mid, source, muted }) => ({
    mid,
    trackId: `t-${source}-${mid}`,
    source,
    kind: source === 'microphone' || source === 'screen-audio' ? 'audio' : 'video',
    muted,
  }));
}

async function answer() {
  await fake.socket().reply('offer', 'answer', { sdp: 'v=0', publications: published() });
  await fake.connection().gather();
}

async function join(changes = {}) {
  const joining = room.join({ name: 'Anna', room: 'standup' });
  joining.catch(() => {});
  await fake.socket().open();
  await fake.socket().reply('join', 'joined', joinedMessage(changes));
  await answer();
  await joining;
  await fake.connection().ice('connected');
}

async function resume(changes = {}) {
  await fake.clock.advance(0);
  await fake.socket().open();
  await fake.socket().reply('resume', 'resumed', {
    ...joinedMessage(changes),
    publications: [],
    slotMap: { revision: 1, slots: [], waiting: [] },
    subscriptions: [],
    unsubscribed: [],
    ...changes,
  });
}

const media = (kind) => new FakeMediaStreamTrack(kind);

test('joins: slots first with an audio slot ahead, then publications', async () => {
  const microphone = await room.publish(media('audio'), { source: 'microphone' });
  await room.publish(media('video'), { source: 'camera', muted: true });
  await join({ participants: [ben([benCamera()])] });
  assert.deepEqual(states, ['connecting', 'connected']);
  const sections = fake.connection().transceivers.map(({ kind, direction }) => `${kind} ${direction}`);
  assert.deepEqual(sections, [
    'audio recvonly',
    'audio recvonly',
    'video recvonly',
    'video recvonly',
    'audio sendonly',
    'video sendonly',
  ]);
  const offer = fake.socket().last('offer').data;
  assert.deepEqual(offer.publications, [
    { mid: '4', source: 'microphone', muted: false },
    { mid: '5', source: 'camera', muted: true },
  ]);
  assert.equal(microphone.trackId, 't-microphone-4');
  assert.equal(fake.connection().transceivers[5].sender.track, null);
  assert.deepEqual([...room.participants.keys()], ['p-ben']);
  assert.equal(fake.connection().configuration.bundlePolicy, 'max-bundle');
});

test('a refused join says why and leaves nothing behind', async () => {
  const joining = assert.rejects(room.join({ name: 'Anna', room: 'standup' }), {
    code: 'room-full',
    action: 'Wait.',
  });
  await fake.socket().open();
  await fake.socket().reply('join', 'error', { code: 'room-full', message: 'Full.', action: 'Wait.', fatal: false });
  await joining;
  assert.deepEqual(states, ['connecting', 'disconnected']);
  assert.ok(fake.socket().closed);
});

/** Publishes a camera, which the server's answer leaves out. */
async function publishInVain() {
  await join();
  const publishing = room.publish(media('video'), { source: 'camera' });
  publishing.catch(() => {});
  await settle();
  const taken = published().filter(({ source }) => source !== 'camera');
  await fake.socket().reply('offer', 'answer', { sdp: 'v=0', publications: taken });
  await settle();
  // In a list, because a promise would be waited for.
  return [publishing];
}

test('a track that the server cannot take is refused with the reason that the server gives', async () => {
  const [publishing] = await publishInVain();
  const refused = assert.rejects(publishing, {
    code: 'cannot-publish',
    message: 'The server did not accept camera: none of its codecs is served.',
  });
  await fake.socket().news('cannot-publish', { mid: '4', reason: 'none of its codecs is served' });
  await refused;
  assert.equal(room.localParticipant.tracks.size, 0);
  assert.equal(room.state, 'connected', 'the call goes on');
  assert.deepEqual(errors, []);
});

test('nobody waits for ever for a reason that was lost on the way', async () => {
  const [publishing] = await publishInVain();
  const refused = assert.rejects(publishing, { code: 'cannot-publish', message: /camera: no reason was given/ });
  await fake.clock.advance(1000);
  await refused;
});

test('an offer that came too soon after others is sent again', async () => {
  const joining = room.join({ name: 'Anna', room: 'standup' });
  await fake.socket().open();
  await fake.socket().reply('join', 'joined', joinedMessage());
  await fake.clock.advance(500);
  const refusal = { code: 'rate-limited', message: 'Too many.', action: 'Wait.', fatal: false };
  await fake.socket().reply('offer', 'error', refusal);
  const first = fake.socket().last('offer');
  await fake.clock.advance(999);
  assert.equal(fake.socket().last('offer'), first);
  await fake.clock.advance(1);
  assert.notEqual(fake.socket().last('offer').id, first.id);
  assert.equal(fake.socket().last('offer').data.sdp, first.data.sdp);
  await answer();
  await joining;
  assert.equal(room.state, 'connected');
});

test('an unreachable server is an error at once', async () => {
  const joining = assert.rejects(room.join({ name: 'Anna' }), { code: 'unreachable' });
  await fake.socket().break();
  await joining;
  assert.equal(room.state, 'disconnected');
});

test('the answer waits for gathering, but no longer than half a second', async () => {
  const joining = room.join({ name: 'Anna' });
  await fake.socket().open();
  await fake.socket().reply('join', 'joined', joinedMessage());
  await fake.socket().reply('offer', 'answer', { sdp: 'v=0', publications: [] });
  await fake.clock.advance(499);
  assert.equal(fake.connection().signalingState, 'have-local-offer');
  await fake.clock.advance(1);
  assert.equal(fake.connection().signalingState, 'stable');
  await joining;
});

test('one offer at a time, and one offer for all that waited', async () => {
  await join();
  const publishing = [room.publish(media('audio'), { source: 'microphone' })];
  await settle();
  publishing.push(
    room.publish(media('video'), { source: 'camera' }),
    room.publish(media('video'), { source: 'screen' }),
  );
  await settle();
  assert.equal(fake.socket().count('offer'), 2);
  assert.equal(fake.socket().last('offer').data.publications.length, 1);
  await answer();
  await answer();
  await Promise.all(publishing);
  assert.equal(fake.socket().count('offer'), 3);
  assert.equal(fake.socket().last('offer').data.publications.length, 3);
});

test('a refused publication is rolled back and forgotten', async () => {
  await join();
  const refused = assert.rejects(room.publish(media('video'), { source: 'screen' }), { code: 'too-many-tracks' });
  await settle();
  await fake.socket().reply('offer', 'error', { code: 'too-many-tracks', message: 'Too many.', action: 'Stop one.' });
  await refused;
  assert.equal(fake.connection().rollbacks, 1);
  assert.equal(room.localParticipant.tracks.size, 0);
});

test('an unpublished section is used again', async () => {
  await join();
  const first = room.publish(media('video'), { source: 'screen' });
  await settle();
  await answer();
  const leaving = room.unpublish(await first);
  await settle();
  assert.deepEqual(fake.socket().last('offer').data.publications, []);
  assert.equal(fake.connection().transceivers[4].direction, 'inactive');
  await answer();
  await leaving;
  const again = room.publish(media('video'), { source: 'camera', maxBitrate: 1000 });
  await settle();
  assert.equal(fake.connection().transceivers.length, 5);
  assert.equal(fake.connection().transceivers[4].direction, 'sendonly');
  assert.deepEqual(fake.connection().transceivers[4].sender.encodings, [{ maxBitrate: 1000 }]);
  await answer();
  assert.equal((await again).trackId, 't-camera-4');
});

test('more slots are added up to the totals and offered', async () => {
  await join();
  await fake.socket().news('more-slots', { audio: 4, video: 3 });
  const kinds = fake
    .connection()
    .transceivers.slice(4)
    .map(({ kind }) => kind);
  assert.deepEqual(kinds, ['audio', 'audio', 'video']);
  assert.equal(fake.socket().count('offer'), 2);
  await answer();
  await fake.socket().news('more-slots', { audio: 4, video: 3 });
  assert.equal(fake.connection().transceivers.length, 7);
});

test('muting the camera tells the server, sends nothing and releases it; unmuting captures again', async () => {
  const second = media('video');
  const first = media('video');
  const camera = await room.publish(first, { source: 'camera', recapture: async () => second });
  await join();
  await camera.setMuted(true);
  assert.deepEqual(fake.socket().last('mute').data, { trackId: 't-camera-4', muted: true });
  assert.equal(camera.sender.track, null);
  assert.equal(first.readyState, 'ended');
  await camera.setMuted(false);
  assert.equal(fake.socket().last('mute').data.muted, false);
  assert.equal(camera.sender.track, second);
});

test('muting a microphone keeps it, and a track of the application is never stopped', async () => {
  const own = media('audio');
  const microphone = await room.publish(own, { source: 'microphone', recapture: async () => media('audio') });
  const canvas = media('video');
  const camera = await room.publish(canvas, { source: 'camera' });
  await join();
  await Promise.all([microphone.setMuted(true), camera.setMuted(true)]);
  assert.equal(own.readyState, 'live');
  assert.equal(canvas.readyState, 'live');
  assert.equal(microphone.sender.track, null);
  await camera.setMuted(false);
  assert.equal(camera.sender.track, canvas);
});

test('a mute while the offer was under way is told after the answer', async () => {
  await join();
  const publishing = room.publish(media('audio'), { source: 'microphone' });
  await settle();
  const [track] = room.localParticipant.tracks;
  await track.setMuted(true);
  assert.equal(fake.socket().count('mute'), 0);
  await answer();
  await publishing;
  assert.equal(fake.socket().last('mute').data.muted, true);
});

test('a broken socket is resumed with the secret; the peer connection stays', async () => {
  await join({ participants: [ben()] });
  await fake.socket().break();
  assert.equal(room.state, 'reconnecting');
  await resume({ participants: [] });
  assert.equal(room.state, 'connected');
  assert.deepEqual(fake.socket().last('resume').data, {
    version: 1,
    room: 'standup',
    participantId: 'p-me',
    secret: 'secret',
  });
  assert.equal(fake.connections.length, 1);
  assert.equal(room.participants.size, 0);
});

test('an offer whose answer was lost goes out again, the same', async () => {
  await join();
  const publishing = room.publish(media('video'), { source: 'camera' });
  await settle();
  const { data } = fake.socket().last('offer');
  await fake.socket().break();
  await resume();
  assert.deepEqual(fake.socket().last('offer').data, data);
  await answer();
  assert.equal((await publishing).trackId, 't-camera-4');
});

test('a mute during the outage is put right after the resume', async () => {
  const microphone = await room.publish(media('audio'), { source: 'microphone' });
  await join();
  await fake.socket().break();
  await microphone.setMuted(true);
  await resume({
    publications: [{ mid: '4', trackId: 't-microphone-4', source: 'microphone', kind: 'audio', muted: false }],
  });
  await settle();
  assert.equal(fake.socket().count('offer'), 0);
  assert.deepEqual(fake.socket().last('mute')?.data, { trackId: 't-microphone-4', muted: true });
});

test('too late to resume: a fresh join on the same socket publishes the same tracks', async () => {
  const canvas = media('video');
  await room.publish(canvas, { source: 'camera' });
  await join();
  await fake.socket().break();
  await fake.clock.advance(0);
  await fake.socket().open();
  await fake.socket().reply('resume', 'error', { code: 'unknown-participant', message: 'Gone.', action: 'Join.' });
  assert.equal(fake.socket().last('join').data.room, 'standup');
  await fake.socket().reply('join', 'joined', joinedMessage({ participantId: 'p-new' }));
  await answer();
  assert.equal(room.state, 'connected');
  assert.equal(room.localParticipant.participantId, 'p-new');
  assert.equal(fake.connections.length, 2);
  assert.ok(fake.connections[0].closed);
  assert.equal(fake.connection().transceivers[4].sender.track, canvas);
});

test('a restarting server is joined again, with back-off until it is there', async () => {
  await join();
  await fake.socket().news('closing', { reason: 'shutdown', message: 'Restarting.', rejoin: true });
  await fake.socket().break(1001);
  assert.equal(fake.sockets.length, 2);
  await fake.socket().break();
  assert.equal(fake.sockets.length, 2);
  await fake.clock.advance(500);
  assert.equal(fake.sockets.length, 3);
  await fake.socket().open();
  assert.equal(fake.socket().count('resume'), 0);
  assert.equal(fake.socket().count('join'), 1);
});

test('a server that ends every session before there is media is joined ever more seldom, and that is said', async () => {
  const joining = room.join({ name: 'Anna', room: 'standup' });
  joining.catch(() => {});
  const joins = () => fake.sockets.reduce((sum, socket) => sum + socket.count('join'), 0);
  const end = fake.clock.time + 60_000;
  while (fake.clock.time < end) {
    const socket = fake.socket();
    if (!socket.closed) {
      await socket.open();
      if (socket.count('resume'))
        await socket.reply('resume', 'error', { code: 'unknown-participant', message: 'Gone.', action: 'Join.' });
      if (socket.count('join')) {
        await socket.reply('join', 'joined', joinedMessage());
        await answer();
        await socket.break();
      }
    }
    await fake.clock.advance(250);
  }
  assert.ok(joins() >= 4 && joins() <= 8, `${joins()} joins in a minute`);
  assert.ok(errors.includes('media-blocked'), errors.join());
});

test('removed for good: disconnected, with the reason', async () => {
  await join();
  let detail;
  room.on('state', (event) => (detail = event.detail));
  await fake.socket().news('closing', { reason: 'removed', message: 'You were removed.', rejoin: false });
  assert.equal(detail.state, 'disconnected');
  assert.equal(detail.error.code, 'removed');
  await fake.clock.advance(60_000);
  assert.equal(fake.sockets.length, 1);
});

test('ICE disconnected restarts ICE; failed after that is a new participant', async () => {
  await join();
  await fake.connection().ice('disconnected');
  assert.deepEqual(fake.connection().offers.at(-1), { iceRestart: true });
  await answer();
  await fake.connection().ice('failed');
  const first = fake.sockets[0];
  assert.equal(first.count('leave'), 1);
  assert.equal(fake.sockets.length, 2);
  await fake.socket().open();
  assert.equal(fake.socket().count('join'), 1);
});

test('ICE that comes back after the restart stays; one that does not is given up after ten seconds', async () => {
  await join();
  await fake.connection().ice('disconnected');
  await fake.socket().reply('ping', 'pong');
  await answer();
  await fake.connection().ice('connected');
  await fake.clock.advance(9_000);
  await fake.connection().ice('disconnected');
  await fake.socket().reply('ping', 'pong');
  await answer();
  await fake.clock.advance(9_999);
  assert.equal(fake.sockets.length, 1);
  await fake.clock.advance(1);
  assert.equal(fake.sockets.length, 2);
});

test('on another network the dead socket shows soon, and the restart goes out on the next one', async () => {
  await join();
  await fake.networkBack();
  assert.deepEqual(fake.connection().offers.at(-1), { iceRestart: true });
  await fake.clock.advance(1_499);
  assert.equal(fake.sockets.length, 1);
  await fake.clock.advance(1);
  assert.equal(fake.sockets.length, 2);
  await resume();
  assert.equal(fake.socket().count('offer'), 1, 'the offer that nobody answered');
  assert.equal(fake.connections.length, 1);
});

test('a lost path makes the socket prove that it lives, and one that answers stays', async () => {
  await join();
  await fake.connection().ice('disconnected');
  assert.equal(fake.socket().count('ping'), 1);
  await fake.socket().reply('ping', 'pong');
  await fake.clock.advance(5_000);
  assert.equal(fake.sockets.length, 1);
});

const RELAY = [{ urls: ['turn:sfu.example:7443?transport=tcp'], username: 'u', credential: 'c' }];
const offeredRelay = () => fake.connection().configuration.iceServers;

/** Joins a server that has a relay, up to the answer to the first offer. */
async function joinWithRelay() {
  const joining = room.join({ name: 'Anna', room: 'standup' });
  await fake.socket().open();
  await fake.socket().reply('join', 'joined', joinedMessage({ iceServers: RELAY }));
  await answer();
  await joining;
}

test('the relay is left alone by whoever connects directly', async () => {
  await joinWithRelay();
  await fake.clock.advance(1_900);
  await fake.connection().ice('connected');
  await fake.clock.advance(60_000);
  assert.deepEqual(offeredRelay(), []);
  assert.equal(fake.connection().offers.length, 1);
});

test('no connection in two seconds: ICE is restarted with the relay', async () => {
  await joinWithRelay();
  await fake.connection().ice('checking');
  await fake.clock.advance(1_999);
  assert.deepEqual(offeredRelay(), []);
  await fake.clock.advance(1);
  assert.deepEqual(offeredRelay(), RELAY);
  assert.deepEqual(fake.connection().offers.at(-1), { iceRestart: true });
  await answer();
  await fake.connection().ice('connected');
  await fake.clock.advance(12_000);
  assert.equal(fake.sockets.length, 1);
});

test('where not even the relay helps, a new participant tries again after ten seconds more', async () => {
  await joinWithRelay();
  await fake.clock.advance(2_000);
  await answer();
  await fake.clock.advance(9_999);
  assert.equal(fake.sockets.length, 1);
  await fake.clock.advance(1);
  assert.equal(fake.sockets.length, 2);
});

test('a lost direct path is looked for directly once more, then by the relay; a lost relay, by the relay', async () => {
  await joinWithRelay();
  await fake.connection().ice('connected');
  await fake.connection().ice('disconnected');
  assert.deepEqual(offeredRelay(), []);
  await answer();
  await fake.connection().ice('failed');
  assert.deepEqual(offeredRelay(), RELAY);
  await answer();
  await fake.connection().ice('connected');
  const before = fake.connection().offers.length;
  await fake.connection().ice('failed');
  assert.equal(fake.connection().offers.length, before + 1);
  assert.deepEqual(offeredRelay(), RELAY);
  await answer();
  await fake.connection().ice('failed');
  assert.equal(fake.sockets.length, 2, 'nothing is left to try on this connection');
});

test('on another network the relay is left alone again until it is needed', async () => {
  await joinWithRelay();
  await fake.clock.advance(2_000);
  await answer();
  await fake.connection().ice('connected');
  assert.deepEqual(offeredRelay(), RELAY);
  await fake.networkBack();
  await fake.socket().reply('ping', 'pong');
  assert.deepEqual(offeredRelay(), []);
  await answer();
  await fake.clock.advance(2_000);
  assert.deepEqual(offeredRelay(), RELAY, 'it is needed here, too');
});

test('a server that only tells addresses is no relay to turn to', async () => {
  const joining = room.join({ name: 'Anna', room: 'standup' });
  await fake.socket().open();
  const iceServers = [{ urls: ['stun:stun.example:3478'] }];
  await fake.socket().reply('join', 'joined', joinedMessage({ iceServers }));
  await answer();
  await joining;
  await fake.clock.advance(5_000);
  assert.equal(fake.connection().offers.length, 1);
});

test('ICE that fails before its restart could be offered is not given up for that', async () => {
  await join();
  await fake.socket().break();
  await fake.connection().ice('disconnected');
  await fake.connection().ice('failed');
  await resume();
  assert.equal(fake.socket().count('offer'), 1);
  await answer();
  await fake.connection().ice('connected');
  assert.equal(fake.connections.length, 1);
});

test('a connection that is given up while the socket is away is replaced when it is back', async () => {
  await join();
  await fake.connection().ice('disconnected');
  await answer();
  await fake.socket().break();
  await fake.connection().ice('failed');
  await resume();
  await fake.clock.advance(0);
  await fake.socket().open();
  assert.equal(fake.socket().count('join'), 1);
});

test('ICE lost while the socket is away is restarted after the resume', async () => {
  await join();
  await fake.socket().break();
  await fake.connection().ice('disconnected');
  await resume();
  assert.deepEqual(fake.connection().offers.at(-1), { iceRestart: true });
  assert.equal(fake.socket().count('offer'), 1);
});

test('data reaches listeners with its sender', async () => {
  await join({ participants: [ben()] });
  const heard = [];
  room.on('data', ({ detail }) => heard.push([detail.participant.name, detail.topic, detail.payload]));
  await fake.socket().news('data', { from: 'p-ben', topic: 'chat', payload: { text: 'hi' } });
  assert.deepEqual(heard, [['Ben', 'chat', { text: 'hi' }]]);
  const sending = room.sendData('chat', 1, ['p-ben']);
  assert.deepEqual(fake.socket().last('data').data, { topic: 'chat', payload: 1, to: ['p-ben'] });
  await fake.socket().reply('data', 'ok');
  await sending;
});

test('who speaks is told, also of people who are not sent here, and can be pinned', async () => {
  await join({ participants: [{ ...ben(), tracks: [benCamera()] }] });
  const heard = [];
  room.on('speakers', ({ detail }) =>
    heard.push([
      detail.dominant?.name,
      ...detail.speakers.map(({ participant, level }) => [participant.name, level]),
    ]),
  );
  const participant = room.participants.get('p-ben');
  await fake.socket().news('speakers', {
    dominant: 'p-ben',
    speakers: [
      { participantId: 'p-ben', trackId: 't-mic', level: -31 },
      { participantId: 'p-gone', trackId: 't-x', level: -40 },
    ],
  });
  assert.deepEqual(heard, [['Ben', ['Ben', -31]]]);
  assert.ok(participant.dominant && participant.heardSpeaking);
  await fake.socket().news('speakers', { dominant: 'p-ben', speakers: [] });
  assert.ok(participant.dominant && !participant.heardSpeaking);
  const track = [...participant.tracks][0];
  const pinning = track.setPinned(true);
  assert.deepEqual(fake.socket().last('pin').data, { trackId: track.trackId, pinned: true });
  await fake.socket().reply('pin', 'ok');
  await pinning;
  assert.ok(track.pinned);
});

test('an unplugged microphone is muted and said; an ended screen is unpublished with its sound', async () => {
  const microphone = media('audio');
  const screen = media('video');
  await room.publish(microphone, { source: 'microphone' });
  await room.publish(screen, { source: 'screen' });
  await room.publish(media('audio'), { source: 'screen-audio' });
  await join();
  await microphone.end();
  assert.deepEqual(errors, ['device-lost']);
  assert.ok(room.localParticipant.track('microphone').muted);
  await screen.end();
  await answer();
  assert.equal(room.localParticipant.track('screen'), null);
  assert.equal(room.localParticipant.track('screen-audio'), null);
  assert.deepEqual(
    fake
      .socket()
      .last('offer')
      .data.publications.map(({ source }) => source),
    ['microphone'],
  );
});

test('leaving says so, stops what the SDK captured, and nothing comes back', async () => {
  const captured = media('audio');
  const canvas = media('video');
  await room.publish(captured, { source: 'microphone', recapture: async () => media('audio') });
  await room.publish(canvas, { source: 'camera' });
  await join({ participants: [ben()] });
  room.leave();
  assert.equal(fake.socket().count('leave'), 1);
  assert.equal(fake.socket().closed.code, 1000);
  assert.equal(room.state, 'disconnected');
  assert.ok(fake.connection().closed);
  assert.equal(captured.readyState, 'ended');
  assert.equal(canvas.readyState, 'live');
  assert.equal(room.participants.size, 0);
  await fake.clock.advance(60_000);
  assert.equal(fake.sockets.length, 1);
  await assert.rejects(room.publish(media('audio'), { source: 'microphone' }), { code: 'left' });
  await assert.rejects(room.join({ name: 'Anna' }), { code: 'wrong-state' });
});

test('the page going away is a leave', async () => {
  const listeners = new Map();
  const original = globalThis.addEventListener;
  globalThis.addEventListener = (type, listener) => listeners.set(type, listener);
  await join();
  globalThis.addEventListener = original;
  listeners.get('pagehide')();
  assert.equal(fake.socket().count('leave'), 1);
});

test('sound is sent at the rate that the server names, and at a lower one that the application wants', async () => {
  const publishing = room.publish(new FakeMediaStreamTrack('audio'), { source: 'microphone' });
  await join();
  const track = await publishing;
  const rates = () => track.sender.encodings.map(({ maxBitrate }) => maxBitrate);
  await fake.socket().news('bitrate', { mid: '4', trackId: track.trackId, maxBitrate: 64_000 });
  assert.deepEqual(rates(), [64_000]);
  await track.setEncoding({ maxBitrate: 24_000 });
  assert.deepEqual(rates(), [24_000]);
  await fake.socket().news('bitrate', { mid: '4', trackId: track.trackId, maxBitrate: 16_000 });
  assert.deepEqual(rates(), [16_000]);
  await fake.socket().news('bitrate', { mid: '9', trackId: 't-of-somebody', maxBitrate: 16_000 });
  assert.deepEqual(errors, []);
});

test('how good calls are is told as the server measures it', async () => {
  await join({ participants: [ben()] });
  const told = [];
  room.on('quality', ({ detail }) => told.push([detail.participant.name, detail.quality, detail.score, detail.mos]));
  const other = [...room.participants.values()][0];
  assert.equal(other.quality, 'good', 'until the server says otherwise');
  await fake.socket().news('quality', { participantId: other.participantId, quality: 'poor', score: 41, mos: 1.9 });
  assert.equal(other.quality, 'poor');
  const { participantId } = room.localParticipant;
  await fake.socket().news('quality', { participantId, quality: 'good', score: 93, mos: null });
  await fake.socket().news('quality', { participantId: 'p-nobody', quality: 'good', score: 93, mos: null });
  assert.deepEqual(told, [
    [other.name, 'poor', 41, 1.9],
    ['Anna', 'good', 93, null],
  ]);
});
