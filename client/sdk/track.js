// A published track, of others or one's own: what both have in common, and the receiving side.

import { Cover } from './cover.js';
import { Emitter } from './emitter.js';
import { kindOf } from './protocol.js';
import { otherThan } from './topology.js';

/** @import {Environment} from './environment.js' */
/** @import {Participant} from './participant.js' */
/** @import {Kind, Layer, Source, TrackInfo} from './protocol.js' */
/** @import {Mode} from './topology.js' */
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

  /**
   * @protected
   * @param {MediaStreamTrack | null} track
   * @param {{isSame?: boolean}} [options] `isSame`: what is shown is the same, only by another way, so nothing may flicker
   */
  setMediaStreamTrack(track, { isSame = false } = {}) {
    if (track === this.#mediaStreamTrack) return;
    this.#mediaStreamTrack = track;
    for (const element of this.elements.keys()) if (!isSame || !exchange(element, track)) this.show(element);
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
 * Puts another track into the stream that an element plays. An element that is given another stream begins with nothing; one
 * whose stream has another track goes on showing what it showed until there is something newer.
 * @param {HTMLMediaElement} element
 * @param {MediaStreamTrack | null} track
 * @returns {boolean} whether it could be done
 */
function exchange(element, track) {
  const stream = element.srcObject;
  if (!track || !(stream instanceof MediaStream) || typeof stream.removeTrack !== 'function') return false;
  // Firefox goes on with a track that was taken out if another one is there already.
  for (const old of stream.getTracks()) stream.removeTrack(old);
  stream.addTrack(track);
  return true;
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

/**
 * One of the ways by which a track arrives.
 * @typedef {object} Leg
 * @property {Mode} path
 * @property {string} key which of all receivers it is
 * @property {RTCRtpReceiver} receiver
 */

/** While both ways are there their sound is held back alike, so that going over skips and repeats nothing; milliseconds. */
const ALIKE_DELAY = 60;

/** A track of somebody else. */
export class RemoteTrack extends Track {
  #environment;
  #control;
  /** @type {{mid: string, fromRtpTimestamp: number | null, since: number} | null} */
  #slot = null;
  /** The ways by which it arrives. @type {Record<Mode, Leg | null>} */
  #legs = { sfu: null, p2p: null };
  /** The way that is wanted; the other one serves where it is not there. @type {Mode} */
  #path = 'sfu';
  /** By which name the server knows it. @type {string | null} */
  #serverId;
  /** By which name its owner sends it straight; `null`: it is not sent so. @type {string | null} */
  #meshId = null;
  /** The leg that is heard and seen. @type {Leg | null} */
  #shown = null;
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
   * @param {Pick<TrackInfo, 'source' | 'muted'> & {trackId?: string}} info `trackId`: by which the server knows it
   * @param {Environment} environment
   * @param {TrackControl} control
   */
  constructor(participant, info, environment, control) {
    super(participant, kindOf(info.source), info.source);
    this.#serverId = info.trackId ?? null;
    this.trackId = this.#serverId;
    this.muted = info.muted;
    this.#environment = environment;
    this.#control = control;
  }

  get mid() {
    return this.#slot?.mid ?? null;
  }

  /** @returns {string | null} */
  get serverId() {
    return this.#serverId;
  }

  /** The server has listed it, or lists it no more. @param {string | null} id */
  set serverId(id) {
    this.#serverId = id;
    this.trackId = id ?? this.#meshId;
    if (id === null) this.setSlot(null, null);
    else this.#tellServer(id);
  }

  /** @returns {string | null} */
  get meshId() {
    return this.#meshId;
  }

  /** Its owner sends it straight, or does so no more. @param {string | null} id */
  set meshId(id) {
    this.#meshId = id;
    this.trackId = this.#serverId ?? id;
    if (id === null) this.setMeshReceiver(null);
  }

  /** Every way by which it arrives now, and whether it is the one that is heard and seen. */
  get legs() {
    const active = this.#leg;
    return /** @type {const} */ (['sfu', 'p2p']).flatMap((path) => {
      const leg = this.#legs[path];
      return leg ? [{ ...leg, isActive: leg === active }] : [];
    });
  }

  /** Where it arrives by one way. @param {Mode} path */
  receiverBy(path) {
    return this.#legs[path]?.receiver ?? null;
  }

  get #leg() {
    return this.#legs[this.#path] ?? this.#legs[otherThan(this.#path)];
  }

  /** Which way is heard and seen from now on, if it is there. @param {Mode} path */
  setPath(path) {
    if (path === this.#path) return;
    this.#path = path;
    this.#useLeg();
  }

  /** @param {boolean} isMoving whether both ways are there, and are to sound alike */
  setMoving(isMoving) {
    if (this.kind !== 'audio') return;
    for (const leg of Object.values(this.#legs)) {
      const receiver = /** @type {{jitterBufferTarget?: number | null} | undefined} */ (leg?.receiver);
      const target = isMoving ? ALIKE_DELAY : null;
      if (receiver && 'jitterBufferTarget' in receiver && receiver.jitterBufferTarget !== target)
        receiver.jitterBufferTarget = target;
    }
  }

  /** @param {RTCRtpReceiver | null} receiver where it arrives straight */
  setMeshReceiver(receiver) {
    if (receiver === (this.#legs.p2p?.receiver ?? null)) return;
    this.#legs.p2p = receiver && {
      path: 'p2p',
      key: `p2p ${this.participant.participantId} ${this.source}`,
      receiver,
    };
    this.#useLeg();
    if (!this.#leg && this.status === 'live') this.setStatus('pending');
  }

  /** What was wished before the server knew of it. @param {string} trackId */
  #tellServer(trackId) {
    const told = [
      ...(this.status === 'unsubscribed' ? [['unsubscribe', {}]] : []),
      ...(this.paused ? [['pause', { paused: true }]] : []),
      ...(this.pinned ? [['pin', { pinned: true }]] : []),
    ];
    for (const [type, more] of /** @type {[string, object][]} */ (told))
      this.#control.request(type, { trackId, ...more }).catch(() => {});
    this.#control.prefer(trackId);
  }

  /**
   * Asks the server, if the track comes by it: what comes straight is left out here.
   * @param {string} type
   * @param {object} more
   */
  async #ask(type, more = {}) {
    if (this.#serverId !== null) await this.#control.request(type, { trackId: this.#serverId, ...more });
  }

  /** The ways by which it arrives have changed, or which of them is wanted. */
  #useLeg() {
    const before = this.#shown;
    const leg = this.#leg;
    this.#shown = leg;
    this.receiver = leg?.receiver ?? null;
    this.setMediaStreamTrack(leg?.receiver.track ?? null, {
      // By another way comes the same picture, and in another slot may be the last of somebody else's.
      isSame: before !== null && leg !== null && before.path !== leg.path,
    });
    this.#letThrough();
    this.changed();
    if (leg && (this.status === 'pending' || this.status === 'waiting')) this.setStatus('live');
  }

  /** What is not wanted and comes straight all the same is neither heard nor seen. */
  #letThrough() {
    const straight = this.#legs.p2p?.receiver.track;
    if (straight) straight.enabled = !this.paused && this.status !== 'unsubscribed' && !this.switchedOff;
  }

  async subscribe() {
    await this.#ask('subscribe');
    if (this.status === 'unsubscribed') this.setStatus(this.#leg ? 'live' : 'pending');
    this.#letThrough();
  }

  async unsubscribe() {
    await this.#ask('unsubscribe');
    this.setStatus('unsubscribed');
    this.#letThrough();
  }

  /** Stays subscribed and keeps its slot, but nothing is sent. @param {boolean} paused */
  async setPaused(paused) {
    await this.#ask('pause', { paused });
    this.paused = paused;
    this.#letThrough();
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
    this.#letThrough();
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
    await this.#ask('pin', { pinned });
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
    const leg = this.#legs.sfu;
    const isOther = moved || (leg?.receiver ?? null) !== (slot && receiver);
    if (isOther) this.#legs.sfu = slot && receiver && { path: 'sfu', key: `sfu ${slot.mid}`, receiver };
    if (moved && slot && this.#leg?.path !== 'p2p') this.#coverFrom(slot.fromRtpTimestamp);
    if (isOther) this.#useLeg();
    if (!slot) this.layer = null;
    if (slot) this.setStatus('live');
    else if (!this.#leg && this.status === 'live') this.setStatus('pending');
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
