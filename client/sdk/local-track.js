// One's own published track: mutes by sending nothing, and releases the camera while it is muted.

import { kindOf } from './protocol.js';
import { Track } from './track.js';

/** @import {Participant} from './participant.js' */
/** @import {Source} from './protocol.js' */

/**
 * @typedef {object} PublishOptions
 * @property {Source} source
 * @property {boolean} [muted] publish it silent at first
 * @property {number} [maxBitrate] bits per second
 * @property {number} [maxFramerate]
 * @property {number} [scaleResolutionDownBy]
 * @property {'VP8' | 'VP9' | 'H264' | 'AV1'} [videoCodec] instead of the room's
 * @property {() => Promise<MediaStreamTrack>} [recapture] captures again; with it the track is the SDK's to stop
 */

/**
 * @typedef {object} LocalTrackHandlers
 * @property {(track: LocalTrack) => void} onMuted muted or unmuted: tell the server
 * @property {(track: LocalTrack) => void} onEnded the browser took the device away
 */

export class LocalTrack extends Track {
  /** @type {RTCRtpSender | null} */
  sender = null;
  #options;
  #handlers;
  #stopped = false;
  /** Toggles in quick succession happen one after the other. @type {Promise<void>} */
  #queue = Promise.resolve();

  /**
   * @param {Participant} participant
   * @param {MediaStreamTrack} mediaStreamTrack
   * @param {PublishOptions} options
   * @param {LocalTrackHandlers} handlers
   */
  constructor(participant, mediaStreamTrack, options, handlers) {
    super(participant, kindOf(options.source), options.source);
    this.#options = options;
    this.#handlers = handlers;
    this.muted = options.muted === true;
    this.#use(mediaStreamTrack);
  }

  get videoCodec() {
    return this.#options.videoCodec;
  }

  /** @returns {RTCRtpEncodingParameters} */
  get encoding() {
    const { maxBitrate, maxFramerate, scaleResolutionDownBy } = this.#options;
    return {
      ...(maxBitrate !== undefined && { maxBitrate }),
      ...(maxFramerate !== undefined && { maxFramerate }),
      ...(scaleResolutionDownBy !== undefined && { scaleResolutionDownBy }),
    };
  }

  /**
   * Changes bitrate, frame rate or scale while it is being sent.
   * @param {Pick<PublishOptions, 'maxBitrate' | 'maxFramerate' | 'scaleResolutionDownBy'>} encoding
   */
  async setEncoding(encoding) {
    this.#options = { ...this.#options, ...encoding };
    await this.applyEncoding();
  }

  async applyEncoding() {
    const parameters = this.sender?.getParameters();
    const first = parameters?.encodings[0];
    if (!parameters || !first) return;
    delete first.maxBitrate;
    delete first.maxFramerate;
    delete first.scaleResolutionDownBy;
    Object.assign(first, this.encoding);
    await this.sender?.setParameters(parameters);
  }

  /** What the sender sends. */
  get outgoing() {
    return this.muted ? null : this.mediaStreamTrack;
  }

  /** @param {boolean} muted */
  setMuted(muted) {
    return this.#enqueue(async () => {
      if (muted === this.muted) return;
      if (muted) {
        this.muted = true;
        this.#handlers.onMuted(this);
        await this.sender?.replaceTrack(null);
        if (this.kind === 'video' && this.#options.recapture) this.mediaStreamTrack?.stop();
      } else {
        if (this.mediaStreamTrack?.readyState !== 'live' && this.#options.recapture) {
          this.#use(await this.#options.recapture());
        }
        if (this.#stopped) return this.stop();
        this.muted = false;
        await this.sender?.replaceTrack(this.mediaStreamTrack);
        this.#handlers.onMuted(this);
      }
      this.changed();
    });
  }

  /**
   * Sends another track from now on: another camera or microphone.
   * @param {MediaStreamTrack} mediaStreamTrack
   * @param {() => Promise<MediaStreamTrack>} [recapture]
   */
  replace(mediaStreamTrack, recapture) {
    return this.#enqueue(async () => {
      const before = this.mediaStreamTrack;
      const owned = this.#options.recapture !== undefined;
      if (recapture) this.#options = { ...this.#options, recapture };
      this.#use(mediaStreamTrack);
      await this.sender?.replaceTrack(this.outgoing);
      if (owned && before !== mediaStreamTrack) before?.stop();
      this.changed();
    });
  }

  /**
   * Another camera for the next time it is turned on.
   * @param {() => Promise<MediaStreamTrack>} recapture
   */
  replaceSource(recapture) {
    return this.#enqueue(async () => {
      this.#options = { ...this.#options, recapture };
    });
  }

  /** Releases the device, if the SDK captured it. */
  stop() {
    this.#stopped = true;
    if (this.#options.recapture) this.mediaStreamTrack?.stop();
    this.detach();
  }

  /** @param {MediaStreamTrack} mediaStreamTrack */
  #use(mediaStreamTrack) {
    this.setMediaStreamTrack(mediaStreamTrack);
    mediaStreamTrack.addEventListener('ended', () => {
      if (mediaStreamTrack === this.mediaStreamTrack && !this.#stopped) this.#handlers.onEnded(this);
    });
  }

  /** @param {() => Promise<void>} action */
  #enqueue(action) {
    const done = this.#queue.then(action);
    this.#queue = done.catch(() => {});
    return done;
  }
}
