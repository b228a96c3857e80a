// Simulcast: what is published, what the server switches off, and how large tiles are said to be.

import assert from 'node:assert/strict';
import { beforeEach, test } from 'node:test';
import { ladderFor } from '../sdk/ladder.js';
import { Room } from '../sdk/room.js';
import { StraitError, connectionLost } from '../sdk/errors.js';
import { Wishes } from '../sdk/wishes.js';
import { FakeMediaStreamTrack, ben, benCamera, fakeEnvironment, joinedMessage, settle } from './fakes.js';

let fake;
let room;

beforeEach(() => {
  fake = fakeEnvironment();
  room = new Room({ url: 'ws://test/ws', environment: fake.environment });
});

async function answer() {
  const publications = fake.socket().last('offer').data.publications;
  const listed = publications.map(({ mid, source, muted }) => ({
    mid,
    trackId: `t-${source}-${mid}`,
    source,
    kind: 'video',
    muted,
  }));
  await fake.socket().reply('offer', 'answer', { sdp: 'v=0', publications: listed });
  await fake.connection().gather();
}

async function join(changes = {}) {
  const joining = room.join({ name: 'Anna', room: 'standup' });
  await fake.socket().open();
  await fake.socket().reply('join', 'joined', joinedMessage(changes));
  await answer();
  await joining;
}

/** A picture of that size. */
function picture(width, height) {
  const track = new FakeMediaStreamTrack('video');
  track.getSettings = () => ({ width, height });
  return track;
}

const sender = (place) => fake.connection().transceivers[place].sender;

test('a camera in several encodings is published with the largest first, and their sizes are said', async () => {
  await room.publish(picture(1280, 720), { source: 'camera', simulcast: true });
  await join();
  assert.deepEqual(fake.socket().last('offer').data.publications, [
    {
      mid: '4',
      source: 'camera',
      muted: false,
      encodings: [
        { rid: 'high', width: 1280, height: 720, maxBitrate: 2_000_000 },
        { rid: 'medium', width: 640, height: 360, maxBitrate: 1_000_000 },
        { rid: 'low', width: 320, height: 180, maxBitrate: 300_000 },
      ],
    },
  ]);
  assert.deepEqual(
    sender(4).encodings.map(({ rid, scaleResolutionDownBy, scalabilityMode }) => [
      rid,
      scaleResolutionDownBy,
      scalabilityMode,
    ]),
    [
      ['high', 1, undefined],
      ['medium', 2, undefined],
      ['low', 4, undefined],
    ],
  );
});

test('encodings of VP9 and AV1 name a mode, without which they would be layers of one', async () => {
  for (const videoCodec of ['VP9', 'AV1']) {
    await room.publish(picture(1280, 720), { source: 'camera', simulcast: true, videoCodec });
  }
  await join();
  for (const place of [4, 5]) {
    assert.deepEqual(
      sender(place).encodings.map(({ scalabilityMode }) => scalabilityMode),
      ['L1T3', 'L1T3', 'L1T3'],
    );
  }
});

test('video slots ask for the dependency descriptor, without which layers of AV1 are of no use', async () => {
  await join();
  const directions = fake
    .connection()
    .transceivers.map(({ kind, extensions }) => [kind, ...extensions.map(({ direction }) => direction)]);
  assert.deepEqual(directions, [
    ['audio', 'sendrecv', 'stopped'],
    ['audio', 'sendrecv', 'stopped'],
    ['video', 'sendrecv', 'sendrecv'],
    ['video', 'sendrecv', 'sendrecv'],
  ]);
});

test('layers inside an encoding are asked for by their mode, in one encoding or in each', async () => {
  await room.publish(picture(1280, 720), { source: 'camera', videoCodec: 'VP9', scalabilityMode: 'L3T3_KEY' });
  const simulcast = { source: 'camera', simulcast: true, videoCodec: 'VP8', scalabilityMode: 'L1T2' };
  await room.publish(picture(1280, 720), simulcast);
  await join();
  const modes = (place) => sender(place).encodings.map(({ scalabilityMode }) => scalabilityMode);
  assert.deepEqual([modes(4), modes(5)], [['L3T3_KEY'], ['L1T2', 'L1T2', 'L1T2']]);
});

test('ladders suit the picture and the source', () => {
  const rates = (source, size) => ladderFor(source, size).map(({ maxBitrate }) => maxBitrate);
  assert.deepEqual(rates('camera', { width: 1920, height: 1080 }), [2_500_000, 1_200_000, 400_000]);
  assert.deepEqual(rates('camera', { width: 720, height: 1280 }), [2_000_000, 1_000_000, 300_000]);
  assert.deepEqual(rates('camera', {}), [2_000_000, 1_000_000, 300_000]);
  assert.deepEqual(rates('camera', { width: 640, height: 360 }), [800_000, 250_000]);
  assert.deepEqual(rates('camera', { width: 320, height: 180 }), []);
  assert.deepEqual(rates('screen', { width: 1920, height: 1080 }), [2_000_000, 1_000_000, 500_000]);
});

