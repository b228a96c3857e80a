// A published track, of others or one's own: what both have in common, and the receiving side.

import { Cover } from './cover.js';
import { Emitter } from './emitter.js';

/** @import {Environment} from './environment.js' */
/** @import {Participant} from './participant.js' */
/** @import {Kind, Layer, Source, TrackInfo} from './protocol.js' */
/** @import {Wish} from './wishes.js' */

/**
 * @typedef {object} TrackEvents
 * @property {{track: Track}} changed muted, status, cover or media: look again
 */

/** @extends {Emitter<TrackEvents>} */
export class Track extends Emitter {
  /** Given by the server; `null` while one's own track is not published yet. @type {string | null} */
  trackId = null;
  muted = false;
  /** @type {Map<HTMLMediaElement, Cover | null>} */
  elements = new Map();
  /** @type {MediaStreamTrack | null} */
  #mediaStreamTrack = null;

  /**
   * @param {Participant} participant
   * @param {Kind} kind
   * @param {Source} source
   */
  constructor(participant, kind, source) {
    super();
    this.participant = participant;
    this.kind = kind;
    this.source = source;
  }

  get mediaStreamTrack() {
    return this.#mediaStreamTrack;
  }

  /** @protected @param {MediaStreamTrack | null} track */
  setMediaStreamTrack(track) {
    if (track === this.#mediaStreamTrack) return;
    this.#mediaStreamTrack = track;
    for (const element of this.elements.keys()) this.show(element);
  }

  /** True while no attached element shows this track's own picture yet. */
  get covered() {
    const covers = [...this.elements.values()];
    return covers.length > 0 && covers.every((cover) => cover?.covered === true);
  }

  /**
   * Plays the track in the element, also after its slot has changed. Video elements are muted: a
   * participant's sound has elements of its own, and browsers keep both in sync by their msid stream.
   * @template {HTMLMediaElement} Element
   * @param {Element} element
   * @returns {Element}
   */
  attach(element) {
    element.autoplay = true;
    if (this.kind === 'video') {
      element.muted = true;
      element.setAttribute('playsinline', '');
    }
    if (!this.elements.has(element)) {
      const cover = this.makeCover(element);
      this.elements.set(element, cover);
      if (cover) this.startCover(cover);
    }
    this.show(element);
    return element;
  }

  /** @param {HTMLMediaElement} [element] left out: all */
  detach(element) {
    for (const attached of element ? [element] : [...this.elements.keys()]) {
      this.elements.get(attached)?.stop();
      if (this.elements.delete(attached)) attached.srcObject = null;
    }
  }

  /** @protected @param {HTMLMediaElement} _element @returns {Cover | null} */
  makeCover(_element) {
    return null;
  }

  /** @protected @param {Cover} _cover of an element just attached */
  startCover(_cover) {}

  /** @protected @param {HTMLMediaElement} element */
  show(element) {
    element.srcObject = this.#mediaStreamTrack ? new MediaStream([this.#mediaStreamTrack]) : null;
    // Autoplay rules do not hold back muted video; a refusal here is the element being replaced meanwhile.
    if (this.#mediaStreamTrack) element.play?.().catch(() => {});
  }

  changed() {
    this.emit('changed', { track: this });
  }
}

/**
 * `pending`: subscribed, no slot yet. `live`: in a slot. `waiting`: the server has no slot for it.
 * `unsupported`: this browser cannot decode it. `not-allowed`: its owner does not let us receive it. `unsubscribed`: by choice.
 * @typedef {'pending' | 'live' | 'waiting' | 'unsupported' | 'not-allowed' | 'unsubscribed'} TrackStatus
 */

/**
 * @typedef {object} TrackControl
 * @property {(type: string, data: object) => Promise<unknown>} request
 * @property {(trackId: string) => void} prefer its wish has changed
 */

/** A track of somebody else. */
export class RemoteTrack extends Track {
  #environment;
  #control;
  /** @type {{mid: string, fromRtpTimestamp: number | null, since: number} | null} */
  #slot = null;
  /** @type {TrackStatus} */
  status = 'pending';
  /** Why it is waiting or unsupported, in the server's words. */
  reason = '';
  paused = false;
  /** Keeps its slot whoever speaks. */
  pinned = false;
  /** Which encoding of a simulcast is received, or whether none is; `null` while nothing is known. @type {Layer | null} */
  layer = null;
  /** @type {RTCRtpReceiver | null} */
  receiver = null;
  /** What its own place on the screen needs, whatever else limits it. @type {Wish} */
  wish = {};
  /** Whether this client wants no pictures at all (`Room.limitVideo`). */
  switchedOff = false;

  /**
   * @param {Participant} participant
   * @param {TrackInfo} info
   * @param {Environment} environment
   * @param {TrackControl} control
   */
  constructor(participant, info, environment, control) {
    super(participant, info.kind, info.source);
    this.trackId = info.trackId;
    this.muted = info.muted;
    this.#environment = environment;
    this.#control = control;
  }

  get mid() {
    return this.#slot?.mid ?? null;
  }

  async subscribe() {
    await this.#control.request('subscribe', { trackId: this.trackId });
    if (this.status === 'unsubscribed') this.setStatus('pending');
  }

  async unsubscribe() {
    await this.#control.request('unsubscribe', { trackId: this.trackId });
    this.setStatus('unsubscribed');
  }

  /** Stays subscribed and keeps its slot, but nothing is sent. @param {boolean} paused */
  async setPaused(paused) {
    await this.#control.request('pause', { trackId: this.trackId, paused });
    this.paused = paused;
    this.changed();
  }

  /**
   * Says how large it is shown, in pixels of the screen, how many pictures a second are enough, or that it cannot be seen.
   * What is left out is not asked for. It is sent a little later, with others. `followTile` does this for an element's size.
   * @param {Wish} wish
   */
  prefer(wish) {
    this.wish = wish;
    if (this.trackId !== null) this.#control.prefer(this.trackId);
  }

  /** @param {boolean} switchedOff */
  setSwitchedOff(switchedOff) {
    if (switchedOff === this.switchedOff) return;
    this.switchedOff = switchedOff;
    // What was seen last is long over.
    if (!switchedOff) this.#coverFrom(null);
    this.changed();
  }

  /** Whether nothing of it is sent, because the network carries no more. */
  get pausedForBandwidth() {
    return this.layer?.paused === true && this.layer.reason !== 'load';
  }

  /** Whether nothing of it is sent, because the server has no time. */
  get pausedForLoad() {
    return this.layer?.paused === true && this.layer.reason === 'load';
  }

  /** @param {Layer} layer */
  setLayer(layer) {
    this.layer = layer;
    this.changed();
  }

  /** Lets it keep its slot whoever speaks, where there are fewer slots than tracks. @param {boolean} pinned */
  async setPinned(pinned) {
    await this.#control.request('pin', { trackId: this.trackId, pinned });
    this.pinned = pinned;
    this.changed();
  }

  /**
   * @param {TrackStatus} status
   * @param {string} [reason]
   */
  setStatus(status, reason = '') {
    if (status === this.status && reason === this.reason) return;
    this.status = status;
    this.reason = reason;
    this.changed();
  }

  /** Its owner lets us receive it, or does not. @param {boolean} allowed */
  setAllowed(allowed) {
    if (!allowed) this.setStatus('not-allowed');
    else if (this.status === 'not-allowed') this.setStatus('pending');
  }

  /** @param {boolean} muted */
  setMuted(muted) {
    if (muted === this.muted) return;
    this.muted = muted;
    if (!muted) this.#coverFrom(null);
    this.changed();
  }

  /**
   * @param {{mid: string, fromRtpTimestamp: number | null} | null} slot
   * @param {RTCRtpReceiver | null} receiver
   */
  setSlot(slot, receiver) {
    const moved = slot?.mid !== this.#slot?.mid;
    if (moved) this.#slot = slot && { ...slot, since: this.#environment.now() };
    this.receiver = receiver;
    const track = receiver?.track ?? null;
    if (moved && slot) this.#coverFrom(slot.fromRtpTimestamp);
    if (moved || track !== this.mediaStreamTrack) {
      this.setMediaStreamTrack(track);
      this.changed();
    }
    if (!slot) this.layer = null;
    if (slot) this.setStatus('live');
    else if (this.status === 'live') this.setStatus('pending');
  }

  /** @protected @override @param {HTMLMediaElement} element */
  makeCover(element) {
    if (this.kind !== 'video') return null;
    return new Cover(/** @type {HTMLVideoElement} */ (element), this.#environment, () => this.changed());
  }

  /** @protected @override @param {Cover} cover */
  startCover(cover) {
    if (this.#slot) cover.start(this.#slot.fromRtpTimestamp, this.#slot.since);
  }

  /** @param {number | null} fromRtpTimestamp */
  #coverFrom(fromRtpTimestamp) {
    for (const cover of this.elements.values()) cover?.start(fromRtpTimestamp, this.#environment.now());
  }
}
