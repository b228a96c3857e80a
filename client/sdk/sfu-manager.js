// The way through the server: the media connection there is now, what is published on it, and what the server says about it.
// It opens and closes as the call's mode wants it; mode-controller.js says when.

import { MediaConnection } from './media.js';
import { StraitError } from './errors.js';

/** @import {CodecChoice} from './codecs.js' */
/** @import {Message} from './data-channels.js' */
/** @import {Environment} from './environment.js' */
/** @import {LocalTrack} from './local-track.js' */
/** @import {Answer, Joined, OfferRequest, PublicationInfo, Resumed, SlotCounts} from './protocol.js' */

/** Sound when a call has moved here, bits per second, until the server says what the networks of all carry. */
const AUDIO_BITRATE = 64_000;

/**
 * @typedef {object} SfuHost
 * @property {(offer: OfferRequest, isWanted: () => boolean) => Promise<Answer>} exchange
 * @property {() => LocalTrack[]} tracks one's own
 * @property {(track: LocalTrack, info: PublicationInfo) => void} onPublished
 * @property {() => void} onSections receivers by mid may have changed
 * @property {(state: RTCPeerConnectionState) => void} onState
 * @property {(message: Message) => void} onMessage
 * @property {() => void} onTrouble
 * @property {() => void} onDead nothing mends the connection; it is still there, to be closed
 * @property {() => void} onClosed what came by it comes no more
 * @property {(error: unknown) => void} onError of something that nobody was waiting for
 */

export class SfuManager {
  #environment;
  #codecs;
  #withChannels;
  #host;
  /** @type {MediaConnection | null} */
  #media = null;
  /** The first exchange of the present connection. @type {Promise<void>} */
  #opened = Promise.resolve();
  #isHeld = false;
  /** Whether a call moves here that was not here before. */
  #comes = false;
  /** @type {SlotCounts} */
  #slots = { audio: 0, video: 0 };
  /** @type {RTCIceServer[]} */
  #iceServers = [];

  /**
   * @param {Environment} environment
   * @param {CodecChoice} codecs
   * @param {boolean} withChannels
   * @param {SfuHost} host
   */
  constructor(environment, codecs, withChannels, host) {
    this.#environment = environment;
    this.#codecs = codecs;
    this.#withChannels = withChannels;
    this.#host = host;
  }

  /** Whether there is a connection, or one was given up that the next join replaces. */
  get isOpen() {
    return this.#media !== null;
  }

  /** Whether it was given up while there was no server to say so to. */
  get isDead() {
    return this.#media?.closed === true;
  }

  /** @returns {RTCPeerConnectionState} */
  get connectionState() {
    return this.#media?.connectionState ?? 'new';
  }

  /** @returns {RTCIceConnectionState} */
  get iceConnectionState() {
    return this.#media?.iceConnectionState ?? 'new';
  }

  get dataChannels() {
    return this.#media?.dataChannels ?? null;
  }

  /** What the connection is made with. @param {Joined} joined */
  adopt({ slots, iceServers }) {
    this.#slots = slots;
    this.#iceServers = iceServers;
  }

