// A whole call moves from straight connections to the server and back: what is heard and seen stays the same track, whichever
// way it comes, and whatever happens meanwhile.

import assert from 'node:assert/strict';
import { beforeEach, test } from 'node:test';
import { FakeMediaStreamTrack, settle } from './fakes.js';
import { Hall } from './mesh-hall.js';
import { PairedPeerConnection } from './mesh-fakes.js';

let hall;

beforeEach(() => {
  hall = new Hall();
});

const remote = (person, other, source = 'microphone') =>
  person.room.participants.get(other.id)?.track(source) ?? null;
/** By which way a track is heard and seen. */
const way = (track) => track.legs.find(({ isActive }) => isActive)?.path ?? null;
const told = (person, type) => person.said.filter(([said]) => said === type).map(([, data]) => data);
const sent = (pc) => pc.transceivers.map(({ sender }) => sender.track).filter((track) => track !== null);

async function two(options) {
  const anna = await hall.enters('Anna', options);
  const ben = await hall.enters('Ben', options);
  await hall.clock.advance(100);
  return [anna, ben];
}

test('a small call goes straight: nothing is offered to the server, and tracks are like any others', async () => {
  const [anna, ben] = await two({ publish: ['microphone', 'camera'] });
  assert.equal(told(anna, 'join')[0].mesh, true);
  assert.deepEqual([...told(anna, 'offer'), ...told(ben, 'offer')], []);
  assert.deepEqual(ben.log, ['track-added Anna microphone', 'track-added Anna camera']);
  const track = remote(ben, anna);
  assert.equal(way(track), 'p2p');
  assert.equal(track.status, 'live');
  assert.equal(track.mediaStreamTrack, hall.straight(ben)[0].transceivers[0].receiver.track);
  assert.equal(anna.room.mediaState, 'connected');
  assert.deepEqual(anna.room.topology, {
    mode: 'p2p',
    movingTo: null,
    strategy: 'gradual',
    reason: '',
    failed: false,
  });

  await anna.tracks.microphone.setMuted(true);
  await settle();
  assert.equal(track.muted, true);
  await anna.room.unpublish(anna.tracks.camera);
  await settle();
  assert.equal(ben.log.at(-1), 'track-removed Anna camera');
});

test('alone in a room that goes straight one is connected', async () => {
  const anna = await hall.enters('Anna');
  assert.equal(anna.room.state, 'connected');
  assert.equal(anna.room.mediaState, 'connected');
  assert.equal(anna.connections.length, 0);
});

test('to the server: both ways for a while, one step when all is good, and the same tracks', async () => {
  const [anna, ben] = await two({ publish: ['microphone', 'camera'] });
  const cleo = await hall.enters('Cleo');
  await hall.clock.advance(100);
  const before = remote(ben, anna);
  const picture = remote(ben, anna, 'camera');
  ben.log.length = 0;
  await hall.moves('sfu');
  assert.equal(told(ben, 'offer').length, 1);
  await hall.clock.advance(300);
  assert.equal(way(before), 'p2p', 'not yet whole for long enough');
  assert.equal(way(picture), 'sfu', 'a picture goes over at its first frame');
  assert.deepEqual(ben.room.topology.movingTo, 'sfu');
  for (const track of [before, remote(ben, cleo)])
    for (const { path, receiver } of before.legs)
      assert.equal(receiver.jitterBufferTarget, 60, `${path} ${track.source}`);
  await hall.clock.advance(600);
  assert.equal(way(before), 'sfu');
  assert.deepEqual(hall.reports.sort(), ['Anna 1', 'Ben 1', 'Cleo 1']);
  assert.equal(ben.room.topology.mode, 'sfu');

  await hall.tell({ mode: 'sfu', movingTo: null });
  await hall.clock.advance(4900);
  assert.equal(hall.straight(ben).length, 2, 'the old way stays for five seconds');
  await hall.clock.advance(300);
  assert.equal(hall.straight(ben).length, 0);
  assert.equal(remote(ben, anna), before);
  assert.equal(before.trackId, 't-p-anna-microphone');
  assert.equal(before.receiver.jitterBufferTarget, null);
  assert.deepEqual(ben.log, [], 'no track was removed or added');
});

