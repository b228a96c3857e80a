// Straight connections: how two sides find each other, whoever offers; what is sent and told; and what becomes of pairs that
// do not connect.

import assert from 'node:assert/strict';
import { beforeEach, test } from 'node:test';
import { LocalTrack } from '../sdk/local-track.js';
import { MeshManager } from '../sdk/mesh-manager.js';
import { Participant } from '../sdk/participant.js';
import { FakeClock, FakeMediaStreamTrack, settle } from './fakes.js';
import { PairedPeerConnection } from './mesh-fakes.js';

let clock;
/** @type {Map<string, any>} */
let people;

beforeEach(() => {
  clock = new FakeClock();
  people = new Map();
  PairedPeerConnection.blocked = false;
});

/** Somebody with a mesh of their own; what they say goes to the others at once, unless it is held back. */
function person(id) {
  const me = {
    id,
    tracks: [],
    said: [],
    told: [],
    sections: [],
    before: new Set(people.keys()),
    connections: [],
    held: null,
  };
  me.participant = new Participant({ participantId: id, name: id });
  me.others = () => [...people.values()].filter((other) => other !== me).map((other) => other.participant);
  const deliver = (data) => people.get(data.to)?.mesh.signal({ ...data, to: undefined, from: id });
  me.deliver = () => {
    const held = me.held;
    me.held = null;
    held.forEach(deliver);
    return settle();
  };
  const environment = {
    ...clock,
    createPeerConnection: (configuration) => {
      const pc = new PairedPeerConnection(configuration, clock);
      me.connections.push(pc);
      return pc;
    },
  };
  me.mesh = new MeshManager(
    environment,
    { videoCodec: 'VP8', red: false, dtx: true },
    {
      request: async (type, data) => {
        me.told.push([type, data]);
        if (type !== 'mesh-signal') return;
        if (me.offline) throw Object.assign(new Error('gone'), { code: 'connection-lost' });
        if (me.held) me.held.push(data);
        else queueMicrotask(() => deliver(data));
      },
      ownId: () => id,
      participants: me.others,
      tracks: () => me.tracks,
      wasBefore: (other) => me.before.has(other),
      onSections: (other) => me.sections.push(other),
      iceServers: () => [],
      isUsed: () => true,
      isWanted: () => !me.unwanted,
      onState: () => {},
      onClosed: () => {},
      onError: (error) => me.said.push(error),
    },
  );
  me.publish = async (kind, source, options = {}) => {
    const media = new FakeMediaStreamTrack(kind);
    const track = new LocalTrack(
      me.participant,
      media,
      { source, ...options },
      { onMuted: () => me.mesh.muted(), onEnded() {} },
    );
    me.tracks.push(track);
    await me.mesh.publish(track);
    return track;
  };
  me.of = (type) => me.told.filter(([told]) => told === type).map(([, data]) => data);
  people.set(id, me);
  return me;
}

const open = (...all) => {
  for (const { mesh } of all) void mesh.open({ topology: null });
  return settle();
};

const senders = (me) =>
  me.connections.filter((pc) => !pc.closed).map(({ transceivers }) => transceivers.map(({ sender }) => sender.track));

test('whoever was there offers; every pair has one connection, with a section for each source', async () => {
  const [anna, ben, cleo] = ['p-a', 'p-b', 'p-c'].map(person);
  await open(anna, ben, cleo);
  for (const one of [anna, ben, cleo]) {
    assert.equal(one.mesh.connectionState, 'connected');
    assert.equal(one.connections.length, 2);
    for (const other of one.others()) assert.ok(one.mesh.isConnected(other.participantId));
  }
  assert.equal(anna.connections[0].offers.length, 1);
  assert.equal(cleo.connections.flatMap(({ offers }) => offers).length, 0, 'who came last offers nobody anything');
  assert.deepEqual(
    cleo.connections[0].transceivers.map(({ kind, direction }) => `${kind} ${direction}`),
    ['audio sendrecv', 'video sendrecv', 'video sendrecv', 'audio sendrecv'],
  );
  assert.equal(anna.mesh.receiver('p-b', 'screen'), anna.connections[0].transceivers[2].receiver);
  assert.match(cleo.connections[0].remoteDescription.sdp, /a=mid:0/);
});

