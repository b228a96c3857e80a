// The gate itself, in the audio thread: lets through what is voice, or what is said while a key is held, and silence else.
// Browsers send next to nothing of silence. It makes no garbage.
//
// Voice is told from the noise of a room by its loudness: the noise is what the quietest moments of the last seconds are, and a
// voice is well above it for more than a click. Both are in one file that imports nothing, because what applications are bundled
// with takes an audio thread's file as it is.

/** @typedef {'low' | 'medium' | 'high'} Sensitivity how soft a voice may be */

/** How far above the noise a voice is, and how loud it is at least, decibels (of full scale). */
const SENSITIVITIES = {
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

/** Milliseconds for which it stays open after the last voice, so that ends of words and short pauses are heard. */
const HANGOVER = { voice: 500, push: 150 };
/** How much earlier than it was noticed a voice is let through, milliseconds: its first sounds are the softest. */
const BEFORE = 80;
/** How long opening and closing take, milliseconds, so that neither clicks. */
const FADE = 5;

/** What the audio thread's global scope has (Web Audio §1.32), and no other. */
const { AudioWorkletProcessor = Object, registerProcessor, sampleRate } = /** @type {any} */ (globalThis);

class VoiceGate extends AudioWorkletProcessor {
  #detector = new VoiceDetector();
  /** @type {'voice' | 'push'} */
  #mode = 'voice';
  #isPushed = false;
  /** What was heard last, so that voice can be let through from before it was noticed. */
  #past = new Float32Array(Math.ceil((sampleRate * BEFORE) / 1000));
  #at = 0;
  #frame = Math.round(sampleRate / 100);
  #sum = 0;
  #heard = 0;
  /** Samples for which it stays open. */
  #open = 0;
  #gain = 0;
  #wasOpen = false;

  constructor() {
    super();
    this.port.onmessage = (/** @type {MessageEvent} */ { data }) => {
      this.#mode = data.mode;
      this.#isPushed = data.isPushed;
      this.#detector.sensitivity = data.sensitivity;
    };
  }

  /**
   * @param {Float32Array[][]} inputs
   * @param {Float32Array[][]} outputs
   */
  process(inputs, outputs) {
    const input = inputs[0]?.[0];
    const output = outputs[0]?.[0];
    if (!output) return true;
    for (let at = 0; at < output.length; at++) output[at] = this.#pass(input?.[at] ?? 0);
    const isOpen = this.#open > 0;
    if (isOpen !== this.#wasOpen) this.port.postMessage({ isOpen });
    this.#wasOpen = isOpen;
    return true;
  }

  /** @param {number} sample @returns {number} */
  #pass(sample) {
    this.#listen(sample);
    const past = this.#past[this.#at] ?? 0;
    this.#past[this.#at] = sample;
    this.#at = (this.#at + 1) % this.#past.length;
    const step = 1000 / (FADE * sampleRate);
    this.#gain = this.#open > 0 ? Math.min(1, this.#gain + step) : Math.max(0, this.#gain - step);
    if (this.#open > 0) this.#open--;
    // A key is pressed before one speaks: there is nothing to wait for.
    return (this.#mode === 'voice' ? past : sample) * this.#gain;
  }

  /** @param {number} sample */
  #listen(sample) {
    if (this.#mode === 'push') {
      if (this.#isPushed) this.#open = (HANGOVER.push * sampleRate) / 1000;
      return;
    }
    this.#sum += sample * sample;
    if (++this.#heard < this.#frame) return;
    if (this.#detector.hear(this.#sum / this.#heard)) this.#open = ((HANGOVER.voice + BEFORE) * sampleRate) / 1000;
    this.#sum = 0;
    this.#heard = 0;
  }
}

registerProcessor?.('strait-voice-gate', VoiceGate);
