// Hides a video element from the moment its slot is given to another track until the first frame of that track:
// nobody's picture may flash under somebody else's name.

import { isAtOrAfter } from './rtp-time.js';

/** @import {Environment} from './environment.js' */

/** How long the old source's last frames can still be on their way where the browser tells no RTP timestamps. */
const SHORT_COVER = 150;
/** By then whatever arrives is the new source's, whatever the timestamp says. */
const LONGEST_COVER = 3000;
const POLL = 50;

/**
 * @param {number | undefined} rtpTimestamp of the frame shown, where the browser tells
 * @param {number | null} fromRtpTimestamp
 * @param {number} elapsed milliseconds since the slot changed
 */
export function isOfNewSource(rtpTimestamp, fromRtpTimestamp, elapsed) {
  if (elapsed >= LONGEST_COVER) return true;
  if (rtpTimestamp === undefined || fromRtpTimestamp === null) return elapsed >= SHORT_COVER;
  return isAtOrAfter(rtpTimestamp, fromRtpTimestamp);
}

export class Cover {
  #element;
  #environment;
  #onChange;
  #since = 0;
  /** @type {number | null} */
  #from = null;
  /** Counts what was begun, so that callbacks of an older cover do nothing. */
  #round = 0;

  covered = false;

  /**
   * @param {HTMLVideoElement} element
   * @param {Environment} environment
   * @param {() => void} onChange
   */
  constructor(element, environment, onChange) {
    this.#element = element;
    this.#environment = environment;
    this.#onChange = onChange;
  }

  /**
   * @param {number | null} fromRtpTimestamp
   * @param {number} since when the slot changed, by the environment's clock
   */
  start(fromRtpTimestamp, since) {
    this.#from = fromRtpTimestamp;
    this.#since = since;
    this.#round++;
    this.#set(true);
    if (typeof this.#element.requestVideoFrameCallback === 'function') this.#watch(this.#round);
    else this.#poll(this.#round, null);
  }

  stop() {
    this.#round++;
    this.#set(false);
  }

  /** @param {number} round */
  #watch(round) {
    this.#element.requestVideoFrameCallback((_now, { rtpTimestamp }) => {
      if (round !== this.#round) return;
      if (isOfNewSource(rtpTimestamp, this.#from, this.#elapsed)) this.#set(false);
      else this.#watch(round);
    });
  }

  /**
   * @param {number} round
   * @param {number | null} framesBefore
   */
  #poll(round, framesBefore) {
    this.#environment.setTimeout(() => {
      if (round !== this.#round) return;
      if (this.#elapsed < SHORT_COVER) return this.#poll(round, null);
      const frames = this.#element.getVideoPlaybackQuality().totalVideoFrames;
      if (framesBefore !== null && frames > framesBefore) this.#set(false);
      else this.#poll(round, framesBefore ?? frames);
    }, POLL);
  }

  get #elapsed() {
    return this.#environment.now() - this.#since;
  }

  /** @param {boolean} covered */
  #set(covered) {
    if (covered === this.covered) return;
    this.covered = covered;
    this.#element.style.opacity = covered ? '0' : '';
    this.#onChange();
  }
}