test('and back: the server’s connection ends three seconds later', async () => {
  hall.mode = 'sfu';
  const [anna, ben] = await two();
  const before = remote(ben, anna);
  assert.equal(way(before), 'sfu');
  ben.log.length = 0;
  await hall.moves('p2p');
  await hall.clock.advance(1000);
  assert.equal(way(before), 'p2p');
  assert.deepEqual(hall.reports.sort(), ['Anna 1', 'Ben 1']);
  await hall.tell({ mode: 'p2p', movingTo: null });
  await hall.clock.advance(2900);
  assert.ok(hall.toServer(ben));
  await hall.clock.advance(300);
  assert.equal(hall.toServer(ben), null);
  assert.equal(way(before), 'p2p');
  assert.equal(before.trackId, anna.tracks.microphone.meshId);
  assert.equal(ben.tracks.microphone.trackId, null);
  assert.deepEqual(ben.log, []);
});

test('sound that is not whole is not gone over to, and in time the move is given up', async () => {
  const [anna, ben] = await two();
  await hall.moves('sfu');
  let concealed = 0;
  const { inbound } = hall.toServer(ben);
  hall.toServer(ben).inbound = () => ({ ...inbound(), concealedSamples: (concealed += 1920) });
  await hall.clock.advance(4900);
  assert.equal(way(remote(ben, anna)), 'p2p');
  assert.deepEqual(hall.reports, ['Anna 1']);
  await hall.clock.advance(200);
  assert.deepEqual(hall.reports, ['Anna 1', 'Ben 1 timeout']);
  assert.equal(hall.toServer(ben), null, 'the new way is dropped');
  assert.equal(ben.room.topology.failed, true);

  await hall.tell({ mode: 'p2p', movingTo: null, reason: 'timeout' });
  await hall.clock.advance(1000);
  assert.equal(hall.toServer(anna), null);
  for (const [one, other] of [
    [anna, ben],
    [ben, anna],
  ])
    assert.equal(way(remote(one, other)), 'p2p');
  assert.equal(anna.room.mediaState, 'connected');
});

test('a little worse is good enough when half of the time is over, and no worse than before at once', async () => {
  const [anna, ben] = await two();
  await hall.moves('sfu');
  const worsen = (pc, share) => {
    const { inbound } = pc;
    pc.inbound = () => ({ ...inbound(), concealedSamples: share * inbound().totalSamplesReceived });
  };
  worsen(hall.toServer(ben), 0.05);
  for (const pc of [hall.toServer(anna), hall.straight(anna)[0]]) worsen(pc, 0.3);
  await hall.clock.advance(1000);
  assert.deepEqual(hall.reports, ['Anna 1']);
  await hall.clock.advance(1400);
  assert.equal(way(remote(ben, anna)), 'p2p');
  await hall.clock.advance(800);
  assert.equal(way(remote(ben, anna)), 'sfu');
  assert.deepEqual(hall.reports, ['Anna 1', 'Ben 1']);
});

test('what nobody notices is good enough when a fifth of the time is over, and then no pause is waited for', async () => {
  const [anna, ben] = await two();
  await hall.moves('sfu');
  const { inbound } = hall.toServer(ben);
  hall.toServer(ben).inbound = () => ({ ...inbound(), concealedSamples: 0.02 * inbound().totalSamplesReceived });
  await hall.clock.advance(950);
  assert.equal(way(remote(ben, anna)), 'p2p');
  await hall.clock.advance(550);
  assert.equal(way(remote(ben, anna)), 'sfu');
});

test('a server that does not answer the offer fails the move; one that says so twice is told twice', async () => {
  const [anna, ben] = await two();
  hall.connects = false;
  await hall.moves('sfu');
  await hall.clock.advance(5000);
  assert.deepEqual(hall.reports.sort(), ['Anna 1 timeout', 'Ben 1 timeout']);
  await hall.tell({ movingTo: null });

  hall.connects = true;
  await hall.moves('sfu');
  await hall.clock.advance(1000);
  assert.deepEqual(hall.reports.sort(), ['Anna 2', 'Ben 2']);
  await hall.tell({});
  assert.deepEqual(hall.reports.sort(), ['Anna 2', 'Anna 2', 'Ben 2', 'Ben 2']);
  assert.equal(way(remote(anna, ben)), 'sfu');
});

