// When the person is heard, in a call: the gate of their microphone, the key and the button that open it, and what shows
// whether it is open. And a hint, where somebody speaks whose microphone is muted.

import { LevelMeter, VoiceGate } from '../sdk/strait.js';
import { byId, mark } from './dom.js';
import { keyName } from './push-key.js';
import { notify } from './notices.js';
import { loadPreferences } from './preferences.js';
import { t } from './words.js';

/** @import {Room} from '../sdk/strait.js' */

/** The gate of every microphone of this page: what it does is what the preferences say. */
export const gate = new VoiceGate();
applyTransmit();

/** A voice that is this loud for so many looks in a row is said to a muted microphone. */
const SPEAKS = 0.5;
const LOOKS = 5;
const LOOK_EVERY = 100;
/** How long nothing is said about it again, milliseconds. */
const HINT_PAUSE = 15_000;

/** Takes over what the preferences say. @returns {boolean} whether the microphone has to be captured again */
export function applyTransmit() {
  const { transmit, sensitivity } = loadPreferences();
  const wasAlways = gate.mode === 'always';
  gate.sensitivity = sensitivity;
  if (transmit !== gate.mode) gate.mode = transmit;
  return wasAlways !== (transmit === 'always');
}

/** The microphone as the preferences want it. */
export function microphoneOptions() {
  return { deviceId: loadPreferences().microphone, gate };
}

/** Whether a key is meant for what is written. @param {EventTarget | null} target */
export const isTyping = (target) =>
  target instanceof HTMLElement && (target.isContentEditable || /^(INPUT|TEXTAREA|SELECT)$/.test(target.tagName));

export class VoiceControl {
  #room;
  #button = byId('talk-button', HTMLButtonElement);
  #ending = new AbortController();
  /** @type {LevelMeter | null} */
  #meter = null;
  #loud = 0;
  #hintedAt = -Infinity;
  #timer;

  /** @param {Room} room */
  constructor(room) {
    this.#room = room;
    gate.isPushed = false;
    const { signal } = this.#ending;
    // A button that has the focus would be pressed by the space bar as well.
    document.addEventListener('keydown', (event) => this.#onKey(event, true), { signal, capture: true });
    document.addEventListener('keyup', (event) => this.#onKey(event, false), { signal, capture: true });
    // Whoever looks elsewhere lets go of the key there.
    window.addEventListener('blur', () => this.#push(false), { signal });
    const hold = (/** @type {PointerEvent} */ event) => {
      event.preventDefault();
      this.#button.setPointerCapture(event.pointerId);
      this.#push(true);
    };
    this.#button.addEventListener('pointerdown', hold, { signal });
    for (const type of /** @type {const} */ (['pointerup', 'pointercancel', 'lostpointercapture']))
      this.#button.addEventListener(type, () => this.#push(false), { signal });
    this.#button.addEventListener('contextmenu', (event) => event.preventDefault(), { signal });
    const off = gate.on('open', () => this.render());
    signal.addEventListener('abort', off);
    this.#timer = window.setInterval(() => this.#listen(), LOOK_EVERY);
  }

  render() {
    const { transmit, pushKey } = loadPreferences();
    const microphone = this.#room.localParticipant.track('microphone');
    const isOn = microphone !== null && !microphone.muted;
    this.#button.hidden = transmit !== 'push' || !this.#room.permissions.publish.includes('microphone');
    this.#button.disabled = !isOn;
    this.#button.textContent =
      gate.isPushed && isOn ? t('You are heard') : t('Hold to talk ({key})', { key: keyName(pushKey) });
    this.#button.setAttribute('aria-pressed', String(gate.isPushed && isOn));
    const status = byId('talk-status');
    status.hidden = transmit === 'always';
    const isHeard = isOn && gate.isOpen;
    status.textContent = isHeard ? t('You are heard') : t('You are not heard');
    mark(status, 'open', isHeard);
  }

  close() {
    this.#ending.abort();
    window.clearInterval(this.#timer);
    this.#meter?.close();
    gate.isPushed = false;
  }

  /**
   * @param {KeyboardEvent} event
   * @param {boolean} isDown
   */
  #onKey(event, isDown) {
    const { transmit, pushKey } = loadPreferences();
    if (transmit !== 'push' || event.code !== pushKey || isTyping(event.target)) return;
    // While the key is being chosen it has no effect yet.
    if (event.target instanceof HTMLElement && event.target.dataset.testid === 'push-key') return;
    event.preventDefault();
    event.stopPropagation();
    this.#push(isDown);
  }

  /** @param {boolean} isPushed */
  #push(isPushed) {
    if (gate.mode !== 'push' || gate.isPushed === isPushed) return;
    gate.isPushed = isPushed;
    this.render();
  }

  /** Whether somebody speaks into a muted microphone. */
  #listen() {
    const microphone = this.#room.localParticipant.track('microphone');
    const track = microphone?.muted === true ? microphone.mediaStreamTrack : null;
    if (this.#meter?.track !== (track ?? undefined)) {
      this.#meter?.close();
      this.#meter = track && new LevelMeter(track);
    }
    this.#loud = (this.#meter?.level ?? 0) >= SPEAKS ? this.#loud + 1 : 0;
    const now = performance.now();
    if (this.#loud < LOOKS || now - this.#hintedAt < HINT_PAUSE) return;
    this.#hintedAt = now;
    notify(t('You are muted. Turn on your microphone to be heard.'));
  }
}
