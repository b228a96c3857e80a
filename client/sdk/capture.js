// Microphone, camera and screen: getting them, listing them, and saying in plain words why it did not work.

import { StraitError } from './errors.js';

/** @import {VoiceGate} from './voice-gate.js' */

/**
 * @typedef {object} MicrophoneOptions
 * @property {string} [deviceId]
 * @property {VoiceGate} [gate] when it is heard; left out: always
 * @property {boolean} [echoCancellation] whether the browser takes out what the speaker plays; it does unless told otherwise
 * @property {boolean} [noiseSuppression] the same of noise
 * @property {boolean} [autoGainControl] the same of making soft voices louder, and loud ones softer
 *
 * @typedef {object} CameraOptions
 * @property {string} [deviceId]
 * @property {number} [width]
 * @property {number} [height]
 * @property {number} [frameRate]
 *
 * @typedef {object} ScreenOptions
 * @property {number} [width]
 * @property {number} [height]
 * @property {number} [frameRate]
 * @property {boolean} [audio]
 *
 * @typedef {'microphone' | 'camera'} DeviceKind
 */

/** @param {MicrophoneOptions} [options] */
export async function captureMicrophone({
  deviceId,
  gate,
  echoCancellation = true,
  noiseSuppression = true,
  autoGainControl = true,
} = {}) {
  const constraints = { echoCancellation, noiseSuppression, autoGainControl };
  const stream = await capture('microphone', deviceId, (device) => ({ audio: { ...constraints, ...device } }));
  const track = /** @type {MediaStreamTrack} */ (stream.getAudioTracks()[0]);
  return gate ? gate.through(track) : track;
}

/** @param {CameraOptions} [options] */
export async function captureCamera({ deviceId, width = 1280, height = 720, frameRate = 30 } = {}) {
  const size = {
    width: { ideal: width },
    height: { ideal: height },
    frameRate: { ideal: frameRate, max: frameRate },
  };
  const stream = await capture('camera', deviceId, (device) => ({ video: { ...size, ...device } }));
  return /** @type {MediaStreamTrack} */ (stream.getVideoTracks()[0]);
}

/** @param {ScreenOptions} [options] */
export async function captureScreen({ width = 1920, height = 1080, frameRate = 30, audio = true } = {}) {
  if (!navigator.mediaDevices?.getDisplayMedia) throw unavailable('Screen sharing');
  try {
    const stream = await navigator.mediaDevices.getDisplayMedia({
      video: {
        width: { ideal: width, max: width },
        height: { ideal: height, max: height },
        frameRate: { ideal: frameRate, max: frameRate },
      },
      audio,
    });
    const video = /** @type {MediaStreamTrack} */ (stream.getVideoTracks()[0]);
    return { video, audio: stream.getAudioTracks()[0] ?? null };
  } catch (error) {
    if (nameOf(error) === 'NotAllowedError') {
      throw new StraitError('share-cancelled', 'Nothing is shared.', 'Choose a screen or window to share it.', {
        cause: error,
      });
    }
    throw captureError(error, 'screen');
  }
}

/** Devices as far as the browser names them; before a permission is given, names are empty. */
export async function listDevices() {
  const devices = (await navigator.mediaDevices?.enumerateDevices?.()) ?? [];
  const of = (/** @type {MediaDeviceKind} */ kind) =>
    devices.filter((device) => device.kind === kind && device.deviceId !== '');
  return { microphones: of('audioinput'), cameras: of('videoinput'), speakers: of('audiooutput') };
}

/**
 * @param {DeviceKind} device
 * @returns {Promise<PermissionState | 'unknown'>} `unknown` where the browser does not tell beforehand
 */
export async function permissionState(device) {
  try {
    const status = await navigator.permissions.query({ name: /** @type {PermissionName} */ (device) });
    return status.state;
  } catch {
    return 'unknown';
  }
}

/**
 * Prefers the chosen device; if that is unplugged, takes any.
 * @param {DeviceKind} device
 * @param {string | undefined} deviceId
 * @param {(device: MediaTrackConstraints) => MediaStreamConstraints} constraints
 */
async function capture(device, deviceId, constraints) {
  if (!navigator.mediaDevices?.getUserMedia) throw unavailable(device === 'camera' ? 'The camera' : 'The microphone');
  try {
    if (deviceId) {
      try {
        return await navigator.mediaDevices.getUserMedia(constraints({ deviceId: { exact: deviceId } }));
      } catch (error) {
        if (nameOf(error) !== 'OverconstrainedError' && nameOf(error) !== 'NotFoundError') throw error;
      }
    }
    return await navigator.mediaDevices.getUserMedia(constraints({}));
  } catch (error) {
    throw captureError(error, device);
  }
}

/** @param {string} what */
function unavailable(what) {
  if (globalThis.isSecureContext === false) {
    return new StraitError(
      'insecure-context',
      `${what} is only available on a secure page.`,
      'Open this page over https, or on this computer at http://localhost.',
    );
  }
  return new StraitError(
    'unsupported-browser',
    `${what} is not available in this browser.`,
    'Use a current version of Chrome, Firefox, Edge or Safari.',
  );
}

/**
 * @param {unknown} error
 * @param {DeviceKind | 'screen'} device
 */
export function captureError(error, device) {
  const options = { cause: error };
  switch (nameOf(error)) {
    case 'NotAllowedError':
    case 'SecurityError':
      return new StraitError(
        'permission-denied',
        `The browser may not use the ${device}.`,
        `Allow the ${device} in the address bar or the browser's settings, then try again.`,
        options,
      );
    case 'NotFoundError':
    case 'OverconstrainedError':
      return new StraitError(
        'no-device',
        `No ${device} was found.`,
        `Connect a ${device} and try again, or join without it.`,
        options,
      );
    case 'NotReadableError':
    case 'AbortError':
      return new StraitError(
        'device-in-use',
        `The ${device} could not be opened.`,
        'Close other programs or windows that use it, then try again.',
        options,
      );
    default:
      return new StraitError(
        'capture-failed',
        `The ${device} could not be opened.`,
        'Reload the page and try again, or choose another device.',
        options,
      );
  }
}

/** @param {unknown} error */
function nameOf(error) {
  return error instanceof Error || error instanceof DOMException ? error.name : '';
}
