// Trying microphone and speaker before a call: a sound from the chosen speaker, and what the microphone heard for some seconds.

import { audioContext } from '../sdk/strait.js';
import { make } from './dom.js';
import { loadPreferences } from './preferences.js';
import { play } from './sounds.js';
import { t } from './words.js';

const RECORDED_FOR = 3000;

/** @param {HTMLMediaElement} element */
async function toSpeaker(element) {
  if (typeof element.setSinkId === 'function') await element.setSinkId(loadPreferences().speaker).catch(() => {});
  await element.play().catch(() => {});
}

/** @returns {Promise<void>} settled when it is heard to the end */
async function testSpeaker() {
  const out = audioContext().createMediaStreamDestination();
  const element = new Audio();
  element.srcObject = out.stream;
  await toSpeaker(element);
  play('joined', out);
  await new Promise((resolve) => setTimeout(resolve, 800));
  element.srcObject = null;
}

/** @param {MediaStreamTrack} track @param {(text: string) => void} say */
async function testMicrophone(track, say) {
  const recorder = new MediaRecorder(new MediaStream([track]));
  /** @type {Blob[]} */
  const parts = [];
  recorder.ondataavailable = ({ data }) => parts.push(data);
  const recorded = new Promise((resolve) => (recorder.onstop = () => resolve(undefined)));
  recorder.start();
  say(t('Say something…'));
  await new Promise((resolve) => setTimeout(resolve, RECORDED_FOR));
  if (recorder.state !== 'inactive') recorder.stop();
  await recorded;
  say(t('This is what others hear'));
  const url = URL.createObjectURL(new Blob(parts, { type: recorder.mimeType }));
  const element = new Audio(url);
  const ended = new Promise((resolve) => (element.onended = element.onerror = () => resolve(undefined)));
  await toSpeaker(element);
  await Promise.race([ended, new Promise((resolve) => setTimeout(resolve, 2 * RECORDED_FOR))]);
  URL.revokeObjectURL(url);
}

/**
 * The two buttons.
 * @param {() => MediaStreamTrack | null} microphone as it is just now
 */
export function makeDeviceTests(microphone) {
  /** @param {string} text @param {string} testid @param {(say: (text: string) => void) => Promise<void>} act */
  const button = (text, testid, act) => {
    const made = make('button', { type: 'button', class: 'secondary small', 'data-testid': testid }, t(text));
    made.addEventListener('click', async () => {
      made.disabled = true;
      try {
        await act((said) => (made.textContent = said));
      } finally {
        made.textContent = t(text);
        made.disabled = false;
      }
    });
    return made;
  };
  const buttons = [button('Test speaker', 'test-speaker', testSpeaker)];
  if (typeof MediaRecorder !== 'undefined')
    buttons.push(
      button('Test microphone', 'test-microphone', async (say) => {
        const track = microphone();
        if (track) await testMicrophone(track, say);
        else say(t('Allow the microphone first'));
        if (!track) await new Promise((resolve) => setTimeout(resolve, 1500));
      }),
    );
  return make('div', { class: 'device-tests' }, ...buttons);
}
