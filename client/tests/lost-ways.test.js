// What becomes of a call when a way that it needs, or that is only kept ready, is lost: while it moves, before and after.

import assert from 'node:assert/strict';
import { beforeEach, test } from 'node:test';
import { settle } from './fakes.js';
import { Hall } from './mesh-hall.js';

let hall;

beforeEach(() => {
  hall = new Hall();
});

const remote = (person, other, source = 'microphone') =>
  person.room.participants.get(other.id)?.track(source) ?? null;
const way = (track) => track.legs.find(({ isActive }) => isActive)?.path ?? null;
const sent = (pc) => pc.transceivers.map(({ sender }) => sender.track).filter((track) => track !== null);
/** The connection of somebody to the server ends beyond repair. */
const loses = async (person) => {
  const lost = hall.toServer(person);
  lost.connectionState = 'failed';
  lost.onconnectionstatechange();
  await settle();
  return lost;
};

async function two(options) {
  const anna = await hall.enters('Anna', options);
  const ben = await hall.enters('Ben', options);
  await hall.clock.advance(100);
  return [anna, ben];
}

test('whoever joins in the moment of a hard move is let in on the new way', async () => {
  hall.mode = 'sfu';
  hall.strategy = 'hard';
  const [anna, ben] = await two();
  await hall.moves('p2p');
  const cleo = await hall.enters('Cleo');
  await hall.clock.advance(1000);
  assert.equal(cleo.room.state, 'connected');
  assert.equal(hall.toServer(cleo), null);
  assert.equal(way(remote(cleo, anna)), 'p2p');
  assert.equal(way(remote(ben, cleo)), 'p2p');
});

test('a join that is not answered by the server before the call has left it is good all the same', async () => {
  hall.mode = 'sfu';
  const [anna] = await two();
  hall.answers = false;
  hall.strategy = 'hard';
  const entering = hall.enters('Cleo');
  await settle();
  await hall.moves('p2p');
  hall.answers = true;
  for (const answer of hall.unanswered) answer();
  await hall.clock.advance(1000);
  const cleo = await entering;
  assert.equal(cleo.room.state, 'connected');
  assert.equal(way(remote(cleo, anna)), 'p2p');
});

for (const [name, change] of [
  ['opportunistic', { strategy: 'opportunistic' }],
  ['warm', { warm: true }],
])
  test(`a way that is kept ready and lost is made again, and the call moves by it (${name})`, async () => {
    const [anna, ben] = await two();
    await hall.tell(change);
    await hall.clock.advance(100);
    const lost = await loses(anna);
    assert.ok(lost.closed);
    assert.equal(hall.toServer(anna), null);
    assert.equal(anna.room.mediaState, 'connected', 'the call goes straight, and on');
    await hall.clock.advance(5000);
    assert.ok(hall.toServer(anna), 'after a while it is tried again');
    assert.deepEqual(sent(hall.toServer(anna)), []);
    await hall.moves('sfu');
    await hall.clock.advance(1000);
    assert.deepEqual(hall.reports.sort(), ['Anna 1', 'Ben 1']);
    assert.equal(way(remote(anna, ben)), 'sfu');
    assert.equal(remote(anna, ben).mediaStreamTrack.readyState, 'live');
    assert.deepEqual(anna.log, ['track-added Ben microphone']);
  });

test('a way to the server that dies while the call moves there is not kept for the next move', async () => {
  const [anna, ben] = await two();
  await hall.tell({ warm: true });
  await hall.clock.advance(100);
  await hall.moves('sfu');
  const lost = await loses(anna);
  assert.deepEqual(hall.reports, ['Anna 1 client-failed']);
  assert.ok(lost.closed);
  await hall.tell({ movingTo: null, reason: 'client-failed' });
  await hall.clock.advance(100);
  assert.ok(hall.toServer(anna) && hall.toServer(anna) !== lost);
  await hall.moves('sfu');
  await hall.clock.advance(1000);
  assert.deepEqual(hall.reports.sort(), ['Anna 2', 'Ben 2']);
  assert.equal(way(remote(anna, ben)), 'sfu');
});

test('a way that was about to end is kept when a move is likely again', async () => {
  hall.mode = 'sfu';
  const [anna, ben] = await two();
  await hall.moves('p2p');
  await hall.clock.advance(1000);
  await hall.tell({ mode: 'p2p', movingTo: null });
  await hall.clock.advance(1000);
  const kept = hall.toServer(anna);
  await hall.tell({ warm: true });
  await hall.clock.advance(10_000);
  assert.equal(hall.toServer(anna), kept);
  assert.deepEqual(sent(kept), []);
  assert.equal(way(remote(anna, ben)), 'p2p');
});