test('mute, a new track and another device in mid-move hold on both ways', async () => {
  const [anna, ben] = await two({ publish: ['microphone', 'camera'] });
  await hall.moves('sfu');
  const other = new FakeMediaStreamTrack('audio');
  const ways = () => [hall.toServer(anna), ...hall.straight(anna)];
  await Promise.all([
    anna.tracks.microphone.replace(other),
    anna.tracks.camera.setMuted(true),
    anna.room.publish(new FakeMediaStreamTrack('video'), { source: 'screen' }),
    hall.clock.advance(0),
  ]);
  await settle();
  const screen = anna.room.localParticipant.track('screen').mediaStreamTrack;
  for (const pc of ways()) assert.deepEqual(new Set(sent(pc)), new Set([other, screen]));
  await hall.clock.advance(1000);
  await hall.tell({ mode: 'sfu', movingTo: null });
  await hall.clock.advance(6000);
  assert.equal(remote(ben, anna, 'camera').muted, true);
  assert.ok(remote(ben, anna, 'screen'));
  await anna.tracks.camera.setMuted(false);
  assert.ok(sent(hall.toServer(anna)).includes(anna.tracks.camera.mediaStreamTrack));
});

test('what was unpublished in mid-move does not come back', async () => {
  const [anna, ben] = await two({ publish: ['microphone', 'camera'] });
  await hall.moves('sfu');
  await anna.room.unpublish(anna.tracks.camera);
  await hall.clock.advance(1000);
  await hall.tell({ mode: 'sfu', movingTo: null });
  await hall.clock.advance(6000);
  assert.equal(remote(ben, anna, 'camera'), null);
  assert.equal(sent(hall.toServer(anna)).length, 1);
});

test('sound has 64 kbit/s when the call has come to the server, until the server says what it may have', async () => {
  const [anna] = await two();
  const rate = () =>
    hall.toServer(anna).transceivers.find(({ sender }) => sender.track).sender.parameters.encodings[0].maxBitrate;
  await hall.moves('sfu');
  await hall.clock.advance(1000);
  assert.equal(rate(), undefined);
  await hall.tell({ mode: 'sfu', movingTo: null });
  assert.equal(rate(), 64_000);
  const order = { trackId: anna.tracks.microphone.trackId, maxBitrate: 16_000 };
  await anna.sockets.at(-1).news('bitrate', order);
  assert.equal(rate(), 16_000);
  await hall.moves('p2p');
  await hall.clock.advance(100);
  await hall.tell({ movingTo: null, reason: 'size' });
  assert.equal(rate(), 16_000);
});

test('a move that is not needed any more has not failed; one that is undone has, also for who had gone over', async () => {
  const [anna, ben] = await two();
  const news = [];
  for (const { name, room } of [anna, ben])
    room.on('topology', ({ detail: { topology } }) =>
      news.push(`${name} ${topology.mode} ${topology.movingTo} ${topology.failed}`),
    );
  await hall.moves('sfu');
  await hall.clock.advance(100);
  news.length = 0;
  await hall.tell({ movingTo: null, reason: 'size' });
  assert.deepEqual(news.splice(0), ['Anna p2p null false', 'Ben p2p null false']);

  await hall.moves('sfu');
  const { inbound } = hall.toServer(ben);
  hall.toServer(ben).inbound = () => ({ ...inbound(), packetsReceived: 0 });
  await hall.clock.advance(1000);
  assert.deepEqual(hall.reports, ['Anna 2']);
  news.length = 0;
  await hall.clock.advance(4500);
  assert.deepEqual(news.splice(0), ['Ben p2p null true']);
  await hall.tell({ movingTo: null, reason: 'timeout' });
  assert.deepEqual(news, ['Anna p2p null true', 'Ben p2p null false']);
});

test('a relay of others helps two to meet, also on the server’s own host name; the server’s own does not', async () => {
  const others = { urls: ['turn:test:3478'], username: 'us', credential: 'x' };
  hall.relays = (id) => [{ urls: ['turn:test:7443?transport=tcp'], username: `1795307661:${id}` }, others];
  const [anna] = await two();
  assert.deepEqual(hall.straight(anna)[0].configuration.iceServers, [others]);
});

