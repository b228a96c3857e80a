// What the page remembers in this browser: the name, the devices, how pictures are sent, when one is heard, how it looks.

/** @import {Sensitivity} from '../sdk/voice-gate-worklet.js' */
/** @import {VoiceMode} from '../sdk/voice-gate.js' */
/** @import {Language} from './words.js' */

/** @typedef {'on' | 'off'} Switch */

/**
 * @typedef {object} Preferences
 * @property {string} name
 * @property {string} microphone device id, empty for the system's default
 * @property {string} camera
 * @property {string} speaker
 * @property {'low' | 'standard' | 'high'} quality
 * @property {'VP8' | 'VP9' | 'H264' | 'AV1'} codec
 * @property {'all' | 'small' | 'none'} received pictures of others
 * @property {VoiceMode} transmit when one is heard
 * @property {Sensitivity} sensitivity how soft a voice may be to be heard, where that is when one is
 * @property {string} pushKey which key is held to be heard, as `KeyboardEvent.code`
 * @property {Switch} echoCancellation
 * @property {Switch} noiseSuppression
 * @property {Switch} autoGainControl whether soft voices are made louder
 * @property {'system' | 'light' | 'dark' | 'contrast'} theme
 * @property {Language | ''} language empty: as the browser wants it
 * @property {'grid' | 'speaker'} view whether all are shown alike or whoever speaks large
 * @property {'on' | 'off'} sounds when people come and go
 */

const KEY = 'strait.preferences';

/** @type {Preferences} */
const DEFAULTS = {
  name: '',
  microphone: '',
  camera: '',
  speaker: '',
  quality: 'high',
  codec: 'VP8',
  received: 'all',
  transmit: 'always',
  sensitivity: 'medium',
  pushKey: 'Space',
  echoCancellation: 'on',
  noiseSuppression: 'on',
  autoGainControl: 'on',
  theme: 'system',
  language: '',
  view: 'grid',
  sounds: 'on',
};

export const QUALITIES = {
  low: { label: 'Low (320×180, 12 per second)', width: 320, height: 180, frameRate: 12, maxBitrate: 250_000 },
  standard: { label: 'Standard (640×360)', width: 640, height: 360, frameRate: 24, maxBitrate: 800_000 },
  high: { label: 'High (1280×720)', width: 1280, height: 720, frameRate: 30, maxBitrate: 2_000_000 },
};

/** @type {Record<string, {label: string, limit: import('../sdk/wishes.js').VideoLimit}>} */
export const RECEIVED = {
  all: { label: 'As large as they are shown', limit: {} },
  small: {
    label: 'Small, to save data',
    limit: { camera: { height: 180, frameRate: 15 }, screen: { height: 720, frameRate: 5 } },
  },
  none: { label: 'None: sound only', limit: { off: true } },
};

export const TRANSMIT = {
  always: { label: 'Always on' },
  voice: { label: 'When I speak' },
  push: { label: 'While I hold a key (push to talk)' },
};

export const SENSITIVITY = {
  low: { label: 'Low: loud voices only' },
  medium: { label: 'Medium' },
  high: { label: 'High: soft voices, too' },
};

export const THEMES = {
  system: { label: 'As the system has it' },
  light: { label: 'Light' },
  dark: { label: 'Dark' },
  contrast: { label: 'High contrast' },
};

/** What the browser does to what the microphone hears. */
export const PROCESSING = {
  noiseSuppression: { label: 'Suppress noise' },
  autoGainControl: { label: 'Adjust the volume of my voice' },
  echoCancellation: { label: 'Cancel echo' },
};

export const SOUNDS = { on: { label: 'On' }, off: { label: 'Off' } };

/** @returns {Preferences} */
export function loadPreferences() {
  try {
    return { ...DEFAULTS, ...JSON.parse(localStorage.getItem(KEY) ?? '{}') };
  } catch {
    return { ...DEFAULTS };
  }
}

/** @param {Partial<Preferences>} changes */
export function savePreferences(changes) {
  try {
    localStorage.setItem(KEY, JSON.stringify({ ...loadPreferences(), ...changes }));
  } catch {
    // Storage may be forbidden; the page works without a memory.
  }
}

/** What is wanted of the pictures of others at most. */
export function videoLimit() {
  return RECEIVED[loadPreferences().received]?.limit ?? {};
}

/** What is to be done to what the microphone hears. */
export function processing() {
  const { echoCancellation, noiseSuppression, autoGainControl } = loadPreferences();
  return {
    echoCancellation: echoCancellation === 'on',
    noiseSuppression: noiseSuppression === 'on',
    autoGainControl: autoGainControl === 'on',
  };
}

/** The camera as the preferences want it. */
export function cameraOptions() {
  const { camera, quality } = loadPreferences();
  const { width, height, frameRate } = QUALITIES[quality] ?? QUALITIES.high;
  return { deviceId: camera, width, height, frameRate };
}

/** How its picture is sent. */
export function cameraEncoding() {
  const { maxBitrate, frameRate } = QUALITIES[loadPreferences().quality] ?? QUALITIES.high;
  return { maxBitrate, maxFramerate: frameRate };
}
