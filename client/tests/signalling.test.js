// One WebSocket: requests and replies, news, keep-alive, and how it ends.

import assert from 'node:assert/strict';
import { beforeEach, test } from 'node:test';
import { Signalling } from '../sdk/signalling.js';
import { fakeEnvironment } from './fakes.js';

let fake;
let news;
let closed;
let signalling;

beforeEach(async () => {
  fake = fakeEnvironment();
  news = [];
  closed = [];
  signalling = new Signalling('ws://test/ws', fake.environment, {
    onNews: (type, data) => news.push([type, data]),
    onClosed: (info) => closed.push(info),
  });
  await fake.socket().open();
});

test('every request has an id of its own and gets its own reply', async () => {
  const first = signalling.request('mute', { trackId: 't-1', muted: true });
  const second = signalling.request('subscribe', { trackId: 't-2' });
  const [a, b] = fake.socket().sent;
  assert.deepEqual({ type: a.type, data: a.data }, { type: 'mute', data: { trackId: 't-1', muted: true } });
  assert.notEqual(a.id, b.id);
  const refused = assert.rejects(first, { code: 'unknown-track', message: 'No such track.', action: 'Look again.' });
  await fake.socket().reply('subscribe', 'ok');
  await fake.socket().reply('mute', 'error', {
    code: 'unknown-track',
    message: 'No such track.',
    action: 'Look again.',
    fatal: false,
  });
  assert.equal((await second).type, 'ok');
  await refused;
});

test('what answers nothing is news, what is not JSON is nothing', async () => {
  await fake.socket().news('participant-left', { participantId: 'p-1', reason: 'left' });
  fake.socket().onmessage({ data: '{broken' });
  fake.socket().onmessage({ data: new ArrayBuffer(4) });
  assert.deepEqual(news, [['participant-left', { participantId: 'p-1', reason: 'left' }]]);
});

test('a broken socket fails what is waiting', async () => {
  const lost = assert.rejects(signalling.request('ping'), { code: 'connection-lost' });
  await fake.socket().break();
  await lost;
  await assert.rejects(signalling.request('ping'), { code: 'connection-lost' });
  assert.deepEqual(closed, [{ code: 1006, opened: true }]);
});

test('a socket that opens and says nothing for ten seconds is given up', async () => {
  await fake.clock.advance(10_000);
  assert.deepEqual(closed, [{ code: 1006, opened: true }]);
});

test('pings every ten seconds and stays open while anything answers', async () => {
  await fake.socket().news('slot-map');
  for (let i = 0; i < 6; i++) {
    await fake.clock.advance(10_000);
    await fake.socket().reply('ping', 'pong');
  }
  assert.equal(fake.socket().count('ping'), 6);
  assert.deepEqual(closed, []);
});

test('twenty seconds of silence mean a dead socket, closed in a way that is no leave', async () => {
  await fake.socket().news('slot-map');
  await fake.clock.advance(15_000);
  assert.deepEqual(closed, []);
  await fake.clock.advance(10_000);
  assert.equal(closed.length, 1);
  assert.equal(fake.socket().closed.code, 4000);
});

test('a socket that does not open in ten seconds is given up', async () => {
  const slow = new Signalling('ws://test/ws', fake.environment, {
    onNews: () => {},
    onClosed: (info) => closed.push(info),
  });
  await fake.clock.advance(10_000);
  await assert.rejects(slow.opened, { code: 'connection-lost' });
  assert.deepEqual(closed.at(-1), { code: 1006, opened: false });
});

test('closing on purpose counts as leaving and tells nobody here', async () => {
  signalling.close();
  assert.equal(fake.socket().closed.code, 1000);
  await fake.clock.advance(60_000);
  assert.deepEqual(closed, []);
});
