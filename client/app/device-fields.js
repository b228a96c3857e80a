// The selects for devices, pictures, when one is heard and how the page looks, used before and in a call.

import { listDevices } from '../sdk/strait.js';
import { make } from './dom.js';
import { keyName, pushKeyField } from './push-key.js';
import {
  PROCESSING,
  QUALITIES,
  RECEIVED,
  SENSITIVITY,
  SOUNDS,
  THEMES,
  TRANSMIT,
  loadPreferences,
  savePreferences,
} from './preferences.js';
import { VoiceGate } from '../sdk/strait.js';
import { LANGUAGES, ownLanguage, t } from './words.js';

const CODECS = { VP8: 'VP8', VP9: 'VP9', H264: 'H.264', AV1: 'AV1' };

/**
 * @typedef {'microphone' | 'camera' | 'speaker' | 'quality' | 'received' | 'codec' | 'transmit' | 'sensitivity' | 'pushKey'
 *   | keyof typeof PROCESSING | 'theme' | 'language' | 'sounds'} Field
 */

/**
 * @param {HTMLElement} container
 * @param {{prefix: string, withCodec: boolean, onChange: (field: Field) => void}} options
 */
export async function showDeviceFields(container, { prefix, withCodec, onChange }) {
  const { microphones, cameras, speakers } = await listDevices();
  const preferences = loadPreferences();
  /** @param {Field} field @param {string} label @param {[string, string][]} choices */
  const field = (field, label, choices) => {
    const id = `${prefix}-${field}`;
    const select = make('select', { id, 'data-testid': `${field}-select` });
    for (const [value, text] of choices) select.append(new Option(t(text), value));
    select.value = field === 'language' ? preferences.language || ownLanguage() : preferences[field];
    if (select.selectedIndex < 0) select.selectedIndex = 0;
    select.disabled = choices.length < 2;
    select.addEventListener('change', () => {
      savePreferences({ [field]: select.value });
      onChange(field);
    });
    return make('div', {}, make('label', { for: id }, t(label)), select);
  };
  /** @param {keyof typeof PROCESSING} field */
  const toggle = (field) => {
    const id = `${prefix}-${field}`;
    const box = make('input', { type: 'checkbox', role: 'switch', id, 'data-testid': `${field}-switch` });
    box.checked = preferences[field] === 'on';
    box.addEventListener('change', () => {
      savePreferences({ [field]: box.checked ? 'on' : 'off' });
      onChange(field);
    });
    return make('label', { class: 'switch', for: id }, box, t(PROCESSING[field].label));
  };
  const fields = [
    field('microphone', 'Microphone', named(microphones, 'Microphone')),
    field('camera', 'Camera', named(cameras, 'Camera')),
  ];
  if ('setSinkId' in HTMLMediaElement.prototype) fields.push(field('speaker', 'Speaker', named(speakers, 'Speaker')));
  fields.push(
    field('quality', 'Picture sent', labelled(QUALITIES)),
    field('received', 'Pictures received', labelled(RECEIVED)),
  );
  if (withCodec) fields.push(field('codec', 'Video codec', Object.entries(CODECS)));
  if (VoiceGate.isSupported) {
    const change = () => void showDeviceFields(container, { prefix, withCodec, onChange });
    const transmit = field('transmit', 'When you are heard', labelled(TRANSMIT));
    transmit.addEventListener('change', change);
    fields.push(transmit);
    if (preferences.transmit === 'voice')
      fields.push(field('sensitivity', 'How sensitive it is to your voice', labelled(SENSITIVITY)));
    if (preferences.transmit === 'push') {
      fields.push(
        pushKeyField(`${prefix}-pushKey`, keyName(preferences.pushKey), (pushKey) => {
          savePreferences({ pushKey });
          onChange('pushKey');
          change();
        }),
      );
    }
  }
  const toggles = /** @type {(keyof typeof PROCESSING)[]} */ (Object.keys(PROCESSING)).map(toggle);
  fields.push(
    make('div', { class: 'switches', role: 'group', 'aria-label': t('Your voice') }, ...toggles),
    field('theme', 'Appearance', labelled(THEMES)),
    field('language', 'Language', Object.entries(LANGUAGES)),
    field('sounds', 'Sounds when people come and go', labelled(SOUNDS)),
  );
  const focused = document.activeElement?.id;
  container.replaceChildren(...fields);
  if (focused) document.getElementById(focused)?.focus();
}

/**
 * @param {Record<string, {label: string}>} choices
 * @returns {[string, string][]}
 */
function labelled(choices) {
  return Object.entries(choices).map(([value, { label }]) => [value, label]);
}

/**
 * @param {MediaDeviceInfo[]} devices
 * @param {string} what
 * @returns {[string, string][]}
 */
function named(devices, what) {
  const choices = devices.map(
    ({ deviceId, label }, index) => /** @type {[string, string]} */ ([deviceId, label || `${t(what)} ${index + 1}`]),
  );
  return choices.some(([id]) => id === 'default') ? choices : [['', 'System default'], ...choices];
}