test('one track goes to all, also to who comes later; mute and another device need no negotiation', async () => {
  const anna = person('p-a');
  const microphone = await anna.publish('audio', 'microphone');
  const ben = person('p-b');
  await open(anna, ben);
  const cleo = person('p-c');
  await open(cleo);
  anna.mesh.joined(cleo.participant);
  ben.mesh.joined(cleo.participant);
  await settle();
  const media = microphone.mediaStreamTrack;
  assert.deepEqual(senders(anna), [
    [media, null, null, null],
    [media, null, null, null],
  ]);
  const offers = () => [anna, ben, cleo].flatMap(({ connections }) => connections.flatMap((pc) => pc.offers)).length;
  assert.equal(offers(), 3);

  await microphone.setMuted(true);
  assert.deepEqual(
    senders(anna).map(([first]) => first),
    [null, null],
  );
  const other = new FakeMediaStreamTrack('audio');
  await microphone.replace(other);
  assert.deepEqual(
    senders(anna).map(([first]) => first),
    [null, null],
    'muted is muted, whatever the device',
  );
  await microphone.setMuted(false);
  assert.deepEqual(
    senders(anna).map(([first]) => first),
    [other, other],
  );
  const camera = await anna.publish('video', 'camera');
  await settle();
  assert.equal(senders(anna)[1][1], camera.mediaStreamTrack);
  anna.tracks.splice(1);
  await anna.mesh.unpublish(camera);
  assert.equal(senders(anna)[1][1], null);
  assert.equal(offers(), 3);
});

test('the others are told what goes straight, once for each change', async () => {
  const anna = person('p-a');
  const microphone = await anna.publish('audio', 'microphone');
  assert.deepEqual(anna.of('mesh-tracks'), [], 'not before the way is open');
  await open(anna);
  await microphone.setMuted(true);
  const camera = await anna.publish('video', 'camera', { muted: true });
  const { meshId } = microphone;
  const told = anna.of('mesh-tracks').map(({ tracks }) => tracks);
  assert.deepEqual(told, [
    [{ id: meshId, source: 'microphone', muted: false }],
    [{ id: meshId, source: 'microphone', muted: true }],
    [
      { id: meshId, source: 'microphone', muted: true },
      { id: camera.meshId, source: 'camera', muted: true },
    ],
  ]);
  anna.mesh.resumed();
  assert.equal(anna.of('mesh-tracks').length, 4, 'what may have been lost is told again');
});

test('two first offers at once: one side gives way, and both connect', async () => {
  const [anna, ben] = ['p-a', 'p-b'].map(person);
  anna.before.clear();
  ben.before.clear();
  await anna.publish('audio', 'microphone');
  await ben.publish('audio', 'microphone');
  anna.held = [];
  ben.held = [];
  await open(anna, ben);
  await Promise.all([anna.deliver(), ben.deliver()]);
  await settle();
  for (const one of [anna, ben]) {
    assert.equal(one.mesh.connectionState, 'connected');
    const [open] = senders(one);
    assert.equal(open[0], one.tracks[0].mediaStreamTrack);
    assert.equal(one.connections.filter(({ closed }) => !closed).length, 1);
  }
  assert.equal(anna.connections.length, 2, 'the polite side has begun anew');
  assert.equal(ben.connections.length, 1);
});

test('two ICE restarts at once: one is rolled back, and sections stay', async () => {
  const [anna, ben] = ['p-a', 'p-b'].map(person);
  await open(anna, ben);
  anna.held = [];
  ben.held = [];
  for (const one of [anna, ben]) one.connections[0].become('failed');
  await settle();
  await Promise.all([anna.deliver(), ben.deliver()]);
  await settle();
  for (const one of [anna, ben]) {
    assert.equal(one.mesh.connectionState, 'connected');
    assert.equal(one.connections.length, 1);
    assert.equal(one.connections[0].transceivers.length, 4);
    assert.deepEqual(one.connections[0].offers.at(-1), { iceRestart: true });
  }
});

test('a path that is disturbed is given a moment, then looked for anew', async () => {
  const [anna, ben] = ['p-a', 'p-b'].map(person);
  await open(anna, ben);
  const [pc] = anna.connections;
  pc.become('disconnected');
  await clock.advance(999);
  assert.equal(pc.offers.length, 1);
  await clock.advance(1);
  assert.deepEqual(pc.offers.at(-1), { iceRestart: true });
  assert.equal(anna.mesh.connectionState, 'connected');
});

test('who begins anew with the same id is connected to anew', async () => {
  const [anna, ben] = ['p-a', 'p-b'].map(person);
  await open(anna, ben);
  anna.mesh.close();
  await open(anna);
  assert.equal(anna.mesh.connectionState, 'connected');
  assert.equal(ben.mesh.connectionState, 'connected');
  assert.ok(ben.connections[0].closed);
  assert.equal(ben.connections.length, 2);
});

