// Tells voice from the noise of a room by its loudness: the noise is what the quietest moments of the last seconds are, and a
// voice is well above it for more than a click. Runs in the audio thread (voice-gate-worklet.js), so it makes no garbage.

/** @typedef {'low' | 'medium' | 'high'} Sensitivity how soft a voice may be */

/** How far above the noise a voice is, and how loud it is at least, decibels (of full scale). */
export const SENSITIVITIES = {
  low: { above: 18, least: -42 },
  medium: { above: 12, least: -50 },
  high: { above: 8, least: -58 },
};

/** Of so many frames in a row. */
const OF = 3;
/** So many have to be loud. */
const LOUD = 2;
/** How fast the noise is taken to grow, decibels a frame of 10 ms: a fan that begins is noise after some seconds. */
const RISE = 0.02;
/** Nothing is quieter, decibels. */
const SILENCE = -90;

export class VoiceDetector {
  /** @type {Sensitivity} */
  sensitivity = 'medium';
  #noise = -60;
  /** The last frames, one bit each: whether it was loud. */
  #recent = 0;

  /**
   * Hears 10 ms.
   * @param {number} meanSquare of the samples, full scale being 1
   * @returns {boolean} whether it is voice
   */
  hear(meanSquare) {
    const level = meanSquare > 0 ? Math.max(SILENCE, 10 * Math.log10(meanSquare)) : SILENCE;
    const { above, least } = SENSITIVITIES[this.sensitivity];
    const isLoud = level >= least && level >= this.#noise + above;
    this.#noise = level < this.#noise ? this.#noise + (level - this.#noise) / 4 : Math.min(level, this.#noise + RISE);
    this.#recent = ((this.#recent << 1) | Number(isLoud)) & ((1 << OF) - 1);
    let loud = 0;
    for (let bit = 0; bit < OF; bit++) loud += (this.#recent >> bit) & 1;
    return loud >= LOUD;
  }
}
