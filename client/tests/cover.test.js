// A remote track's element stays covered from the slot's change to the first frame of the new source.

import assert from 'node:assert/strict';
import { beforeEach, test } from 'node:test';
import { Cover } from '../sdk/cover.js';
import { fakeEnvironment } from './fakes.js';

class FakeVideo {
  style = { opacity: '' };
  frames = 0;
  #callbacks = [];
  requestVideoFrameCallback(callback) {
    this.#callbacks.push(callback);
  }
  frame(rtpTimestamp) {
    for (const callback of this.#callbacks.splice(0)) callback(0, { rtpTimestamp });
  }
  getVideoPlaybackQuality() {
    return { totalVideoFrames: this.frames };
  }
}

let fake;
let video;
let changes;
let cover;

beforeEach(() => {
  fake = fakeEnvironment();
  video = new FakeVideo();
  changes = [];
  cover = new Cover(video, fake.environment, () => changes.push(cover.covered));
});

test('covered until a frame at or after the timestamp, across its wrap', () => {
  cover.start(0xffff_fff0, 0);
  assert.equal(video.style.opacity, '0');
  video.frame(0xffff_ff00);
  assert.ok(cover.covered);
  video.frame(4);
  assert.ok(!cover.covered);
  assert.equal(video.style.opacity, '');
  assert.deepEqual(changes, [true, false]);
});

test('a second change begins again; frames that belong to the first uncover nothing', () => {
  cover.start(100, 0);
  cover.start(5000, 0);
  video.frame(200);
  assert.ok(cover.covered);
  video.frame(5000);
  assert.ok(!cover.covered);
});

test('without timestamps: the first frame after a short pause', async () => {
  cover.start(100, 0);
  video.frame(undefined);
  assert.ok(cover.covered);
  await fake.clock.advance(150);
  video.frame(undefined);
  assert.ok(!cover.covered);
});

test('without frame callbacks: counted frames after a short pause', async () => {
  video.requestVideoFrameCallback = undefined;
  cover.start(100, 0);
  video.frames = 3;
  await fake.clock.advance(140);
  video.frames = 5;
  await fake.clock.advance(100);
  assert.ok(cover.covered);
  video.frames = 6;
  await fake.clock.advance(100);
  assert.ok(!cover.covered);
});

test('a cover that was stopped stays off', async () => {
  cover.start(100, 0);
  cover.stop();
  video.frame(100);
  assert.ok(!cover.covered);
  assert.deepEqual(changes, [true, false]);
});
