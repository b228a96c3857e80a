// The encodings of a simulcast: one picture in several sizes, so that everybody receives no more than they show.
// The largest comes first, because browsers leave out the last ones of a picture that is too small for all of them.

/** @import {Source} from './protocol.js' */

/**
 * @typedef {object} Rung
 * @property {string} rid its name, the same in the offer and in everything that the server says about it
 * @property {number} scaleResolutionDownBy
 * @property {number} maxBitrate bits per second
 */

/** @type {Rung[]} */
const CAMERA = [
  { rid: 'high', scaleResolutionDownBy: 1, maxBitrate: 2_000_000 },
  { rid: 'medium', scaleResolutionDownBy: 2, maxBitrate: 1_000_000 },
  { rid: 'low', scaleResolutionDownBy: 4, maxBitrate: 300_000 },
];

/** Of 1080p: 1080, 720 and 360 lines. @type {Rung[]} */
const LARGE_CAMERA = [
  { rid: 'high', scaleResolutionDownBy: 1, maxBitrate: 2_500_000 },
  { rid: 'medium', scaleResolutionDownBy: 1.5, maxBitrate: 1_200_000 },
  { rid: 'low', scaleResolutionDownBy: 3, maxBitrate: 400_000 },
];

/** Browsers make no more than two of a picture like this. @type {Rung[]} */
const SMALL_CAMERA = [
  { rid: 'high', scaleResolutionDownBy: 1, maxBitrate: 800_000 },
  { rid: 'low', scaleResolutionDownBy: 2, maxBitrate: 250_000 },
];

/** @type {Rung[]} */
const SCREEN = [
  { rid: 'high', scaleResolutionDownBy: 1, maxBitrate: 2_000_000 },
  { rid: 'medium', scaleResolutionDownBy: 2, maxBitrate: 1_000_000 },
  { rid: 'low', scaleResolutionDownBy: 4, maxBitrate: 500_000 },
];

/**
 * The ladder that suits what is captured.
 * @param {Source} source
 * @param {{width?: number, height?: number}} size of the picture; unknown: taken for 720p
 * @returns {Rung[]} empty where the picture is too small to be worth more than one encoding
 */
export function ladderFor(source, { width = 1280, height = 720 }) {
  const lines = Math.min(width, height);
  if (source === 'screen') return SCREEN;
  if (lines >= 1000) return LARGE_CAMERA;
  if (lines >= 540) return CAMERA;
  return lines >= 270 ? SMALL_CAMERA : [];
}

/**
 * @param {number | undefined} pixels
 * @param {number} scale
 */
export function scaled(pixels, scale) {
  return pixels === undefined ? undefined : Math.max(1, Math.round(pixels / scale));
}
