// The screen before a call: name, room, and the devices with preview and level.

import { LevelMeter, captureCamera, captureMicrophone, permissionState, StraitError } from '../sdk/strait.js';
import { applyTheme } from './appearance.js';
import { showDeviceFields } from './device-fields.js';
import { makeDeviceTests } from './device-test.js';
import { byId, dress } from './dom.js';
import { errorText, notify } from './notices.js';
import { PROCESSING, cameraOptions, loadPreferences, savePreferences } from './preferences.js';
import { TEST_ROOM, isPrivate, isRoomId, isTest, parseRoom, roomOf } from './room-link.js';
import { applyTransmit, gate, microphoneOptions } from './voice-control.js';
import { t } from './words.js';

/** @typedef {'microphone' | 'camera'} Device */
/** @typedef {{wanted: boolean, track: MediaStreamTrack | null, failure: StraitError | null, round: number}} DeviceState */
/** @typedef {{name: string, room?: string, microphone: MediaStreamTrack | null, camera: MediaStreamTrack | null}} JoinChoice */

const DEVICES = /** @type {const} */ (['microphone', 'camera']);

export class Lobby {
  #view = byId('lobby');
  #name = byId('name-input', HTMLInputElement);
  #room = byId('room-input', HTMLInputElement);
  #error = byId('error-message');
  #video = byId('preview-video', HTMLVideoElement);
  #level = byId('preview-level');
  #permission = byId('permission-button', HTMLButtonElement);
  #buttons = [byId('join-button', HTMLButtonElement), byId('create-room', HTMLButtonElement)];
  #onJoin;
  #knownName;
  /** @type {Record<Device, DeviceState>} */
  #devices = { microphone: newDevice(), camera: newDevice() };
  /** @type {LevelMeter | null} */
  #meter = null;
  #busy = false;

