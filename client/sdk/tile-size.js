// Tells a track how large it is shown: the size of its element in pixels of the screen, and whether it can be seen at all.

/** @import {RemoteTrack} from './track.js' */

/**
 * Sizes are rounded up to this, so that a tile that moves by a pixel changes nothing.
 */
const STEP = 20;

/**
 * Lets the server send no more of a track than this element shows. Elements outside the document are not measured.
 * @param {RemoteTrack} track
 * @param {HTMLElement} element
 * @returns {() => void} ends it; the track is then wanted in any size again
 */
export function followTile(track, element) {
  // Without them nothing can be measured, and the track is wanted in any size.
  if (!globalThis.ResizeObserver || !globalThis.IntersectionObserver) return () => {};
  let isVisible = true;
  const state = () => {
    if (!element.isConnected) return track.prefer({});
    const { width, height } = element.getBoundingClientRect();
    if (!isVisible || width < 1 || height < 1) return track.prefer({ paused: true });
    track.prefer({ width: inPixels(width), height: inPixels(height) });
  };
  const sizes = new ResizeObserver(state);
  const sights = new IntersectionObserver((entries) => {
    isVisible = entries[entries.length - 1]?.isIntersecting ?? true;
    state();
  });
  sizes.observe(element);
  sights.observe(element);
  return () => {
    sizes.disconnect();
    sights.disconnect();
    track.prefer({});
  };
}

/** @param {number} length in CSS pixels */
function inPixels(length) {
  return Math.min(65_535, Math.ceil((length * globalThis.devicePixelRatio) / STEP) * STEP);
}
