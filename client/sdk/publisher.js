// One's own tracks: publishing, muting, devices and the screen, by
// every way that there is now. Each track has one owner here, and as many that send it as there are ways.

import { captureCamera, captureMicrophone, captureScreen } from './capture.js';
import { StraitError, hasLeft } from './errors.js';
import { LocalTrack } from './local-track.js';

/** @import {CameraOptions, MicrophoneOptions, ScreenOptions} from './capture.js' */
/** @import {PublishOptions} from './local-track.js' */
/** @import {Participant} from './participant.js' */
/** @import {PublicationInfo, Source} from './protocol.js' */

/** @typedef {Omit<PublishOptions, 'source' | 'recapture' | 'muted'>} DeviceEncoding */

/**
 * @typedef {object} Way one of those by which tracks go out; both may be there at once
 * @property {(track: LocalTrack) => Promise<void>} publish
 * @property {(track: LocalTrack) => Promise<void>} unpublish
 * @property {(track: LocalTrack) => Promise<void>} withdraw of a track that another way did not take
 * @property {() => Promise<void>} renegotiate a track's encodings have changed
 * @property {() => void} [muted] a track was muted or unmuted
 *
 * @typedef {object} PublisherHost
 * @property {(type: string, data: object) => Promise<unknown>} request
 * @property {(track: LocalTrack) => void} onAdded
 * @property {(track: LocalTrack) => void} onRemoved
 * @property {(error: unknown) => void} onError of something that nobody was waiting for
 */

export class Publisher {
  #participant;
  #host;
  #released = false;
  /** @type {Way[]} */
  #ways = [];

  /**
   * @param {Participant} participant
   * @param {PublisherHost} host
   */
  constructor(participant, host) {
    this.#participant = participant;
    this.#host = host;
  }

  /** The ways by which tracks go out; whether one is open is its own business. @param {Way[]} ways */
  set ways(ways) {
    this.#ways = ways;
  }

