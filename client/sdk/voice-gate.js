// When a microphone is heard: always, while somebody speaks, or while a key is held. What is said to the gate holds for every
// microphone that goes through it, also for the next one; mute is another matter, and is told to the others.

import { Emitter } from './emitter.js';
import { audioContext } from './levels.js';

/** @import {Sensitivity} from './voice-gate-worklet.js' */

/** @typedef {'always' | 'voice' | 'push'} VoiceMode */

const WORKLET = new URL('./voice-gate-worklet.js', import.meta.url);

/** @type {WeakMap<BaseAudioContext, Promise<void>>} */
const loaded = new WeakMap();

/** @param {AudioContext} context */
function loadWorklet(context) {
  let loading = loaded.get(context);
  if (!loading) {
    loading = context.audioWorklet.addModule(WORKLET);
    loaded.set(context, loading);
  }
  return loading;
}

/** @extends {Emitter<{open: {isOpen: boolean}}>} */
export class VoiceGate extends Emitter {
  /** @type {VoiceMode} */
  #mode = 'always';
  /** @type {Sensitivity} */
  #sensitivity = 'medium';
  #isPushed = false;
  #isOpen = false;
  /** @type {Set<AudioWorkletNode>} */
  #nodes = new Set();

  /** Whether this browser can do more than `always`. */
  static get isSupported() {
    return typeof AudioWorkletNode !== 'undefined';
  }

  get mode() {
    return this.#mode;
  }

  /** Between `always` and the others the microphone has to be captured again (`Room.switchDevice`). @param {VoiceMode} mode */
  set mode(mode) {
    this.#mode = mode;
    this.#isPushed = false;
    this.#tell();
  }

  get sensitivity() {
    return this.#sensitivity;
  }

  /** @param {Sensitivity} sensitivity how soft a voice may be */
  set sensitivity(sensitivity) {
    this.#sensitivity = sensitivity;
    this.#tell();
  }

  /** Whether what is said now is let through. */
  get isOpen() {
    return this.#mode === 'always' || this.#isOpen;
  }

  get isPushed() {
    return this.#isPushed;
  }

  /** Whether the key is held, in the mode `push`. @param {boolean} isPushed */
  set isPushed(isPushed) {
    if (isPushed === this.#isPushed) return;
    this.#isPushed = isPushed;
    this.#tell();
  }

  /**
   * @param {MediaStreamTrack} track of a microphone
   * @returns {Promise<MediaStreamTrack>} what of it is let through; ending it ends the microphone
   */
  async through(track) {
    if (this.#mode === 'always' || !VoiceGate.isSupported) return track;
    const context = audioContext();
    await loadWorklet(context);
    const source = context.createMediaStreamSource(new MediaStream([track]));
    const node = new AudioWorkletNode(context, 'strait-voice-gate', {
      channelCount: 1,
      channelCountMode: 'explicit',
      outputChannelCount: [1],
    });
    const out = context.createMediaStreamDestination();
    source.connect(node).connect(out);
    this.#nodes.add(node);
    node.port.onmessage = ({ data }) => this.#report(data.isOpen);
    this.#tell();
    const [gated] = out.stream.getAudioTracks();
    if (!gated) return track;
    const end = () => {
      this.#nodes.delete(node);
      source.disconnect();
      node.disconnect();
    };
    const stop = gated.stop.bind(gated);
    gated.stop = () => {
      end();
      track.stop();
      stop();
    };
    // The device was unplugged: whoever has the gated track has to know.
    track.addEventListener('ended', () => {
      end();
      stop();
      gated.dispatchEvent(new Event('ended'));
    });
    return gated;
  }

  #tell() {
    const said = { mode: this.#mode, sensitivity: this.#sensitivity, isPushed: this.#isPushed };
    for (const node of this.#nodes) node.port.postMessage(said);
  }

  /** @param {boolean} isOpen */
  #report(isOpen) {
    if (isOpen === this.#isOpen) return;
    this.#isOpen = isOpen;
    this.emit('open', { isOpen });
  }
}
