// What a person notices of a call as a whole: how long it took to connect, to see and to hear somebody, how often
// pictures changed their size, and how often the call was interrupted.

/** @import {Kind} from './protocol.js' */
/** @import {Participant} from './participant.js' */
/** @import {RemoteTrack} from './track.js' */

/**
 * @typedef {object} ExperienceStats
 * @property {number | null} setupMs from `join` until media could flow
 * @property {number | null} firstPictureMs from `join`, or from when there was something to see, to the first picture
 * @property {number | null} firstSoundMs the same for sound; both are looked for ten times a second
 * @property {number} qualitySwitches how often another encoding of somebody's picture came, or none any more for want of
 *   bandwidth, or one again
 * @property {number} disconnects how often signalling or media was lost
 */

export class Experience {
  #now;
  /** When `join` was called. @type {number | null} */
  #began = null;
  /** Since when there is something to see and to hear. @type {Partial<Record<Kind, number>>} */
  #since = {};
  #hasLooked = false;
  #isInterrupted = false;
  /** @type {WeakSet<RemoteTrack>} */
  #layered = new WeakSet();
  /** @type {number | null} */
  #setup = null;
  /** @type {Partial<Record<Kind, number>>} */
  #first = {};
  #switches = 0;
  #disconnects = 0;

  /** @param {() => number} now in milliseconds */
  constructor(now) {
    this.#now = now;
  }

  begin() {
    this.#began = this.#now();
  }

  mediaConnected() {
    if (this.#began !== null) this.#setup ??= this.#now() - this.#began;
  }

  /** Which encoding of a track comes was told; the first time is no switch. @param {RemoteTrack} track */
  layerChanged(track) {
    if (this.#layered.has(track)) this.#switches++;
    this.#layered.add(track);
  }

  /** @param {boolean} isInterrupted whether signalling or media is lost just now */
  interrupted(isInterrupted) {
    if (isInterrupted && !this.#isInterrupted) this.#disconnects++;
    this.#isInterrupted = isInterrupted;
  }

  /**
   * Looks whether a first picture or a first sound has come.
   * @param {Iterable<Participant>} participants everybody else
   */
  look(participants) {
    const missing = /** @type {const} */ (['audio', 'video']).filter((kind) => this.#first[kind] === undefined);
    if (missing.length > 0) {
      const tracks = [...participants].flatMap(({ tracks }) => /** @type {RemoteTrack[]} */ ([...tracks]));
      for (const kind of missing)
        this.#lookFor(
          kind,
          tracks.filter((track) => track.kind === kind && !track.muted),
        );
    }
    this.#hasLooked = true;
  }

  /**
   * @param {Kind} kind
   * @param {RemoteTrack[]} tracks
   */
  #lookFor(kind, tracks) {
    if (tracks.length === 0) return;
    const now = this.#now();
    // Who was there when one joined was to be seen from then on.
    const since = (this.#since[kind] ??= this.#hasLooked ? now : (this.#began ?? now));
    const hasCome = tracks.some(({ receiver }) => (receiver?.getSynchronizationSources?.().length ?? 0) > 0);
    if (hasCome) this.#first[kind] = now - since;
  }

  /** @returns {ExperienceStats} */
  get stats() {
    return {
      setupMs: this.#setup,
      firstPictureMs: this.#first.video ?? null,
      firstSoundMs: this.#first.audio ?? null,
      qualitySwitches: this.#switches,
      disconnects: this.#disconnects,
    };
  }
}
