// Devices during a call: a change takes effect at once.

import { applyTheme } from './appearance.js';
import { showDeviceFields } from './device-fields.js';
import { make } from './dom.js';
import { notify, notifyError } from './notices.js';
import { PROCESSING, cameraEncoding, cameraOptions, loadPreferences, videoLimit } from './preferences.js';
import { applyTransmit, microphoneOptions } from './voice-control.js';
import { t } from './words.js';
import { LocalTrack, StraitError } from '../sdk/strait.js';

/** @import {Room} from '../sdk/strait.js' */
/** @import {Field} from './device-fields.js' */

export class SettingsPanel {
  title = 'Devices and settings';
  element = make('div', { class: 'fields', 'data-testid': 'settings-panel' });
  #room;

  #onVoice;

  /**
   * @param {Room} room
   * @param {() => void} onVoice when one is heard is another matter now
   */
  constructor(room, onVoice) {
    this.#room = room;
    this.#onVoice = onVoice;
  }

  /** Devices were plugged in or out. */
  refresh() {
    if (this.element.isConnected) this.opened();
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
    const { speaker } = loadPreferences();
    try {
      // A device that is open already is given again with what is done to it now.
      if (field in PROCESSING) this.#room.localParticipant.track('microphone')?.mediaStreamTrack?.stop();
      const mustCapture = field === 'transmit' && applyTransmit();
      if (field === 'microphone' || field in PROCESSING || mustCapture)
        await this.#room.switchDevice('microphone', microphoneOptions());
      if (field === 'sensitivity') applyTransmit();
      if (field === 'transmit' || field === 'pushKey') this.#onVoice();
      if (field === 'theme') applyTheme();
      if (field === 'language') notify(t('The language changes when the page is opened the next time.'));
      if (field === 'camera' || field === 'quality') await this.#room.switchDevice('camera', cameraOptions());
      if (field === 'quality') await this.#localCamera?.setEncoding(cameraEncoding());
      if (field === 'received') this.#room.limitVideo(videoLimit());
      if (field === 'speaker') await this.#room.setSpeaker(speaker);
    } catch (error) {
      notifyError(StraitError.from(error));
    }
  }
}
