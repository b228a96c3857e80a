// Microphones that are plugged out and in again during a call, and what is done to what they hear.

import assert from 'node:assert/strict';
import { beforeEach, test } from 'node:test';
import { Window } from 'happy-dom';
import { captureMicrophone } from '../sdk/capture.js';
import { StraitError } from '../sdk/errors.js';

const dom = new Window({ url: 'http://localhost/' });
for (const name of ['document', 'localStorage', 'HTMLElement'])
  Object.defineProperty(globalThis, name, { value: dom[name], configurable: true });
Object.defineProperty(globalThis, 'window', { value: dom, configurable: true });
const mediaDevices = new EventTarget();
Object.defineProperty(globalThis, 'navigator', { value: { mediaDevices }, configurable: true });
const { DeviceWatch } = await import('../app/device-watch.js');
const { savePreferences, processing } = await import('../app/preferences.js');

let microphones;
mediaDevices.enumerateDevices = async () => microphones.map((deviceId) => ({ kind: 'audioinput', deviceId }));
let track;
let done;
let room;
let refreshed;
let watch;
const notices = () => [...document.querySelectorAll('.notice')].map(({ textContent }) => textContent);
const settle = () => new Promise((resolve) => setTimeout(resolve, 5));
const plug = async (...there) => {
  microphones = there;
  mediaDevices.dispatchEvent(new Event('devicechange'));
  await settle();
};
const LOST = new StraitError('device-lost', 'The microphone was disconnected.', 'Connect it again.');

beforeEach(async () => {
  watch?.close();
  document.body.innerHTML = '<div id="notices"></div>';
  savePreferences({ microphone: 'headset' });
  microphones = ['built-in', 'headset'];
  track = { muted: false, mediaStreamTrack: { readyState: 'live' } };
  done = [];
  refreshed = 0;
  room = {
    localParticipant: { track: () => track },
    switchDevice: async (source, { deviceId }) => void done.push(`switch ${source} ${deviceId}`),
    setMicrophone: async (on) => void done.push(`on ${on}`),
  };
  watch = new DeviceWatch(room, () => refreshed++);
  await settle();
});

test('a microphone that is unplugged is replaced, said so, and taken again when it is back', async () => {
  track.mediaStreamTrack.readyState = 'ended';
  assert.equal(watch.lost(LOST), true);
  await plug('built-in');
  assert.deepEqual(done, ['switch microphone headset', 'on true']);
  assert.match(notices()[0], /was unplugged/);
  done = [];
  await plug('built-in', 'other');
  assert.deepEqual(done, [], 'another one is no reason');
  await plug('built-in', 'headset');
  assert.deepEqual(done, ['switch microphone headset']);
  assert.match(notices()[1], /is back/);
  assert.equal(refreshed, 3, 'the open settings are refreshed each time');
});

test('whoever is muted stays so when the microphone is unplugged', async () => {
  track.muted = true;
  track.mediaStreamTrack.readyState = 'ended';
  watch.lost(LOST);
  await settle();
  assert.deepEqual(done, ['switch microphone headset']);
});

test('where there is no other microphone, the error says what to do', async () => {
  track.mediaStreamTrack.readyState = 'ended';
  room.switchDevice = () => Promise.reject(new Error('none'));
  watch.lost(LOST);
  await settle();
  assert.match(notices()[0], /was disconnected\. Connect it again/);
});

test('a camera that is unplugged and other errors are no matter of this', () => {
  assert.equal(watch.lost(LOST), false);
  assert.equal(watch.lost(new StraitError('other', 'Another.', '')), false);
});

test('a change of devices that does not touch the chosen one changes nothing', async () => {
  await plug('built-in', 'headset', 'other');
  assert.deepEqual(done, []);
});

test('noise, gain and echo are captured as the switches say', async () => {
  const asked = [];
  mediaDevices.getUserMedia = async ({ audio }) => {
    asked.push(audio);
    return { getAudioTracks: () => [{}] };
  };
  await captureMicrophone();
  savePreferences({ noiseSuppression: 'off', autoGainControl: 'off' });
  await captureMicrophone(processing());
  assert.deepEqual(asked, [
    { echoCancellation: true, noiseSuppression: true, autoGainControl: true },
    { echoCancellation: true, noiseSuppression: false, autoGainControl: false },
  ]);
});
