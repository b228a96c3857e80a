// What this client wants to see of the tracks of others, sent to the server in few messages. A track that is needed
// larger than before is asked for soon; one that is needed smaller can wait, because it may grow again.

import { StraitError } from './errors.js';

/** @import {Environment} from './environment.js' */
/** @import {Source} from './protocol.js' */

/**
 * @typedef {object} Wish
 * @property {number} [width] pixels of the screen
 * @property {number} [height] pixels of the screen
 * @property {number} [frameRate] pictures a second that are enough
 * @property {'very-low' | 'low' | 'medium' | 'high'} [priority] where not everything can be sent
 * @property {boolean} [paused] it cannot be seen
 */

/**
 * What is wanted at most of one kind of picture.
 * @typedef {Pick<Wish, 'height' | 'frameRate'>} PictureLimit
 *
 * @typedef {object} VideoLimit what is wanted at most, however large it is shown
 * @property {boolean} [off] no pictures at all: sound only
 * @property {PictureLimit} [camera] of every camera
 * @property {PictureLimit} [screen] of every screen
 */

/** What the server knows of a track after a message that may or may not have reached it. @type {Wish} */
const UNKNOWN = { width: -1 };

/** Refusals that pass by themselves. */
const PASSING = new Set(['connection-lost', 'rate-limited']);

const UP_DELAY = 250;
const DOWN_DELAY = 1000;

export class Wishes {
  #environment;
  #send;
  /** What the server knows, by track. @type {Map<string, Wish>} */
  #told = new Map();
  /** What it is to be told, and when. @type {Map<string, {wish: Wish, at: number}>} */
  #pending = new Map();
  /** @type {unknown} */
  #timer = null;

  /**
   * @param {Environment} environment
   * @param {(tracks: ({trackId: string} & Wish)[]) => Promise<unknown>} send
   */
  constructor(environment, send) {
    this.#environment = environment;
    this.#send = send;
  }

  /**
   * @param {string} trackId
   * @param {Wish} wish all that is wanted of the track
   */
  set(trackId, wish) {
    const told = this.#told.get(trackId);
    if (isSame(told ?? {}, wish)) {
      this.#pending.delete(trackId);
      return;
    }
    const pending = this.#pending.get(trackId);
    if (pending && isSame(pending.wish, wish)) return;
    const delay = told && isLess(wish, told) ? DOWN_DELAY : UP_DELAY;
    const at = this.#environment.now() + delay;
    // A tile that moves to and fro must not put it off for ever.
    const isUp = delay === UP_DELAY;
    this.#pending.set(trackId, { wish, at: pending && isUp ? Math.min(pending.at, at) : at });
    this.#schedule();
  }

  /** The track is gone. @param {string} trackId */
  forget(trackId) {
    this.#told.delete(trackId);
    this.#pending.delete(trackId);
  }

  /** A new participant: the server knows of nothing. */
  clear() {
    this.#told.clear();
    this.#pending.clear();
    this.#environment.clearTimeout(this.#timer);
    this.#timer = null;
  }

  #schedule() {
    this.#environment.clearTimeout(this.#timer);
    this.#timer = null;
    const next = Math.min(...[...this.#pending.values()].map(({ at }) => at));
    if (next === Infinity) return;
    const wait = Math.max(0, next - this.#environment.now());
    this.#timer = this.#environment.setTimeout(() => this.#flush(), wait);
  }

  #flush() {
    const now = this.#environment.now();
    const due = [...this.#pending].filter(([, { at }]) => at <= now);
    for (const [trackId, { wish }] of due) {
      this.#pending.delete(trackId);
      this.#told.set(trackId, wish);
    }
    this.#schedule();
    if (due.length === 0) return;
    const tracks = due.map(([trackId, { wish }]) => ({ trackId, ...wish }));
    this.#send(tracks).catch((error) => {
      // A connection that broke, or too many messages: told again later, unless something else is wanted by then. What is
      // refused for another reason is refused again: a server that knows no wishes shows all as large as it is.
      if (!PASSING.has(StraitError.from(error).code)) return;
      for (const [trackId, { wish }] of due) {
        if (this.#told.get(trackId) !== wish) continue;
        this.#told.set(trackId, UNKNOWN);
        if (!this.#pending.has(trackId)) this.#pending.set(trackId, { wish, at: now + DOWN_DELAY });
      }
      this.#schedule();
    });
  }
}

/**
 * What is left of a wish under a limit.
 * @param {Wish} wish
 * @param {Source} source
 * @param {VideoLimit} limit
 * @returns {Wish}
 */
export function limited(wish, source, limit) {
  if (limit.off) return { paused: true };
  const most = source === 'screen' ? limit.screen : limit.camera;
  if (!most || wish.paused) return wish;
  const { width, height } = wish;
  const cut = { ...wish };
  if (most.frameRate !== undefined) cut.frameRate = Math.min(wish.frameRate ?? Infinity, most.frameRate);
  if (most.height !== undefined) {
    // The server goes by the width only where there is no height.
    if (height === undefined && width !== undefined) cut.width = Math.min(width, Math.round((most.height * 16) / 9));
    else cut.height = Math.min(height ?? Infinity, most.height);
  }
  return cut;
}

/**
 * @param {Wish} one
 * @param {Wish} other
 */
function isSame(one, other) {
  const hasSameSize = one.width === other.width && one.height === other.height;
  const isAsGood = one.frameRate === other.frameRate && one.priority === other.priority;
  return hasSameSize && isAsGood && !one.paused === !other.paused;
}

/**
 * Whether less is wanted than before. What has no size is wanted as large as it is, and without a rate all its pictures.
 * @param {Wish} wish
 * @param {Wish} before
 */
function isLess(wish, before) {
  if (!wish.paused !== !before.paused) return wish.paused === true;
  const size = (/** @type {Wish} */ { width, height }) => height ?? width ?? Infinity;
  const rate = (/** @type {Wish} */ { frameRate }) => frameRate ?? Infinity;
  const [sizes, rates] = [size(wish) - size(before) || 0, rate(wish) - rate(before) || 0];
  return Math.max(sizes, rates) <= 0 && Math.min(sizes, rates) < 0;
}