test('leaving in mid-move ends both ways, and the others lose nobody else', async () => {
  const [anna, ben] = await two();
  const cleo = await hall.enters('Cleo');
  await hall.clock.advance(100);
  await hall.moves('sfu');
  await hall.clock.advance(200);
  cleo.room.leave();
  await settle();
  assert.ok(cleo.connections.every(({ closed }) => closed));
  await hall.clock.advance(1000);
  assert.deepEqual(hall.reports.sort(), ['Anna 1', 'Ben 1']);
  assert.equal(ben.room.participants.size, 1);
  assert.equal(way(remote(ben, anna)), 'sfu');
  await hall.clock.advance(10_000);
  assert.deepEqual(cleo.said.slice(-1), [['leave', {}]], 'and says nothing more');
});

test('who comes while the call moves to the server is heard by it, and reached straight if the move fails', async () => {
  const [anna, ben] = await two();
  await hall.moves('sfu');
  await hall.clock.advance(100);
  const cleo = await hall.enters('Cleo');
  assert.equal(hall.straight(cleo).length, 0);
  await hall.clock.advance(100);
  assert.equal(way(remote(anna, cleo)), 'sfu', 'there is nothing to wait for');
  assert.equal(way(remote(anna, ben)), 'p2p');
  await hall.tell({ movingTo: null, reason: 'client-failed' });
  await hall.clock.advance(100);
  assert.equal(hall.straight(cleo).length, 2);
  assert.equal(way(remote(cleo, anna)), 'p2p');
  assert.equal(way(remote(anna, cleo)), 'p2p');
});

test('a hard cut ends the old way first', async () => {
  hall.strategy = 'hard';
  const [anna, ben] = await two();
  await hall.moves('sfu');
  assert.equal(hall.straight(anna).length, 0);
  await hall.clock.advance(1000);
  assert.deepEqual(hall.reports.sort(), ['Anna 1', 'Ben 1']);
  assert.equal(way(remote(anna, ben)), 'sfu');
  assert.deepEqual(anna.log, ['track-added Ben microphone']);
});

test('with a way kept ready nothing is sent on it until it is needed', async () => {
  hall.strategy = 'opportunistic';
  const [anna, ben] = await two();
  await settle();
  const kept = hall.toServer(anna);
  assert.deepEqual(sent(kept), []);
  assert.equal(sent(hall.straight(anna)[0]).length, 1);
  assert.equal(way(remote(anna, ben)), 'p2p');
  await hall.moves('sfu');
  assert.equal(hall.toServer(anna), kept);
  assert.equal(sent(kept).length, 1);
  await hall.clock.advance(1000);
  assert.equal(way(remote(anna, ben)), 'sfu');
  await hall.tell({ mode: 'sfu', movingTo: null });
  await hall.clock.advance(6000);
  await hall.moves('p2p');
  await hall.clock.advance(1000);
  await hall.tell({ mode: 'p2p', movingTo: null });
  await hall.clock.advance(4000);
  assert.equal(hall.toServer(anna), kept, 'and it is kept again');
  assert.deepEqual(sent(kept), []);
  assert.equal(way(remote(anna, ben)), 'p2p');
});

test('a way is made ready when a move is likely', async () => {
  const [anna] = await two();
  assert.equal(hall.toServer(anna), null);
  await hall.tell({ warm: true });
  assert.ok(hall.toServer(anna));
  assert.deepEqual(sent(hall.toServer(anna)), []);
});

test('a pair that does not connect is told to the server', async () => {
  PairedPeerConnection.blocked = true;
  const [anna, ben] = await two();
  await hall.clock.advance(5000);
  assert.deepEqual(hall.reports.sort(), ['Anna not with p-ben: timeout', 'Ben not with p-anna: timeout']);
  assert.equal(ben.room.mediaState, 'connecting');
  assert.ok(anna);
});

test('where calls never go straight everything is as it was', async () => {
  hall.mode = null;
  const anna = await hall.enters('Anna', { mesh: false });
  assert.equal(anna.room.topology, null);
  assert.equal('mesh' in told(anna, 'join')[0], false);
  assert.equal(told(anna, 'offer').length, 1);
  assert.deepEqual(told(anna, 'mesh-tracks'), []);
});
