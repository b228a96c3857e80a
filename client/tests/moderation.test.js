// Who people are, what moderators do, and what each is told.

import assert from 'node:assert/strict';
import { beforeEach, test } from 'node:test';
import { Room } from '../sdk/room.js';
import { FakeMediaStreamTrack, answer, ben, benCamera, fakeEnvironment, joinedMessage, settle } from './fakes.js';

let fake;
let room;

beforeEach(() => {
  fake = fakeEnvironment();
  room = new Room({ url: 'ws://test/ws', environment: fake.environment });
});

async function join(changes = {}) {
  const joining = room.join({ name: 'Anna', room: 'standup' });
  await fake.socket().open();
  await settle();
  await fake.socket().reply('join', 'joined', joinedMessage(changes));
  await answer(fake);
  await joining;
  await fake.connection().ice('connected');
}

/** What happens, and with what, from now on. */
function told(...types) {
  const events = [];
  for (const type of types) room.on(type, ({ detail }) => events.push([type, detail]));
  return events;
}

test('who people are by their tokens is known of everybody, oneself included', async () => {
  await join({
    identity: 'anna@example.org',
    role: 'moderator',
    roomState: { metadata: 'a talk', locked: true, waitingRoom: false },
    participants: [{ ...ben(), identity: 'ben', metadata: '{}', attributes: { seat: '3' }, role: 'listener' }],
  });
  const { localParticipant, participants } = room;
  assert.deepEqual([localParticipant.identity, localParticipant.role], ['anna@example.org', 'moderator']);
  const person = participants.get('p-ben');
  assert.deepEqual([person.identity, person.metadata, person.attributes.seat], ['ben', '{}', '3']);
  assert.deepEqual(room.info, { metadata: 'a talk', locked: true, waitingRoom: false });
  await fake.socket().news('participant-updated', { participantId: 'p-ben', name: 'Ben B.', role: 'speaker' });
  assert.deepEqual([person.name, person.role, person.identity], ['Ben B.', 'speaker', '']);
});

test('one changes what others read of oneself', async () => {
  await join();
  const changing = room.updateProfile({ name: ' Anna B. ', attributes: { hand: 'up', seat: '' } });
  await settle();
  assert.deepEqual(fake.socket().last('update-profile').data, {
    name: ' Anna B. ',
    attributes: { hand: 'up', seat: '' },
  });
  await fake.socket().reply('update-profile', 'ok');
  await changing;
  assert.deepEqual([room.localParticipant.name, room.localParticipant.attributes], ['Anna B.', { hand: 'up' }]);
  await fake
    .socket()
    .news('participant-updated', { participantId: 'p-me', name: 'Anna of the team', role: 'speaker' });
  assert.equal(room.localParticipant.name, 'Anna of the team');
});

test('everything that a moderator can do goes to the server with what it is about', async () => {
  await join({ participants: [ben([benCamera()])] });
  const person = room.participants.get('p-ben');
  const all = [
    [room.stopTrack(person.track('camera')), 'stop-track', { trackId: 't-cam' }],
    [
      room.ban(person, { address: true, seconds: 60 }),
      'ban-participant',
      { participantId: 'p-ben', address: true, seconds: 60 },
    ],
    [room.liftBans(), 'lift-bans', {}],
    [
      room.setPermissions(person, { subscribe: false }),
      'set-permissions',
      { participantId: 'p-ben', subscribe: false },
    ],
    [room.setLocked(true), 'lock-room', { locked: true }],
    [room.setWaitingRoom(true), 'set-waiting-room', { enabled: true }],
    [room.admit({ participantId: 'p-cleo' }), 'admit', { participantId: 'p-cleo' }],
    [room.turnAway({ participantId: 'p-dan' }), 'turn-away', { participantId: 'p-dan' }],
    [
      room.report(person, 'abuse', 'He shouts.'),
      'report',
      { participantId: 'p-ben', reason: 'abuse', text: 'He shouts.' },
    ],
  ];
  await settle();
  for (const [done, type, data] of all) {
    assert.deepEqual(fake.socket().last(type).data, data);
    await fake.socket().reply(type, 'ok');
    await done;
  }
});

