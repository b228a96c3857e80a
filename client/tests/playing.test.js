// What is heard: audio elements per slot, volume, blocked autoplay; and who is speaking.

import assert from 'node:assert/strict';
import { before, beforeEach, test } from 'node:test';
import { AudioPlayer } from '../sdk/audio-player.js';
import { LevelTracker } from '../sdk/levels.js';
import { Participant } from '../sdk/participant.js';
import { RemoteTrack } from '../sdk/track.js';
import { fakeEnvironment, settle } from './fakes.js';

before(() => {
  globalThis.MediaStream ??= class {
    constructor(tracks) {
      this.tracks = tracks;
    }
    getAudioTracks() {
      return this.tracks;
    }
  };
});

let elements;
let blockedNews;
let refuse;
let player;

beforeEach(() => {
  elements = [];
  blockedNews = [];
  refuse = false;
  const createAudio = () => {
    const element = { srcObject: null, volume: 1, plays: 0, sinkId: '' };
    element.play = async () => {
      element.plays++;
      if (refuse) throw new DOMException('click first', 'NotAllowedError');
    };
    element.setSinkId = async (id) => (element.sinkId = id);
    elements.push(element);
    return element;
  };
  player = new AudioPlayer(createAudio, (blocked) => blockedNews.push(blocked));
});

function remoteMicrophone(name, mid, receiver) {
  const participant = new Participant({ participantId: `p-${name}`, name });
  const info = {
    trackId: `t-${name}`,
    participantId: participant.participantId,
    kind: 'audio',
    source: 'microphone',
    muted: false,
  };
  const track = new RemoteTrack(participant, info, fakeEnvironment().environment, { request: async () => ({}) });
  participant.tracks.add(track);
  track.setSlot({ mid, trackId: track.trackId, fromRtpTimestamp: null }, receiver);
  return track;
}

test('a slot keeps its element when its track changes, and takes the new one’s volume', () => {
  const receiver = { track: { id: 'media-0' } };
  const anna = remoteMicrophone('anna', '0', receiver);
  anna.participant.volume = 0.3;
  player.update(anna);
  const ben = remoteMicrophone('ben', '0', receiver);
  player.update(ben);
  assert.equal(elements.length, 1);
  assert.equal(elements[0].plays, 1);
  assert.equal(elements[0].volume, 1);
  ben.participant.volume = 7;
  player.update(ben);
  assert.equal(elements[0].volume, 1);
});

test('blocked autoplay is said once and ended by a click', async () => {
  refuse = true;
  player.update(remoteMicrophone('anna', '0', { track: { id: 'a' } }));
  player.update(remoteMicrophone('ben', '1', { track: { id: 'b' } }));
  await settle();
  assert.deepEqual(blockedNews, [true]);
  refuse = false;
  await player.start();
  assert.deepEqual(blockedNews, [true, false]);
});

test('the chosen speaker holds for elements made later', async () => {
  player.update(remoteMicrophone('anna', '0', { track: { id: 'a' } }));
  await player.setSpeaker('desk');
  player.update(remoteMicrophone('ben', '1', { track: { id: 'b' } }));
  await settle();
  assert.deepEqual(
    elements.map(({ sinkId }) => sinkId),
    ['desk', 'desk'],
  );
});

test('what is louder than it comes plays on the chosen speaker, too', async (t) => {
  const node = (more) => ({
    connections: [],
    disconnect() {},
    connect(to) {
      this.connections = [to];
      return to;
    },
    ...more,
  });
  const stream = new MediaStream([{ id: 'amplified' }]);
  class Context {
    state = 'running';
    currentTime = 0;
    destination = 'the default speaker';
    createMediaStreamSource = () => node();
    createGain = () => {
      const gain = { value: 0, cancelScheduledValues() {}, setValueAtTime() {}, linearRampToValueAtTime() {} };
      return node({ gain, context: this });
    };
    createMediaStreamDestination = () => ({ stream });
  }
  globalThis.AudioContext = Context;
  t.after(() => delete globalThis.AudioContext);
  const anna = remoteMicrophone('anna', '0', { track: { id: 'a' } });
  anna.participant.volume = 2;
  player.update(anna);
  assert.equal(elements.length, 1, 'the context plays on the default speaker');
  // Without `setSinkId` of the context another element plays it.
  await player.setSpeaker('desk');
  assert.equal(elements.length, 2);
  assert.equal(elements[1].srcObject, stream);
  assert.deepEqual(
    elements.map(({ sinkId }) => sinkId),
    ['desk', 'desk'],
  );
  await player.setSpeaker('headset');
  assert.equal(elements[1].sinkId, 'headset');
  anna.participant.volume = 1;
  player.stop();
  assert.equal(elements[1].srcObject, null);

  const { audioContext } = await import('../sdk/levels.js');
  const chosen = [];
  audioContext().setSinkId = async (id) => chosen.push(id);
  await player.setSpeaker('desk');
  anna.participant.volume = 2;
  player.update(anna);
  assert.equal(elements.length, 3, 'a context that can be told plays by itself');
  assert.deepEqual(chosen, ['desk']);
});

test('speaking follows the level in the packets, holds a little, and ends with them', () => {
  const source = { timestamp: 1, audioLevel: 0.5 };
  const receiver = { track: { id: 'a' }, getSynchronizationSources: () => [source] };
  const track = remoteMicrophone('anna', '0', receiver);
  const { participant } = track;
  const tracker = new LevelTracker();
  tracker.update([participant], 1000);
  assert.ok(participant.speaking && participant.level > 0.8);
  source.timestamp = 2;
  source.audioLevel = 0.0001;
  tracker.update([participant], 1300);
  assert.ok(participant.speaking);
  assert.equal(participant.level, 0);
  tracker.update([participant], 1700);
  assert.ok(!participant.speaking);
  source.timestamp = 3;
  source.audioLevel = 0.5;
  tracker.update([participant], 2000);
  tracker.update([participant], 2900);
  assert.equal(participant.level, 0, 'the last level of a source that stopped sending does not hold');
  source.timestamp = 4;
  track.setMuted(true);
  tracker.update([participant], 3000);
  assert.equal(participant.level, 0);
});
