// Plays what is received of sound, each way by which it arrives in an element of its own: of the server, one for each slot,
// which stays when the slot's track changes, so that nothing clicks or restarts; straight, one for each person's track. Where a
// track arrives both ways, one of the two is heard and the other runs along, muted, so that going over is a matter of an
// instant. Pictures are shown elsewhere (track.attach); browsers keep a participant's sound and picture in sync by the msid
// stream that they share, whichever elements play them.

import { Amplifier } from './amplifier.js';
import { setContextSpeaker } from './levels.js';

/** @import {Environment} from './environment.js' */
/** @import {Mode} from './topology.js' */
/** @import {RemoteTrack} from './track.js' */

/** @typedef {{element: HTMLAudioElement, amplifier: Amplifier, path: Mode, isHeard: boolean}} Outlet */

export class AudioPlayer {
  #createAudio;
  #onBlocked;
  /** @type {Map<string, Outlet>} */
  #outlets = new Map();
  #speakerId = '';

  /** The browser waits for a click before it plays anything. */
  blocked = false;

  /**
   * @param {Environment['createAudio']} createAudio
   * @param {(blocked: boolean) => void} onBlocked
   */
  constructor(createAudio, onBlocked) {
    this.#createAudio = createAudio;
    this.#onBlocked = onBlocked;
  }

  /** @param {RemoteTrack} track */
  update(track) {
    if (!this.#createAudio || track.kind !== 'audio') return;
    // What begins to be heard comes before what ends, in the same instant: a doubled sound is noticed less than none.
    const legs = track.legs.sort((one, other) => Number(other.isActive) - Number(one.isActive));
    for (const leg of legs) {
      const outlet = this.#outlet(leg.key, leg.path);
      if (!outlet) continue;
      const { element, amplifier } = outlet;
      const media = leg.receiver.track;
      if (currentTrack(element) !== media) {
        element.srcObject = new MediaStream([media]);
        void this.#play(element);
      }
      const begins = leg.isActive && !outlet.isHeard;
      outlet.isHeard = leg.isActive;
      amplifier.set(media, leg.isActive, track.participant.volume);
      // A browser that lets only muted elements play stops them when they are to be heard.
      if (begins) void this.#play(element);
    }
  }

  /** A track that arrived straight is gone; slots have the next one. @param {RemoteTrack} track */
  drop({ participant, source }) {
    this.#end(`p2p ${participant.participantId} ${source}`);
  }

  /** Nothing arrives by this way any more. @param {Mode} path */
  dropPath(path) {
    for (const [key, outlet] of [...this.#outlets]) if (outlet.path === path) this.#end(key);
  }

  /** To be called from a click when the browser has blocked playing. */
  async start() {
    this.#setBlocked(false);
    await Promise.all([...this.#outlets.values()].map(({ element }) => this.#play(element)));
  }

  /** @param {string} deviceId empty: the system's default */
  async setSpeaker(deviceId) {
    this.#speakerId = deviceId;
    setContextSpeaker(deviceId);
    for (const { amplifier } of this.#outlets.values()) amplifier.setSpeaker(deviceId);
    await Promise.all([...this.#outlets.values()].map(({ element }) => this.#setSpeaker(element)));
  }

  stop() {
    for (const key of [...this.#outlets.keys()]) this.#end(key);
    this.#setBlocked(false);
  }

  /**
   * @param {string} key
   * @param {Mode} path
   */
  #outlet(key, path) {
    const known = this.#outlets.get(key);
    if (known || !this.#createAudio) return known;
    const element = this.#createAudio();
    element.autoplay = true;
    const amplifier = new Amplifier(element, this.#createAudio);
    amplifier.setSpeaker(this.#speakerId);
    const outlet = { element, amplifier, path, isHeard: true };
    this.#outlets.set(key, outlet);
    void this.#setSpeaker(element);
    return outlet;
  }

  /** @param {string} key */
  #end(key) {
    const outlet = this.#outlets.get(key);
    if (!outlet) return;
    this.#outlets.delete(key);
    outlet.amplifier.close();
    outlet.element.srcObject = null;
  }

  /** @param {HTMLAudioElement} element */
  async #setSpeaker(element) {
    if (typeof element.setSinkId !== 'function' || element.sinkId === this.#speakerId) return;
    // A speaker that was unplugged leaves the element on the default one, which is what a person wants.
    await element.setSinkId(this.#speakerId).catch(() => {});
  }

  /** @param {HTMLAudioElement} element */
  async #play(element) {
    try {
      await element.play();
    } catch (error) {
      if (error instanceof DOMException && error.name === 'NotAllowedError') this.#setBlocked(true);
    }
  }

  /** @param {boolean} blocked */
  #setBlocked(blocked) {
    if (blocked === this.blocked) return;
    this.blocked = blocked;
    this.#onBlocked(blocked);
  }
}

/** @param {HTMLAudioElement} element */
function currentTrack(element) {
  const stream = element.srcObject;
  return stream instanceof MediaStream ? (stream.getAudioTracks()[0] ?? null) : null;
}