test('whoever may not do it reads why', async () => {
  await join();
  const locking = room.setLocked(true);
  locking.catch(() => {});
  await settle();
  const refusal = { code: 'not-permitted', message: 'you may not moderate', action: 'ask', fatal: false };
  await fake.socket().reply('lock-room', 'error', refusal);
  await assert.rejects(locking, { code: 'not-permitted' });
});

test('what one may not publish any more ends, and is not offered again', async () => {
  const events = told('permissions-changed', 'track-removed');
  await room.publish(new FakeMediaStreamTrack('audio'), { source: 'microphone' });
  await join();
  await fake.socket().news('permissions-changed', {
    permissions: { publish: [], subscribe: true, sendData: true, moderate: false },
    role: 'listener',
    ended: [{ trackId: 't-microphone', source: 'microphone' }],
    message: 'You may not publish this any more, and it has ended: microphone.',
  });
  await settle();
  assert.deepEqual(events.map(([type]) => type).sort(), ['permissions-changed', 'track-removed']);
  assert.deepEqual([room.permissions.publish, room.localParticipant.role], [[], 'listener']);
  assert.equal(room.localParticipant.track('microphone'), null);
  assert.deepEqual(fake.socket().last('offer').data.publications, []);
});

test('a moderator knows who waits, and no longer when they do not', async () => {
  const events = told('knocking', 'knocking-over', 'room-updated');
  await join();
  await fake.socket().news('knocking', { participantId: 'p-cleo', name: 'Cleo' });
  assert.deepEqual([...room.knocking.keys()], ['p-cleo']);
  await fake.socket().news('knocking-over', { participantId: 'p-cleo' });
  assert.equal(room.knocking.size, 0);
  await fake.socket().news('room-updated', { locked: true, waitingRoom: false });
  assert.deepEqual(
    events.map(([type]) => type),
    ['knocking', 'knocking-over', 'room-updated'],
  );
  assert.equal(room.info.locked, true);
});

test('whoever waits is told so, however long it takes, and is then let in', async () => {
  const events = told('waiting');
  const joining = room.join({ name: 'Cleo', room: 'standup' });
  await fake.socket().open();
  await settle();
  await fake.socket().news('waiting', { participantId: 'p-me', message: 'You wait.' });
  for (let minute = 0; minute < 9; minute++) {
    await fake.clock.advance(10_000);
    await fake.socket().reply('ping', 'pong');
    await fake.clock.advance(5_000);
  }
  assert.deepEqual([room.state, events], ['connecting', [['waiting', { message: 'You wait.' }]]]);
  await fake.socket().reply('join', 'joined', joinedMessage());
  await answer(fake);
  await joining;
  assert.equal(room.state, 'connected');
});

test('whoever is turned away, banned or before a locked door is told so for good', async () => {
  for (const code of ['turned-away', 'nobody-answered', 'banned', 'room-locked']) {
    fake = fakeEnvironment();
    room = new Room({ url: 'ws://test/ws', environment: fake.environment });
    const joining = room.join({ name: 'Cleo', room: 'standup' });
    joining.catch(() => {});
    await fake.socket().open();
    await settle();
    await fake.socket().reply('join', 'error', { code, message: code, action: 'ask', fatal: false });
    await assert.rejects(joining, { code });
    assert.equal(room.state, 'disconnected');
  }
});

test('whoever is banned or replaced by themselves does not come back by itself', async () => {
  for (const reason of ['banned', 'duplicate-identity']) {
    fake = fakeEnvironment();
    room = new Room({ url: 'ws://test/ws', environment: fake.environment });
    await join();
    const errors = [];
    room.on('state', ({ detail }) => detail.error && errors.push(detail.error.code));
    await fake.socket().news('closing', { reason, message: 'Words.', rejoin: false });
    assert.deepEqual([room.state, errors], ['disconnected', [reason]]);
  }
});
