// How loud one element plays, up to more than all of it. Elements can only be turned down; what is to be louder than it comes
// goes through Web Audio instead, while the element runs along muted, without which browsers let nothing through.

import { audioContext } from './levels.js';

/** How fast the loudness changes, seconds: long enough not to click, short enough for two ways of the same sound. */
const RAMP = 0.008;

export class Amplifier {
  #element;
  /** @type {{source: MediaStreamAudioSourceNode, gain: GainNode, track: MediaStreamTrack} | null} */
  #chain = null;

  /** @param {HTMLAudioElement} element */
  constructor(element) {
    this.#element = element;
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
      source.connect(gain).connect(context.destination);
      this.#chain = { source, gain, track };
    } catch {
      // Without Web Audio it is as loud as an element can be.
    }
  }

  #end() {
    this.#chain?.source.disconnect();
    this.#chain?.gain.disconnect();
    this.#chain = null;
  }
}