test('what nobody watches is not sent, and a new section sends everything again', async () => {
  const publishing = room.publish(picture(1280, 720), { source: 'camera', simulcast: true });
  await join();
  const track = await publishing;
  const active = () =>
    sender(4)
      .encodings.filter(({ active }) => active)
      .map(({ rid }) => rid);
  await fake.socket().news('encodings', { mid: '4', trackId: 't-camera-4', active: ['medium', 'low'] });
  assert.deepEqual(active(), ['medium', 'low']);
  await track.setEncoding({ maxBitrate: 500_000 });
  assert.deepEqual(active(), ['medium', 'low'], 'other changes leave it as it is');
  assert.deepEqual(
    sender(4).encodings.map(({ maxBitrate }) => maxBitrate),
    [500_000, 500_000, 300_000],
  );
  await fake.socket().news('encodings', { mid: '4', trackId: 't-camera-4', active: ['high', 'low'] });
  assert.deepEqual(active(), ['high', 'low']);

  const leaving = room.unpublish(track);
  await settle();
  await answer();
  await leaving;
  const again = room.publish(picture(1280, 720), { source: 'camera', simulcast: true });
  await settle();
  assert.equal(fake.connection().transceivers.length, 5, 'its section is used again');
  assert.deepEqual(active(), ['high', 'medium', 'low']);
  await answer();
  await again;
});

test('a section is used again for the same encodings only', async () => {
  await join();
  const first = room.publish(picture(1280, 720), { source: 'camera', simulcast: true });
  await settle();
  await answer();
  const leaving = room.unpublish(await first);
  await settle();
  await answer();
  await leaving;
  const single = room.publish(picture(1280, 720), { source: 'screen' });
  await settle();
  assert.equal(fake.connection().transceivers.length, 6);
  assert.deepEqual(sender(5).encodings, [{}]);
  await answer();
  await single;
});

test('sizes of tiles are sent together: soon where they grow, later where they shrink', async () => {
  await join({ participants: [ben([benCamera(), benCamera({ trackId: 't-screen', source: 'screen' })])] });
  const [camera, screen] = room.participants.get('p-ben').tracks;
  camera.prefer({ width: 320, height: 180 });
  screen.prefer({ width: 1280, height: 720 });
  await fake.clock.advance(249);
  assert.equal(fake.socket().count('prefer'), 0);
  await fake.clock.advance(1);
  assert.deepEqual(fake.socket().last('prefer').data.tracks, [
    { trackId: 't-cam', width: 320, height: 180 },
    { trackId: 't-screen', width: 1280, height: 720 },
  ]);
  await fake.socket().reply('prefer', 'ok');
  screen.prefer({ paused: true });
  camera.prefer({ width: 640, height: 360 });
  await fake.clock.advance(250);
  assert.deepEqual(fake.socket().last('prefer').data.tracks, [{ trackId: 't-cam', width: 640, height: 360 }]);
  await fake.socket().reply('prefer', 'ok');
  screen.prefer({ width: 1280, height: 720 });
  await fake.clock.advance(5000);
  assert.equal(fake.socket().count('prefer'), 2, 'it is as large again as before');
  camera.prefer({ width: 640, height: 360 });
  await fake.clock.advance(5000);
  assert.equal(fake.socket().count('prefer'), 2, 'nothing has changed');
});

test('a wish that did not arrive is sent again, and one that was refused is not', async () => {
  const sent = [];
  /** @type {Error | null} */
  let fails = connectionLost();
  const wishes = new Wishes(fake.environment, (tracks) => {
    sent.push(tracks);
    return fails ? Promise.reject(fails) : Promise.resolve();
  });
  wishes.set('t-1', { height: 180 });
  await fake.clock.advance(250);
  fails = null;
  await fake.clock.advance(1000);
  assert.deepEqual(sent, [[{ trackId: 't-1', height: 180 }], [{ trackId: 't-1', height: 180 }]]);
  await fake.clock.advance(5000);
  assert.equal(sent.length, 2);
  fails = new StraitError('unknown-type', 'There is no such message.', 'Use a newer server.');
  wishes.set('t-1', { height: 360 });
  await fake.clock.advance(10_000);
  assert.equal(sent.length, 3, 'asking again would not help');
});

test('the room tells which encoding of a track is received', async () => {
  await join({ participants: [ben([benCamera()])] });
  const told = [];
  room.on('layers', ({ detail }) => told.push([detail.track.trackId, detail.layer.layer, detail.layer.reason]));
  await fake.socket().news('layers', { trackId: 't-cam', layer: 'low', width: 320, height: 180, reason: 'wanted' });
  assert.deepEqual(told, [['t-cam', 'low', 'wanted']]);
  const [camera] = room.participants.get('p-ben').tracks;
  assert.equal(camera.layer.height, 180);
  assert.equal(camera.pausedForBandwidth, false);
  await fake.socket().news('layers', { trackId: 't-cam', layer: null, paused: true, reason: 'bandwidth' });
  assert.deepEqual(told[1], ['t-cam', null, 'bandwidth']);
  assert.equal(camera.pausedForBandwidth, true);
});
