// What is measured of a call as its people notice it, and what they can do about its pictures.

import assert from 'node:assert/strict';
import { beforeEach, test } from 'node:test';
import { Experience } from '../sdk/experience.js';
import { Room } from '../sdk/room.js';
import { StatsCollector } from '../sdk/stats.js';
import { limited } from '../sdk/wishes.js';
import { FakeMediaStreamTrack, ben, benCamera, fakeEnvironment, joinedMessage, settle } from './fakes.js';

let fake;
let room;

beforeEach(() => {
  fake = fakeEnvironment();
  room = new Room({ url: 'ws://test/ws', environment: fake.environment });
});

async function join(participants) {
  const joining = room.join({ name: 'Anna', room: 'standup' });
  await fake.socket().open();
  await fake.socket().reply('join', 'joined', joinedMessage({ participants }));
  await fake.socket().reply('offer', 'answer', { sdp: 'v=0', publications: [] });
  await fake.connection().gather();
  await joining;
}

/** A track of somebody, from which something comes or not. */
const received = (kind, comes) => ({
  kind,
  muted: false,
  receiver: { getSynchronizationSources: () => (comes ? [{}] : []) },
});

const saying = (...tracks) => [{ tracks: new Set(tracks) }];

test('the time to the first picture and sound counts from the join, or from when there is somebody', () => {
  let now = 1000;
  const experience = new Experience(() => now);
  experience.begin();
  now = 1400;
  experience.mediaConnected();
  now = 1500;
  experience.look(saying(received('video', false)));
  now = 1700;
  experience.look(saying(received('video', true)));
  now = 9000;
  experience.mediaConnected();
  experience.look(saying(received('audio', false), received('video', true)));
  now = 9300;
  experience.look(saying(received('audio', true), received('video', true)));
  assert.deepEqual(experience.stats, {
    setupMs: 400,
    firstPictureMs: 700,
    firstSoundMs: 300,
    qualitySwitches: 0,
    disconnects: 0,
  });
});

test('the room counts other encodings and interruptions', async () => {
  await join([ben([benCamera()])]);
  const layers = (layer, changes = {}) =>
    fake.socket().news('layers', { trackId: 't-cam', layer, reason: 'wanted', ...changes });
  await layers('low');
  await layers('high');
  await layers(null, { paused: true });
  fake.connection().getStats = async () => new Map();
  const before = await room.getStats();
  assert.deepEqual([before.experience.qualitySwitches, before.experience.disconnects], [2, 0]);
  await fake.socket().news('participant-media-lost', { participantId: 'p-me' });
  await fake.socket().break();
  const after = await room.getStats();
  assert.equal(after.experience.disconnects, 1, 'one and the same interruption');
});

test('how far a picture is behind its sound is told where the browser tells what it plays', () => {
  const entry = (id, kind, mid, playout) => [
    id,
    { id, type: 'inbound-rtp', kind, mid, timestamp: 0, ...(playout && { estimatedPlayoutTimestamp: playout }) },
  ];
  const owners = {
    a: { participantId: 'p-1', trackId: 't-1', source: 'microphone' },
    b: { participantId: 'p-1', trackId: 't-2', source: 'camera' },
    c: { participantId: 'p-2', trackId: 't-3', source: 'camera' },
  };
  const report = [entry('1', 'audio', 'a', 5040), entry('2', 'video', 'b', 5000), entry('3', 'video', 'c', 5000)];
  const states = { connectionState: 'connected', iceConnectionState: 'connected' };
  const { tracks } = new StatsCollector().collect(report, (mid) => owners[mid], states);
  const offsets = Object.fromEntries(tracks.map(({ trackId, syncOffsetMs }) => [trackId, syncOffsetMs]));
  assert.deepEqual(offsets, { 't-1': null, 't-2': 40, 't-3': null });
});

test('a limit cuts wishes and adds none', () => {
  const limit = { camera: { height: 180, frameRate: 15 } };
  assert.deepEqual(limited({ width: 1280, height: 720 }, 'camera', limit), {
    width: 1280,
    height: 180,
    frameRate: 15,
  });
  assert.deepEqual(limited({ height: 90, frameRate: 7 }, 'camera', limit), { height: 90, frameRate: 7 });
  assert.deepEqual(limited({ width: 1280 }, 'camera', limit), { width: 320, frameRate: 15 });
  assert.deepEqual(limited({}, 'camera', limit), { height: 180, frameRate: 15 });
  assert.deepEqual(limited({ paused: true }, 'camera', limit), { paused: true });
  assert.deepEqual(limited({ height: 720 }, 'screen', limit), { height: 720 });
  assert.deepEqual(limited({ height: 720 }, 'screen', { off: true }), { paused: true });
});

test('sound only: pictures are paused, those who come later too, and all is as before when they are wanted again', async () => {
  await join([ben([benCamera()])]);
  const [camera] = room.participants.get('p-ben').tracks;
  camera.prefer({ width: 640, height: 360 });
  await fake.clock.advance(1000);
  room.limitVideo({ off: true });
  assert.equal(camera.switchedOff, true);
  await fake.clock.advance(1000);
  assert.deepEqual(fake.socket().last('prefer').data.tracks, [{ trackId: 't-cam', paused: true }]);
  camera.prefer({ width: 1280, height: 720 });
  await fake.clock.advance(5000);
  assert.equal(fake.socket().count('prefer'), 2, 'a larger tile changes nothing');
  await fake.socket().news('track-added', benCamera({ trackId: 't-screen', source: 'screen' }));
  await fake.clock.advance(5000);
  assert.deepEqual(fake.socket().last('prefer').data.tracks, [{ trackId: 't-screen', paused: true }]);
  room.limitVideo({});
  assert.equal(camera.switchedOff, false);
  await fake.clock.advance(250);
  assert.deepEqual(fake.socket().last('prefer').data.tracks, [
    { trackId: 't-cam', width: 1280, height: 720 },
    { trackId: 't-screen' },
  ]);
});

test('a screen is to be sharp, unless something else is said of it', async () => {
  const hintOf = async (options) => {
    const track = new FakeMediaStreamTrack('video');
    track.contentHint = '';
    await room.publish(track, options);
    return track.contentHint;
  };
  assert.equal(await hintOf({ source: 'screen' }), 'detail');
  assert.equal(await hintOf({ source: 'screen', contentHint: 'motion' }), 'motion');
  assert.equal(await hintOf({ source: 'camera' }), '');
  await settle();
});
