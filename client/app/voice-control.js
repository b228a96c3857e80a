// When the person is heard, in a call: the gate of their microphone, the key and the button that open it, and what shows
// whether it is open. And a hint, where somebody speaks whose microphone is muted.

import { LevelMeter, VoiceGate } from '../sdk/strait.js';
import { byId, mark } from './dom.js';
import { keyName } from './push-key.js';
import { notify } from './notices.js';
import { loadPreferences, processing } from './preferences.js';
import { warnInTitle } from './tab-title.js';
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
/** How long the tab's title goes on saying it, milliseconds. */
const TITLE_STAYS = 2_000;

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
  return { deviceId: loadPreferences().microphone, gate, ...processing() };
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
  #spokeAt = -Infinity;
  #timer;
  /** The key that is held just now; it is let go of wherever one writes by then. @type {string | null} */
  #heldKey = null;
  /** The finger that holds the button. @type {number | null} */
  #finger = null;

  /** @param {Room} room */
  constructor(room) {
    this.#room = room;
    gate.isPushed = false;
    const { signal } = this.#ending;
    // A button that has the focus would be pressed by the space bar as well.
    document.addEventListener('keydown', (event) => this.#onKeyDown(event), { signal, capture: true });
    document.addEventListener('keyup', (event) => this.#onKeyUp(event), { signal, capture: true });
    // Whoever looks elsewhere lets go of the key there, and whoever begins to write does not mean to be heard.
    window.addEventListener('blur', () => this.#letGo(), { signal });
    document.addEventListener('visibilitychange', () => document.hidden && this.#letGo(), { signal });
    document.addEventListener('focusin', ({ target }) => isTyping(target) && this.#letGo(), { signal });
    const hold = (/** @type {PointerEvent} */ event) => {
      event.preventDefault();
      this.#button.setPointerCapture(event.pointerId);
      this.#finger = event.pointerId;
      this.#push(true);
    };
    this.#button.addEventListener('pointerdown', hold, { signal });
    // A button that is disabled or hidden in the meantime is told nothing any more.
    for (const type of /** @type {const} */ (['pointerup', 'pointercancel', 'lostpointercapture']))
      window.addEventListener(type, ({ pointerId }) => pointerId === this.#finger && this.#letGo(), {
        signal,
        capture: true,
      });
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
    warnInTitle(null);
  }

  /** @param {KeyboardEvent} event */
  #onKeyDown(event) {
    const { transmit, pushKey } = loadPreferences();
    if (transmit !== 'push' || event.code !== pushKey || isTyping(event.target)) return;
    // While the key is being chosen it has no effect yet.
    if (event.target instanceof HTMLElement && event.target.dataset.testid === 'push-key') return;
    event.preventDefault();
    event.stopPropagation();
    // One that is still down after something else has ended it counts only when it is pressed anew.
    if (event.repeat) return;
    this.#heldKey = event.code;
    this.#push(true);
  }

  /** Ends it whatever has the focus by now, and whatever the settings have become. @param {KeyboardEvent} event */
  #onKeyUp(event) {
    if (event.code !== this.#heldKey) return;
    this.#letGo();
    if (isTyping(event.target)) return;
    event.preventDefault();
    event.stopPropagation();
  }

  #letGo() {
    this.#heldKey = null;
    this.#finger = null;
    this.#push(false);
  }

  /** @param {boolean} isPushed */
  #push(isPushed) {
    if (gate.isPushed === isPushed || (isPushed && gate.mode !== 'push')) return;
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
    const level = this.#meter?.level ?? 0;
    this.#loud = level >= SPEAKS ? this.#loud + 1 : 0;
    const now = performance.now();
    if (this.#loud >= LOOKS) this.#spokeAt = now;
    // It stays for as long as a pause between words, so that it does not come and go with each of them.
    if (this.#meter && now - this.#spokeAt < TITLE_STAYS) warnInTitle(level);
    else warnInTitle(null);
    if (this.#loud < LOOKS || now - this.#hintedAt < HINT_PAUSE) return;
    this.#hintedAt = now;
    notify(t('You are muted. Turn on your microphone to be heard.'));
  }
}
