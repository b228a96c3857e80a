// Devices during a call: a change takes effect at once.

import { showDeviceFields } from './device-fields.js';
import { make } from './dom.js';
import { notifyError } from './notices.js';
import { cameraEncoding, cameraOptions, loadPreferences, videoLimit } from './preferences.js';
import { LocalTrack, StraitError } from '../sdk/strait.js';

/** @import {Room} from '../sdk/strait.js' */
/** @import {Field} from './device-fields.js' */

export class SettingsPanel {
  title = 'Devices and settings';
  element = make('div', { class: 'fields', 'data-testid': 'settings-panel' });
  #room;

  /** @param {Room} room */
  constructor(room) {
    this.#room = room;
  }

  opened() {
    void showDeviceFields(this.element, {
      prefix: 'call-field',
      withCodec: false,
      onChange: (field) => void this.#apply(field),
    });
  }

  get #localCamera() {
    const camera = this.#room.localParticipant.track('camera');
    return camera instanceof LocalTrack ? camera : null;
  }

  /** @param {Field} field */
  async #apply(field) {
    const { microphone, speaker } = loadPreferences();
    try {
      if (field === 'microphone') await this.#room.switchDevice('microphone', { deviceId: microphone });
      if (field === 'camera' || field === 'quality') await this.#room.switchDevice('camera', cameraOptions());
      if (field === 'quality') await this.#localCamera?.setEncoding(cameraEncoding());
      if (field === 'received') this.#room.limitVideo(videoLimit());
      if (field === 'speaker') await this.#room.setSpeaker(speaker);
    } catch (error) {
      notifyError(StraitError.from(error));
    }
  }
}
