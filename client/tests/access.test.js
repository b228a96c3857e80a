// Coming in by a token, and what one may do then.

import assert from 'node:assert/strict';
import { beforeEach, test } from 'node:test';
import { tokenOf } from '../app/room-link.js';
import { Room } from '../sdk/room.js';
import { FakeMediaStreamTrack, answer, ben, benCamera, fakeEnvironment, joinedMessage, settle } from './fakes.js';

let fake;
let room;

beforeEach(() => {
  fake = fakeEnvironment();
  room = new Room({ url: 'ws://test/ws', environment: fake.environment });
});

async function join(token, changes = {}) {
  const joining = room.join({ name: 'Anna', room: 'standup', ...(token !== undefined && { token }) });
  await fake.socket().open();
  await settle();
  await fake.socket().reply('join', 'joined', joinedMessage(changes));
  await answer(fake);
  await joining;
  await fake.connection().ice('connected');
}

/** The server is started again, so that there is nobody to resume. */
async function rejoin() {
  await fake.socket().news('closing', { reason: 'shutdown', message: 'The server is stopping.', rejoin: true });
  await fake.socket().break(1001);
  await fake.clock.advance(0);
  await fake.socket().open();
  await settle();
}

test('a token goes with the join, and no token is no field', async () => {
  await join('a.b.c');
  assert.equal(fake.socket().last('join').data.token, 'a.b.c');
  fake = fakeEnvironment();
  room = new Room({ url: 'ws://test/ws', environment: fake.environment });
  await join(undefined);
  assert.equal('token' in fake.socket().last('join').data, false);
});

test('who comes back after a restart does so by the token that the server made last', async () => {
  const renewed = [];
  room.on('token', ({ detail }) => renewed.push(detail.token));
  await join('a.b.c');
  await fake.socket().news('token', { token: 'd.e.f', expiresAt: 7 });
  await rejoin();
  assert.equal(fake.socket().last('join').data.token, 'd.e.f');
  assert.deepEqual(renewed, ['d.e.f']);
});

test('an application that makes tokens itself is asked for each', async () => {
  let made = 0;
  await join(async () => `token-${++made}`);
  await fake.socket().news('token', { token: 'd.e.f', expiresAt: 7 });
  await rejoin();
  assert.equal(fake.socket().last('join').data.token, 'token-2');
});

test('a join without a good token fails for good', async () => {
  const joining = room.join({ name: 'Anna', room: 'standup' });
  joining.catch(() => {});
  await fake.socket().open();
  await fake.socket().reply('join', 'error', {
    code: 'unauthorized',
    message: 'a token is needed to come in here',
    action: 'Join with a token.',
    fatal: false,
  });
  await assert.rejects(joining, { code: 'unauthorized' });
  assert.equal(room.state, 'disconnected');
});

test('what one may do is known, and a moderator does it', async () => {
  const permissions = { publish: ['microphone'], subscribe: true, sendData: true, moderate: true };
  await join('a.b.c', { permissions, participants: [ben([benCamera()])] });
  assert.deepEqual(room.permissions, permissions);
  const person = room.participants.get('p-ben');
  const moderations = [room.muteTrack(person.track('camera')), room.remove(person), room.endCall()];
  await settle();
  assert.deepEqual(fake.socket().last('mute-track').data, { trackId: 't-cam' });
  assert.deepEqual(fake.socket().last('remove-participant').data, { participantId: 'p-ben' });
  for (const type of ['mute-track', 'remove-participant', 'end-call']) await fake.socket().reply(type, 'ok', {});
  await Promise.all(moderations);
});

test('whom a moderator has muted is told so and sends nothing', async () => {
  const muted = [];
  room.on('muted-by-moderator', ({ detail }) => muted.push(detail.track.source));
  const track = await room.publish(new FakeMediaStreamTrack('audio'), { source: 'microphone' });
  await join('a.b.c');
  await fake.socket().news('track-muted', { trackId: 't-microphone', participantId: 'p-me', muted: true });
  await settle();
  assert.deepEqual(muted, ['microphone']);
  assert.equal(track.muted, true);
});

test('the token of a link stands in its fragment', () => {
  assert.equal(tokenOf(new URL('https://meet.example/#room=standup&token=a.b-_c')), 'a.b-_c');
  assert.equal(tokenOf(new URL('https://meet.example/?token=a#room=standup')), '');
});