  /**
   * @param {(choice: JoinChoice) => Promise<void>} onJoin
   * @param {() => string} knownName the name that the person has by their token; empty when they choose one
   */
  constructor(onJoin, knownName) {
    this.#onJoin = onJoin;
    this.#knownName = knownName;
    this.#name.value = loadPreferences().name;
    byId('join-form').addEventListener('submit', (event) => {
      event.preventDefault();
      void this.#submit(false);
    });
    byId('create-room').addEventListener('click', () => void this.#submit(true));
    this.#permission.addEventListener('click', () => void this.#askForAll());
    for (const device of DEVICES) {
      byId(`lobby-${device}`).addEventListener('click', () => void this.#toggle(device));
    }
    navigator.mediaDevices?.addEventListener?.('devicechange', () => this.#showFields());
    window.addEventListener('hashchange', () => {
      if (!this.#view.hidden) this.#fillRoom();
    });
    byId('lobby-tests').replaceChildren(makeDeviceTests(() => this.#devices.microphone.track));
    requestAnimationFrame(() => this.#showLevel());
  }

  /** @param {StraitError | null} error why the call ended or did not begin */
  async show(error) {
    this.#view.hidden = false;
    this.#busy = false;
    // Nobody hears it yet: the level shows what the microphone hears.
    gate.isPushed = true;
    this.#fillRoom();
    this.#showError(error && errorText(error));
    this.#showName();
    void showWarnings();
    for (const device of DEVICES) this.#devices[device].track = null;
    this.#render();
    if (this.#knownName() === '' && this.#name.value === '') this.#name.focus();
    for (const device of DEVICES) {
      if ((await permissionState(device)) === 'granted' && this.#devices[device].wanted) await this.#open(device);
    }
    this.#showFields();
  }

  /** Joins the room of the tests by a name that nobody else has. */
  joinTest() {
    this.#name.value = `participant-${Date.now()}`;
    this.#room.value = TEST_ROOM;
    return this.#submit(false);
  }

  hide() {
    this.#view.hidden = true;
    this.#meter?.close();
    this.#meter = null;
    this.#video.srcObject = null;
    byId('lobby-devices').replaceChildren();
  }

  #fillRoom() {
    this.#room.value = roomOf(location) || this.#room.value;
  }

  /** Whoever has a name by their token is told it, and need not type one. */
  #showName() {
    const known = this.#knownName();
    const text = byId('known-name');
    text.textContent = t('You join as {name}.', { name: known });
    text.hidden = known === '';
    for (const element of [byId('name-label'), this.#name]) element.hidden = known !== '';
  }

  /** @param {boolean} create */
  async #submit(create) {
    if (this.#busy) return;
    const known = this.#knownName();
    const name = known || this.#name.value.trim();
    const room = create ? undefined : parseRoom(this.#room.value);
    const problem =
      name === ''
        ? /** @type {const} */ ([this.#name, t('Enter your name, so that others know who you are.')])
        : room === ''
          ? /** @type {const} */ ([this.#room, t('Enter a room id or paste a link, or create a new room.')])
          : room !== undefined && !isRoomId(room)
            ? /** @type {const} */ ([
                this.#room,
                t('A room id has up to 64 letters, digits, “-”, “_” or “.”. Check what you pasted.'),
              ])
            : null;
    this.#showError(problem?.[1] ?? null);
    for (const input of [this.#name, this.#room]) input.setAttribute('aria-invalid', String(input === problem?.[0]));
    if (problem) {
      problem[0].focus();
      return;
    }
    if (known === '' && !isTest(location)) savePreferences({ name });
    this.#setBusy(true);
    const mayJoin = await this.#openWanted();
    if (mayJoin) {
      const tracks = { microphone: this.#devices.microphone.track, camera: this.#devices.camera.track };
      await this.#onJoin({ name, ...(room !== undefined && { room }), ...tracks });
    }
    this.#setBusy(false);
  }

  /** @returns {Promise<boolean>} false when the person should first read why a device is missing */
  async #openWanted() {
    /** @type {StraitError[]} */
    const problems = [];
    for (const device of DEVICES) {
      const state = this.#devices[device];
      if (!state.wanted || state.track) continue;
      await this.#open(device);
      const failure = /** @type {StraitError | null} */ (state.failure);
      if (!failure) continue;
      state.wanted = false;
      if (failure.code === 'no-device')
        notify(
          t(
            device === 'camera'
              ? 'No camera was found: joining without it.'
              : 'No microphone was found: joining without it.',
          ),
        );
      else problems.push(failure);
    }
    this.#render();
    if (problems.length === 0) return true;
    const without =
      problems.length > 1
        ? 'Or join without both: press the button again.'
        : 'Or join without it: press the button again.';
    this.#showError(`${problems.map(errorText).join(' ')} ${t(without)}`);
    return false;
  }

  async #askForAll() {
    this.#permission.disabled = true;
    for (const device of DEVICES) {
      this.#devices[device].wanted = true;
      await this.#open(device);
    }
    this.#permission.disabled = false;
    this.#showFields();
  }

  /** @param {Device} device */
  async #toggle(device) {
    const state = this.#devices[device];
    state.wanted = !state.wanted;
    if (state.wanted) await this.#open(device);
    else this.#close(device);
    this.#render();
  }

  /** @param {Device} device */
  async #open(device) {
    const state = this.#devices[device];
    const round = ++state.round;
    try {
      const track =
        device === 'microphone' ? await captureMicrophone(microphoneOptions()) : await captureCamera(cameraOptions());
      if (round !== state.round || this.#view.hidden) return track.stop();
      state.track?.stop();
      state.track = track;
      state.failure = null;
    } catch (error) {
      if (round === state.round) state.failure = StraitError.from(error);
    }
    this.#render();
  }

  /** @param {Device} device */
  #close(device) {
    const state = this.#devices[device];
    state.round++;
    state.track?.stop();
    state.track = null;
  }

  #showFields() {
    if (this.#view.hidden) return;
    void showDeviceFields(byId('lobby-devices'), {
      prefix: 'lobby-field',
      withCodec: true,
      onChange: (field) => {
        if ((field === 'microphone' || field === 'camera') && this.#devices[field].wanted) void this.#open(field);
        if (field in PROCESSING && this.#devices.microphone.track) {
          // A device that is open already is given again with what is done to it now.
          this.#devices.microphone.track.stop();
          void this.#open('microphone');
        }
        if (field === 'transmit' && applyTransmit() && this.#devices.microphone.track) void this.#open('microphone');
        gate.isPushed = true;
        if (field === 'sensitivity') applyTransmit();
        if (field === 'theme') applyTheme();
        if (field === 'language') location.reload();
        if (field === 'quality' && this.#devices.camera.track) void this.#open('camera');
      },
    });
  }

  #render() {
    const { microphone, camera } = this.#devices;
    for (const device of DEVICES) {
      const { wanted } = this.#devices[device];
      const button = byId(`lobby-${device}`);
      dress(button, wanted ? device : `${device}-off`, t(JOIN_WITH[device][wanted ? 0 : 1]));
      button.setAttribute('aria-pressed', String(wanted));
      this.#renderStatus(device);
    }
    const allowed = DEVICES.every((device) => this.#devices[device].track);
    this.#permission.hidden = allowed;
    if (this.#meter?.track !== microphone.track) {
      this.#meter?.close();
      this.#meter = microphone.track && new LevelMeter(microphone.track);
    }
    const shown = this.#video.srcObject instanceof MediaStream ? this.#video.srcObject.getVideoTracks()[0] : null;
    if (camera.track !== (shown ?? null)) {
      this.#video.srcObject = camera.track && new MediaStream([camera.track]);
      if (camera.track) this.#video.play().catch(() => {});
    }
    this.#video.hidden = !camera.track;
    const hint = byId('preview-hint');
    hint.hidden = camera.track !== null;
    hint.textContent = !camera.wanted
      ? t('Camera is off')
      : camera.failure
        ? t(camera.failure.message)
        : t('Allow the camera to see yourself here');
  }

  /** @param {Device} device */
  #renderStatus(device) {
    const { track, failure, wanted } = this.#devices[device];
    const status = byId(`${device}-status`);
    const state = track ? 'granted' : failure ? 'problem' : '';
    status.dataset.state = state;
    if (track) status.textContent = t('Allowed ✓');
    else if (failure) status.textContent = `${t(STATUS[failure.code] ?? 'Not available')}. ${t(failure.action)}`;
    else status.textContent = t(wanted ? 'Not asked yet' : 'Off');
  }

  #showLevel() {
    if (!this.#view.hidden) {
      const level = this.#meter?.level ?? 0;
      this.#level.setAttribute('aria-valuenow', String(Math.round(level * 100)));
      const bar = this.#level.firstElementChild;
      if (bar instanceof HTMLElement) bar.style.transform = `scaleX(${level.toFixed(2)})`;
    }
    requestAnimationFrame(() => this.#showLevel());
  }

  /** Tells the person that they are to wait until somebody lets them in. @param {string} message */
  wait(message) {
    byId('join-button').textContent = t('Waiting…');
    this.#showError(message);
  }

  /** @param {string | null} text */
  #showError(text) {
    this.#error.hidden = !text;
    this.#error.textContent = text ?? '';
  }

  /** @param {boolean} busy */
  #setBusy(busy) {
    this.#busy = busy;
    for (const button of this.#buttons) button.disabled = busy;
    byId('join-button').textContent = t(busy ? 'Joining…' : 'Join room');
    byId('lobby-state').textContent = t(busy ? 'Connecting' : 'Disconnected');
  }
}

/** Says what one should know before one joins: who else can, and who sees what of oneself. */
async function showWarnings() {
  try {
    const { headers } = await fetch('./', { method: 'HEAD' });
    byId('lobby-open-warning').hidden = isPrivate(location.hostname) || headers.get('Strait-Auth') !== 'open';
    byId('lobby-mesh-hint').hidden = headers.get('Strait-Mesh') === null;
  } catch {
    // Nothing is said while the server is not there; the call says it again.
  }
}

/** @type {Record<Device, [string, string]>} */
const JOIN_WITH = {
  microphone: ['Join without microphone', 'Join with microphone'],
  camera: ['Join without camera', 'Join with camera'],
};

/** @type {Record<string, string>} */
const STATUS = {
  'permission-denied': 'Denied',
  'no-device': 'None found',
  'device-in-use': 'In use elsewhere',
  'insecure-context': 'Page not secure',
  'unsupported-browser': 'Not supported',
};

/** @returns {DeviceState} */
function newDevice() {
  return { wanted: true, track: null, failure: null, round: 0 };
}