  /** @returns {LocalTrack[]} */
  get tracks() {
    return /** @type {LocalTrack[]} */ ([...this.#participant.tracks]);
  }

  /**
   * @param {MediaStreamTrack} mediaStreamTrack
   * @param {PublishOptions} options
   */
  async publish(mediaStreamTrack, options) {
    if (this.#released) {
      if (options.recapture) mediaStreamTrack.stop();
      throw hasLeft();
    }
    const track = new LocalTrack(this.#participant, mediaStreamTrack, options, {
      onMuted: (changed) => this.#sendMuted(changed),
      onEnded: (ended) => this.#onEnded(ended),
    });
    this.#participant.tracks.add(track);
    this.#host.onAdded(track);
    this.#participant.changed();
    try {
      await Promise.all(this.#ways.map((way) => way.publish(track)));
    } catch (error) {
      this.#forget(track);
      await Promise.all(this.#ways.map((way) => way.withdraw(track)));
      throw error;
    }
    return track;
  }

  /**
   * Ends a track that one may not publish any more. The server has ended it already.
   * @param {string} trackId
   */
  async endByModerator(trackId) {
    const track = this.#find(trackId);
    if (track) await this.unpublish(track);
  }

  /** @param {LocalTrack} track */
  async unpublish(track) {
    this.#forget(track);
    await Promise.all(this.#ways.map((way) => way.unpublish(track)));
  }

  /**
   * @param {boolean} enabled
   * @param {MicrophoneOptions} [options]
   */
  setMicrophone(enabled, options) {
    return this.#setDevice('microphone', enabled, () => captureMicrophone(options));
  }

  /**
   * @param {boolean} enabled
   * @param {CameraOptions & DeviceEncoding} [options]
   */
  setCamera(enabled, { deviceId, width, height, frameRate, ...encoding } = {}) {
    return this.#setDevice('camera', enabled, () => captureCamera({ deviceId, width, height, frameRate }), encoding);
  }

  /**
   * @param {'microphone' | 'camera'} source
   * @param {MicrophoneOptions & CameraOptions} options
   */
  async switchDevice(source, options) {
    const track = this.#track(source);
    if (!track) return;
    const recapture = source === 'microphone' ? () => captureMicrophone(options) : () => captureCamera(options);
    if (track.muted && source === 'camera') await track.replaceSource(recapture);
    else {
      const before = JSON.stringify(track.declared);
      await track.replace(await recapture(), recapture);
      // The server knows the encodings by their sizes.
      if (JSON.stringify(track.declared) !== before) await Promise.all(this.#ways.map((way) => way.renegotiate()));
    }
  }

  /** @param {ScreenOptions & DeviceEncoding} [options] */
  async startScreenShare({ width, height, frameRate, audio: withAudio, ...encoding } = {}) {
    if (this.#track('screen')) return;
    const { video, audio } = await captureScreen({ width, height, frameRate, audio: withAudio });
    // Marks the tracks as the SDK's to stop; a screen that was ended has to be chosen anew by the person.
    const recapture = () =>
      Promise.reject(new StraitError('share-cancelled', 'The share has ended.', 'Share your screen again.'));
    const publishing = [this.publish(video, { ...encoding, source: 'screen', recapture })];
    if (audio) publishing.push(this.publish(audio, { source: 'screen-audio', recapture }));
    await Promise.all(publishing);
  }

  async stopScreenShare() {
    const tracks = [this.#track('screen'), this.#track('screen-audio')];
    await Promise.all(tracks.map((track) => track && this.unpublish(track)));
  }

  /**
   * The server has listed the track.
   * @param {LocalTrack} track
   * @param {PublicationInfo} info
   */
  published(track, info) {
    track.trackId = info.trackId;
    if (track.muted !== info.muted) this.#sendMuted(track);
    track.changed();
  }

  /**
   * The server says which encodings of a track are watched.
   * @param {string} trackId
   * @param {string[]} rids
   */
  setActive(trackId, rids) {
    const track = this.tracks.find((own) => own.trackId === trackId);
    track?.setActive(rids).catch((error) => this.#host.onError(StraitError.from(error)));
  }

  /**
   * The server says at which rate a track is to be sent.
   * @param {string} trackId
   * @param {number} maxBitrate bits per second
   */
  limit(trackId, maxBitrate) {
    const track = this.tracks.find((own) => own.trackId === trackId);
    track?.limit(maxBitrate).catch((error) => this.#host.onError(StraitError.from(error)));
  }

  /** @param {boolean} stop also end what the SDK captured */
  release(stop) {
    this.#released = true;
    if (stop) for (const track of this.tracks) track.stop();
    this.#participant.tracks.clear();
  }

  /** @param {Source} source */
  #track(source) {
    return /** @type {LocalTrack | null} */ (this.#participant.track(source));
  }

  /**
   * @param {'microphone' | 'camera'} source
   * @param {boolean} enabled
   * @param {() => Promise<MediaStreamTrack>} recapture
   * @param {DeviceEncoding} [encoding]
   */
  async #setDevice(source, enabled, recapture, encoding = {}) {
    const track = this.#track(source);
    if (track) await track.setMuted(!enabled);
    else if (enabled) await this.publish(await recapture(), { ...encoding, source, recapture });
  }

  /** @param {string} trackId by which the server knows it, or by which it goes straight */
  #find(trackId) {
    return this.tracks.find((own) => own.trackId === trackId || own.meshId === trackId);
  }

  /** @param {LocalTrack} track */
  #sendMuted(track) {
    for (const way of this.#ways) way.muted?.();
    if (track.trackId === null) return;
    // What is lost with a broken connection is put right by the snapshot of the resume.
    this.#host.request('mute', { trackId: track.trackId, muted: track.muted }).catch((error) => {
      if (error.code !== 'connection-lost') this.#host.onError(error);
    });
  }

  /**
   * A moderator has muted a track: it stays so until its owner unmutes it.
   * @param {string} trackId
   * @returns {LocalTrack | null} `null` if there is no such track
   */
  muteByModerator(trackId) {
    const track = this.#find(trackId);
    if (!track) return null;
    track.setMuted(true).catch((error) => this.#host.onError(error));
    return track;
  }

  /** The browser's own stop button, or an unplugged device. @param {LocalTrack} track */
  #onEnded(track) {
    const { source } = track;
    if (source === 'screen' || source === 'screen-audio') {
      const ending = source === 'screen' ? this.stopScreenShare() : this.unpublish(track);
      ending.catch((error) => this.#host.onError(error));
      return;
    }
    // Said first: whoever wants to go on with another device can still see whether this one was on.
    this.#host.onError(
      new StraitError(
        'device-lost',
        `The ${source} was disconnected.`,
        'Connect it again or choose another one, then turn it on.',
      ),
    );
    track.setMuted(true).catch((error) => this.#host.onError(error));
  }

  /** @param {LocalTrack} track */
  #forget(track) {
    track.stop();
    if (!this.#participant.tracks.delete(track)) return;
    this.#host.onRemoved(track);
    this.#participant.changed();
  }
}