test('who is connected to anew is sent to on the new connection alone, and mute and unmute hold', async () => {
  const [anna, ben] = ['p-a', 'p-b'].map(person);
  let captured = 0;
  const recapture = async () => {
    captured++;
    return new FakeMediaStreamTrack('video');
  };
  const camera = await ben.publish('video', 'camera', { recapture });
  await open(anna, ben);
  anna.mesh.close();
  await open(anna);
  assert.ok(ben.connections[0].closed);
  const before = camera.mediaStreamTrack;
  await camera.setMuted(true);
  assert.equal(before.readyState, 'ended', 'the camera’s light is off');
  await camera.setMuted(false);
  assert.equal(captured, 1);
  assert.equal(senders(ben)[0][1], camera.mediaStreamTrack);
  assert.deepEqual(
    ben.of('mesh-tracks').map(({ tracks }) => tracks[0].muted),
    [false, true, false],
  );
});

test('a pair that is without a path when a move is undone is told of then', async () => {
  PairedPeerConnection.blocked = true;
  const [anna, ben] = ['p-a', 'p-b'].map(person);
  await open(anna, ben);
  await clock.advance(1000);
  anna.unwanted = true;
  await clock.advance(5000);
  assert.deepEqual(anna.of('mesh-failed'), []);
  anna.unwanted = false;
  await clock.advance(5000);
  assert.deepEqual(anna.of('mesh-failed'), [{ with: 'p-b', reason: 'timeout' }]);
});

test('candidates that come before their description wait for it', async () => {
  const [anna, ben] = ['p-a', 'p-b'].map(person);
  anna.held = [];
  await open(anna, ben);
  anna.held.sort((one) => (one.candidate ? -1 : 1));
  const candidates = anna.held.filter(({ candidate }) => candidate);
  // A candidate alone begins nothing, but ben waits for anna anyway.
  await anna.deliver();
  assert.equal(candidates.length, 1);
  assert.equal(ben.connections[0].candidates.length, 1);
  assert.equal(ben.mesh.connectionState, 'connected');
});

test('a pair that does not connect in five seconds has the server carry the call', async () => {
  PairedPeerConnection.blocked = true;
  const [anna, ben] = ['p-a', 'p-b'].map(person);
  await open(anna, ben);
  await clock.advance(4999);
  assert.deepEqual(anna.of('mesh-failed'), []);
  await clock.advance(1);
  assert.deepEqual(anna.of('mesh-failed'), [{ with: 'p-b', reason: 'timeout' }]);
});

test('of somebody whose signalling is away nothing is said; of a path that was lost later it is', async () => {
  const [anna, ben] = ['p-a', 'p-b'].map(person);
  await open(anna, ben);
  PairedPeerConnection.blocked = true;
  ben.participant.state = 'reconnecting';
  anna.connections[0].become('failed');
  await clock.advance(6000);
  assert.deepEqual(anna.of('mesh-failed'), []);
  ben.participant.state = 'connected';
  await clock.advance(5000);
  assert.deepEqual(anna.of('mesh-failed'), [{ with: 'p-b', reason: 'timeout' }]);
});

test('while a call moves its sound takes 32 kbit/s and its pictures a quarter; else pictures share the uplink', async () => {
  const [anna, ben, cleo] = ['p-a', 'p-b', 'p-c'].map(person);
  await anna.publish('audio', 'microphone');
  await anna.publish('video', 'camera', { maxBitrate: 2_000_000 });
  await open(anna, ben, cleo);
  const rates = (section) =>
    anna.connections.map(({ transceivers }) => transceivers[section].sender.parameters.encodings[0].maxBitrate);
  assert.deepEqual(rates(0), [undefined, undefined]);
  assert.deepEqual(rates(1), [1_500_000, 1_500_000]);
  anna.mesh.slow(true);
  await settle();
  assert.deepEqual(rates(0), [32_000, 32_000]);
  assert.deepEqual(rates(1), [375_000, 375_000]);
  anna.mesh.slow(false);
  await settle();
  assert.deepEqual(rates(0), [undefined, undefined]);
  people.delete('p-c');
  anna.mesh.left('p-c');
  await settle();
  assert.equal(rates(1)[0], 2_000_000);
});

test('closing ends every connection, and nothing is sent on it any more', async () => {
  const [anna, ben] = ['p-a', 'p-b'].map(person);
  const microphone = await anna.publish('audio', 'microphone');
  await open(anna, ben);
  const [pc] = anna.connections;
  anna.mesh.close();
  assert.ok(pc.closed);
  pc.transceivers[0].sender.track = 'as it was';
  await microphone.setMuted(true);
  assert.equal(pc.transceivers[0].sender.track, 'as it was');
  await clock.advance(10_000);
  assert.deepEqual(anna.of('mesh-failed'), []);
  assert.deepEqual(anna.said, []);
});
