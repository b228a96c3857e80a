// Microphones that come and go during a call: one that is unplugged is replaced by another, and the chosen one is taken again
// when it is back.

import { notify, notifyError } from './notices.js';
import { loadPreferences } from './preferences.js';
import { microphoneOptions } from './voice-control.js';
import { t } from './words.js';
import { StraitError, listDevices } from '../sdk/strait.js';

/** @import {Room} from '../sdk/strait.js' */

export class DeviceWatch {
  #room;
  #onChange;
  #ending = new AbortController();
  /** The chosen microphone, when it was not there at the last look. @type {string | null} */
  #away = null;
  /** One look after the other. @type {Promise<void>} */
  #queue = Promise.resolve();

  /**
   * @param {Room} room
   * @param {() => void} onChange other devices are there
   */
  constructor(room, onChange) {
    this.#room = room;
    this.#onChange = onChange;
    const look = () => {
      this.#onChange();
      this.#queue = this.#queue.then(() => this.#look());
    };
    navigator.mediaDevices?.addEventListener?.('devicechange', look, { signal: this.#ending.signal });
    this.#queue = this.#look();
  }

  close() {
    this.#ending.abort();
  }

  /**
   * Goes on with another microphone when the one in use is gone. Whoever is muted stays so.
   * @param {StraitError} error
   * @returns {boolean} whether it is about a microphone, and so said here
   */
  lost(error) {
    const track = this.#room.localParticipant.track('microphone');
    if (error.code !== 'device-lost' || track?.mediaStreamTrack?.readyState !== 'ended') return false;
    const wasOn = !track.muted;
    this.#queue = this.#queue.then(async () => {
      try {
        await this.#room.switchDevice('microphone', microphoneOptions());
        if (wasOn) await this.#room.setMicrophone(true, microphoneOptions());
        notify(t('Your microphone was unplugged. Another one is used now.'), 9000);
      } catch {
        notifyError(error);
      }
    });
    return true;
  }

  async #look() {
    const { microphone } = loadPreferences();
    const { microphones } = await listDevices().catch(() => ({ microphones: [] }));
    const isThere = microphones.some(({ deviceId }) => deviceId === microphone);
    const isBack = isThere && this.#away === microphone;
    this.#away = microphone !== '' && !isThere ? microphone : null;
    if (!isBack || this.#ending.signal.aborted || !this.#room.localParticipant.track('microphone')) return;
    try {
      await this.#room.switchDevice('microphone', microphoneOptions());
      notify(t('Your microphone is back and used again.'));
    } catch (error) {
      notifyError(StraitError.from(error));
    }
  }
}