  /**
   * @param {{isHeld?: boolean}} [options] `isHeld`: nothing is sent yet
   * @returns {Promise<void>} settled when the first offer is answered
   */
  open({ isHeld = false } = {}) {
    if (this.#media) return this.#opened;
    this.#isHeld = isHeld;
    /** @type {MediaConnection} */
    const media = new MediaConnection(this.#environment, this.#iceServers, this.#codecs, {
      exchange: (offer) => this.#host.exchange(offer, () => !media.closed),
      onState: (state) => this.#host.onState(state),
      onSections: () => this.#host.onSections(),
      onPublished: (track, info) => this.#host.onPublished(track, info),
      onMessage: (message) => this.#host.onMessage(message),
      onTrouble: () => this.#host.onTrouble(),
      onDead: () => {
        if (media === this.#media) this.#host.onDead();
      },
    });
    this.#media = media;
    media.addSlots(this.#slots);
    if (this.#withChannels) media.openDataChannels();
    this.#opened = this.#publishAll(media);
    return this.#opened;
  }

  /** Gives the connection up, and keeps it for what is still to be told about it. */
  abandon() {
    this.#media?.close();
  }

  close() {
    const media = this.#media;
    if (!media) return;
    this.#media = null;
    this.#comes = false;
    media.close();
    for (const track of this.#host.tracks()) void track.hold(false);
    this.#host.onClosed();
  }

  /** @param {boolean} isHeld whether nothing is sent, although all is published */
  hold(isHeld) {
    this.#isHeld = isHeld;
    if (!this.#media) return;
    for (const track of this.#host.tracks()) track.hold(isHeld).catch((error) => this.#host.onError(error));
  }

  /**
   * While a call moves here its sound is what browsers make of it by themselves, about 32 kbit/s, and better when it has come.
   * @param {boolean} isSlow
   */
  slow(isSlow) {
    if (isSlow) {
      this.#comes ||= !this.#media || this.#isHeld;
      return;
    }
    if (this.#comes && this.#media)
      for (const track of this.#host.tracks())
        if (track.source === 'microphone')
          track.limitAtFirst(AUDIO_BITRATE).catch((error) => this.#host.onError(error));
    this.#comes = false;
  }

  /** @param {LocalTrack} track */
  async publish(track) {
    const media = this.#media;
    if (!media) return;
    void track.hold(this.#isHeld);
    try {
      await media.add(track);
      await media.negotiate();
    } catch (error) {
      // The connection that comes next publishes it.
      if (StraitError.from(error).code === 'connection-lost') return;
      throw error;
    }
  }

  /** @param {LocalTrack} track */
  async unpublish(track) {
    const media = this.#media;
    if (!media) return;
    await media.remove(track);
    await media.negotiate();
  }

  /** @param {LocalTrack} track */
  async withdraw(track) {
    await this.#media?.remove(track);
  }

  /** Tells the server what a track is now. */
  async renegotiate() {
    await this.#media?.negotiate();
  }

  /** @param {Resumed} resumed */
  resume(resumed) {
    const media = this.#media;
    if (!media) return;
    media.applyPublications(resumed.publications);
    if (!media.agreesWith(resumed.publications)) this.#negotiateLater(media);
    media.resume(resumed.iceServers);
  }

  networkBack() {
    this.#media?.networkBack();
  }

  /**
   * @param {string} type
   * @param {any} data
   * @returns {boolean} whether the message was about this connection
   */
  news(type, data) {
    if (type === 'more-slots') {
      this.#slots = data;
      if (!this.#media) return true;
      this.#media.addSlots(data);
      this.#negotiateLater(this.#media);
      return true;
    }
    if (type !== 'cannot-publish') return false;
    this.#media?.refused(data);
    return true;
  }

  /** @param {string} mid */
  receiver(mid) {
    return this.#media?.receiver(mid) ?? null;
  }

  /** @param {LocalTrack} track */
  midOf(track) {
    return this.#media?.midOf(track) ?? null;
  }

  /** @returns {Promise<RTCStatsReport | null>} */
  async getStats() {
    return this.#media && !this.#media.closed ? this.#media.getStats() : null;
  }

  /** @param {MediaConnection} media */
  async #publishAll(media) {
    for (const track of this.#host.tracks()) {
      // It may have been unpublished meanwhile, or have another owner by now.
      if (!this.#host.tracks().includes(track)) continue;
      void track.hold(this.#isHeld);
      await media.add(track);
    }
    await media.negotiate();
  }

  /** @param {MediaConnection} media */
  #negotiateLater(media) {
    media.negotiate().catch((error) => {
      if (!media.closed) this.#host.onError(error);
    });
  }
}
