// Messages on data channels over a fake peer connection, and by signalling where there is no channel.

import assert from 'node:assert/strict';
import { beforeEach, test } from 'node:test';
import { readFrame, writeFrame } from '../sdk/data-channels.js';
import { Room } from '../sdk/room.js';
import { answer, ben, fakeEnvironment, joinedMessage, settle } from './fakes.js';

const BEN = 'p-aaaaaaaaaaaab';

let fake;
let room;
let heard;

async function join(options = {}) {
  room = new Room({ url: 'ws://test/ws', environment: fake.environment, ...options });
  heard = [];
  room.on('data', ({ detail }) => heard.push([detail.participant?.name, detail.topic, detail.payload]));
  room.join({ name: 'Anna', room: 'standup' });
  await settle();
  await fake.socket().open();
  await fake.socket().reply('join', 'joined', joinedMessage({ participants: [{ ...ben(), participantId: BEN }] }));
  await answer(fake);
}

const channels = () => fake.connection().channels;

beforeEach(() => {
  fake = fakeEnvironment();
});

test('two channels are opened, of which one may lose messages', async () => {
  await join();
  assert.deepEqual(
    channels().map(({ label, init }) => [label, init]),
    [
      ['reliable', { protocol: 'strait' }],
      ['lossy', { protocol: 'strait', ordered: false, maxRetransmits: 0 }],
    ],
  );
});

test('messages go by signalling until a channel is open, and then by that', async () => {
  await join();
  const early = room.sendData('chat', new Uint8Array([1, 2]), [BEN], { lossy: true });
  assert.deepEqual(fake.socket().last('data').data, { topic: 'chat', bytes: 'AQI=', to: [BEN], lossy: true });
  await fake.socket().reply('data', 'ok');
  await early;
  for (const channel of channels()) await channel.open();
  await room.sendData('chat', { text: 'hi' });
  await room.sendData('points', new Uint8Array([1, 2]), [BEN], { lossy: true });
  const [reliable, lossy] = channels().map(({ sent }) => sent.map((frame) => new TextDecoder().decode(frame)));
  assert.deepEqual(reliable, ['\0\0\x04chat{"text":"hi"}']);
  assert.deepEqual(lossy, [`\x01\x01${BEN}\x06points\x01\x02`]);
  assert.equal(fake.socket().count('data'), 1);
});

test('what comes on a channel or by signalling is the same to listeners', async () => {
  await join();
  await channels()[0].receive(writeFrame('chat', { text: 'hi' }, [BEN]));
  await channels()[1].receive(writeFrame('points', new Uint8Array([7]), [BEN]));
  await channels()[1].receive(new Uint8Array([9, 1, 0]));
  await fake.socket().news('data', { from: BEN, topic: 'file', bytes: 'AQI=' });
  assert.deepEqual(heard, [
    ['Ben', 'chat', { text: 'hi' }],
    ['Ben', 'points', new Uint8Array([7])],
    ['Ben', 'file', new Uint8Array([1, 2])],
  ]);
});

test('a full channel is waited for, and what may be lost is left out instead', async () => {
  await join();
  const [reliable, lossy] = channels();
  for (const channel of [reliable, lossy]) {
    await channel.open();
    channel.bufferedAmount = 2 ** 21;
  }
  await room.sendData('points', 1, [BEN], { lossy: true });
  const sending = room.sendData('chat', 1);
  await settle();
  assert.deepEqual([reliable.sent.length, lossy.sent.length], [0, 0]);
  await reliable.drain();
  await sending;
  assert.deepEqual([reliable.sent.length, lossy.sent.length], [1, 0]);
});

test('too large a message is refused before it is sent', async () => {
  await join();
  await channels()[0].open();
  await assert.rejects(room.sendData('file', new Uint8Array(262_144)), { code: 'payload-too-large' });
  assert.equal(channels()[0].sent.length, 0);
});

test('a channel that the server closed is opened again, and until then messages go by signalling', async () => {
  await join();
  await channels()[0].open();
  await channels()[0].close();
  const sending = room.sendData('chat', 1);
  await fake.socket().reply('data', 'ok');
  await sending;
  await fake.clock.advance(1000);
  assert.deepEqual(
    channels().map(({ label }) => label),
    ['reliable', 'lossy', 'reliable'],
  );
  await channels()[2].open();
  await room.sendData('chat', 2);
  assert.equal(channels()[2].sent.length, 1);
});

test('an application can do without channels', async () => {
  await join({ dataChannels: false });
  assert.deepEqual(channels(), []);
});

test('what is no frame is nothing', () => {
  for (const bytes of [[], [0], [0, 1], [0, 0, 4, 97], [2, 1, ...new Array(15).fill(97), 1, 97, 49]])
    assert.equal(readFrame(new Uint8Array(bytes)), null);
});
