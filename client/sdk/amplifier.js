// How loud one element plays, up to more than all of it. Elements can only be turned down; what is to be louder than it comes
// goes through Web Audio instead, while the element runs along muted, without which browsers let nothing through. Where Web Audio
// cannot be told which speaker it is to use, another element plays what comes out of it.

import { audioContext } from './levels.js';

/** How fast the loudness changes, seconds: long enough not to click, short enough for two ways of the same sound. */
const RAMP = 0.008;

/**
 * @typedef {object} Chain
 * @property {MediaStreamAudioSourceNode} source
 * @property {GainNode} gain
 * @property {MediaStreamTrack} track
 * @property {HTMLAudioElement | null} outlet what plays it; `null`: the context itself
 */

export class Amplifier {
  #element;
  #createAudio;
  #speakerId = '';
  /** @type {Chain | null} */
  #chain = null;

  /**
   * @param {HTMLAudioElement} element
   * @param {() => HTMLAudioElement} createAudio
   */
  constructor(element, createAudio) {
    this.#element = element;
    this.#createAudio = createAudio;
  }

  /** @param {string} deviceId empty: the system's default */
  setSpeaker(deviceId) {
    this.#speakerId = deviceId;
    const chain = this.#chain;
    if (!chain) return;
    if (chain.outlet) void turnTo(chain.outlet, deviceId);
    else chain.outlet = this.#connect(chain.gain);
  }

  /**
   * @param {MediaStreamTrack} track what the element plays
   * @param {boolean} isHeard
   * @param {number} volume 1 is as loud as it comes
   */
  set(track, isHeard, volume) {
    if (this.#chain && this.#chain.track !== track) this.#end();
    if (volume > 1 && !this.#chain) this.#begin(track);
    const { gain } = this.#chain ?? {};
    if (gain) {
      const target = isHeard ? volume : 0;
      const { currentTime } = gain.context;
      gain.gain.cancelScheduledValues(currentTime);
      gain.gain.setValueAtTime(gain.gain.value, currentTime);
      gain.gain.linearRampToValueAtTime(target, currentTime + RAMP);
    }
    this.#element.volume = Math.min(1, volume);
    this.#element.muted = !isHeard || gain !== undefined;
  }

  close() {
    this.#end();
  }

  /** @param {MediaStreamTrack} track */
  #begin(track) {
    try {
      const context = audioContext();
      const source = context.createMediaStreamSource(new MediaStream([track]));
      const gain = context.createGain();
      gain.gain.value = 0;
      source.connect(gain);
      this.#chain = { source, gain, track, outlet: this.#connect(gain) };
    } catch {
      // Without Web Audio it is as loud as an element can be.
    }
  }

  /** Has it play on the chosen speaker. @param {GainNode} gain @returns {HTMLAudioElement | null} what plays it */
  #connect(gain) {
    const context = /** @type {AudioContext & {setSinkId?: unknown}} */ (gain.context);
    gain.disconnect();
    if (this.#speakerId === '' || typeof context.setSinkId === 'function') {
      gain.connect(context.destination);
      return null;
    }
    const output = context.createMediaStreamDestination();
    gain.connect(output);
    const outlet = this.#createAudio();
    outlet.srcObject = output.stream;
    void turnTo(outlet, this.#speakerId);
    // What the muted element beside it may play, this one may, too.
    outlet.play().catch(() => {});
    return outlet;
  }

  #end() {
    this.#chain?.source.disconnect();
    this.#chain?.gain.disconnect();
    if (this.#chain?.outlet) this.#chain.outlet.srcObject = null;
    this.#chain = null;
  }
}

/** @param {HTMLAudioElement} element @param {string} deviceId */
async function turnTo(element, deviceId) {
  // A speaker that was unplugged leaves it on the default one.
  await element.setSinkId?.(deviceId).catch(() => {});
}
