// Watches whether a new way is good enough to go over to it: what comes from everybody has to be there, and whole. Sound is,
// when samples have been played from what came for a while and none of them had to be made up, or no more than by the old way
// meanwhile: a network, or a computer, that cannot do better is no reason to stay. When a fifth of the time for the move is over,
// a moment of it that nobody notices may be made up, and when half of it is, some more, because a call that does not move when
// it should gets worse. A picture is good at its first frame, and goes over by itself then.

import { otherThan } from './topology.js';

/** @import {Environment} from './environment.js' */
/** @import {Participant} from './participant.js' */
/** @import {Mode} from './topology.js' */
/** @import {RemoteTrack} from './track.js' */

/** How long sound has to be whole, milliseconds. */
const WHOLE_FOR = 400;
/** Which part of the sound may be made up, from which part of the time for the move on: at first 10 ms of what is listened to. */
const MADE_UP = [
  { from: 0.5, part: 0.1 },
  { from: 0.2, part: 0.025 },
];
/** How long a picture is waited for when everything else is there, milliseconds. */
const PICTURES_WITHIN = 1000;

/**
 * @typedef {object} Heard a track's sound, since it is whole
 * @property {number} samples played by the new way in all
 * @property {{here: number, there: number}} made how many of these were made up, by the new way and by the old one
 * @property {number} since when
 */

export class PathWatch {
  #environment;
  #path;
  /** @type {Map<RemoteTrack, Heard>} */
  #heard = new Map();
  #begun;
  #within;
  /** When only pictures were missing. @type {number | null} */
  #onlyPictures = null;

  /**
   * @param {Environment} environment
   * @param {Mode} path the new one
   * @param {number} within how long the move may take, milliseconds
   */
  constructor(environment, path, within) {
    this.#environment = environment;
    this.#path = path;
    this.#begun = environment.now();
    this.#within = within;
  }

  /**
   * Looks once, and has the pictures go over that are there.
   * @param {Iterable<Participant>} participants everybody else
   * @returns {Promise<boolean>} whether everything is good
   */
  async look(participants) {
    /** @type {RemoteTrack[]} */
    const tracks = [];
    // Of somebody who is away nothing comes by either way.
    for (const participant of participants)
      if (participant.state === 'connected' && !participant.mediaLost)
        tracks.push(.../** @type {RemoteTrack[]} */ ([...participant.tracks]));
    const goods = await Promise.all(tracks.map((track) => this.#isGood(track)));
    const missing = tracks.filter((_track, index) => !goods[index]);
    const isSound = missing.every(({ kind }) => kind === 'video');
    if (!isSound) this.#onlyPictures = null;
    else this.#onlyPictures ??= this.#environment.now();
    const waited = this.#onlyPictures !== null && this.#environment.now() - this.#onlyPictures;
    return missing.length === 0 || (waited !== false && waited >= PICTURES_WITHIN);
  }

  /** @param {RemoteTrack} track @returns {Promise<boolean>} */
  async #isGood(track) {
    // What is not to come, or has to wait for a slot, is not waited for.
    if (this.#path === 'sfu' && track.serverId !== null) {
      if (track.status === 'unsubscribed' || track.status === 'unsupported') return true;
      if (track.status === 'waiting' && track.receiverBy('sfu') === null) return true;
    }
    if (track.muted || track.paused) return this.#path === 'sfu' ? track.serverId !== null : track.meshId !== null;
    const receiver = track.receiverBy(this.#path);
    const entry = receiver && (await inbound(receiver));
    if (!entry) return false;
    if (track.kind === 'video') return this.#goesOver(track, entry);
    return this.#isWhole(track, entry);
  }

  /** @param {RemoteTrack} track @param {Record<string, any>} entry of the statistics */
  #goesOver(track, entry) {
    if (!(entry.framesDecoded > 0)) return false;
    track.setPath(this.#path);
    return true;
  }

  /** @param {RemoteTrack} track @param {Record<string, any>} entry of the statistics of the new way */
  async #isWhole(track, entry) {
    const now = this.#environment.now();
    const { totalSamplesReceived, packetsReceived = 0 } = entry;
    if (packetsReceived === 0) return false;
    // Old browsers tell no samples; there packets have to do, of which there are few while nobody speaks.
    const samples = totalSamplesReceived ?? packetsReceived;
    const first = this.#heard.get(track);
    const allowed = first ? this.#allowed(now) * (samples - first.samples) : 0;
    const more = first ? madeUp(entry) - first.made.here - allowed : 0;
    if (!first || more > 0) {
      // Statistics cost time, which a call that moves has little of: those of the old way are only asked for where they matter.
      const there = await this.#madeUpBefore(track);
      if (!first || more > there - first.made.there) {
        this.#heard.set(track, { samples, made: { here: madeUp(entry), there }, since: now });
        return false;
      }
    }
    return samples > first.samples && now - first.since >= WHOLE_FOR;
  }

  /** Which part of the sound may be made up. @param {number} now */
  #allowed(now) {
    return MADE_UP.find(({ from }) => now >= this.#begun + from * this.#within)?.part ?? 0;
  }

  /** How many samples of a track were made up by the old way. @param {RemoteTrack} track */
  async #madeUpBefore(track) {
    const receiver = track.receiverBy(otherThan(this.#path));
    const entry = receiver && (await inbound(receiver));
    return entry ? madeUp(entry) : 0;
  }
}

/** Samples that were made up because nothing came; what is made up while nobody speaks is heard by nobody. @param {any} entry */
const madeUp = ({ concealedSamples = 0, silentConcealedSamples = 0 }) => concealedSamples - silentConcealedSamples;

/** @param {RTCRtpReceiver} receiver @returns {Promise<Record<string, any> | null>} */
async function inbound(receiver) {
  const report = /** @type {Map<string, any>} */ (/** @type {unknown} */ (await receiver.getStats()));
  for (const entry of report.values()) if (entry.type === 'inbound-rtp') return entry;
  return null;
}
