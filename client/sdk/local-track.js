// One's own published track: mutes by sending nothing, and releases the camera while it is muted.

import { ladderFor, scaled } from './ladder.js';
import { kindOf } from './protocol.js';
import { Track } from './track.js';

/** @import {Participant} from './participant.js' */
/** @import {EncodingRequest, Source} from './protocol.js' */
/** @import {Rung} from './ladder.js' */

/**
 * @typedef {object} PublishOptions
 * @property {Source} source
 * @property {boolean} [muted] publish it silent at first
 * @property {boolean | Rung[]} [simulcast] of video: several encodings, so that everybody receives no larger one than they
 *   show; `true`: those that suit the source. They stay what they are at first.
 * @property {string} [scalabilityMode] of video: the layers inside each encoding (WebRTC-SVC), such as `L1T3` for fewer
 *   pictures or `L3T3_KEY` for smaller ones, too; everybody receives the layers that they need. Firefox ignores it.
 * @property {number} [maxBitrate] bits per second; of a simulcast, of its largest encoding
 * @property {number} [maxFramerate]
 * @property {number} [scaleResolutionDownBy]
 * @property {'VP8' | 'VP9' | 'H264' | 'AV1'} [videoCodec] instead of the room's
 * @property {'motion' | 'detail' | 'text' | 'speech' | 'music'} [contentHint] what is in it, so that the browser gives up what
 *   matters least where it has to: with `detail` and `text` pictures become fewer rather than less sharp, which is what a
 *   screen gets unless told otherwise
 * @property {boolean} [red] of sound: with copies, against loss on the way up; instead of the room's
 * @property {() => Promise<MediaStreamTrack>} [recapture] captures again; with it the track is the SDK's to stop
 */

/**
 * @typedef {object} LocalTrackHandlers
 * @property {(track: LocalTrack) => void} onMuted muted or unmuted: tell the server
 * @property {(track: LocalTrack) => void} onEnded the browser took the device away
 */

export class LocalTrack extends Track {
  /** What sends it to the server. @type {RTCRtpSender | null} */
  sender = null;
  /** What sends it straight to others, and the most bits per second of each; `null`: as the options say.
   * @type {Map<RTCRtpSender, number | null>} */
  #straight = new Map();
  /** Whether the server is sent nothing although it is published there: the call goes straight. */
  #isHeld = false;
  /** Its name among what goes straight. */
  meshId = newId();
  #options;
  #handlers;
  #stopped = false;
  /** The encodings of a simulcast; empty for one encoding. @type {Rung[]} */
  #ladder;
  /** The most bits per second that the server wants of it; `null`: it has not said. @type {number | null} */
  #wanted = null;
  /** The rids that somebody watches; `null`: all. @type {ReadonlySet<string> | null} */
  #active = null;
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
    this.#ladder = this.#chooseLadder();
  }

  get videoCodec() {
    return this.#options.videoCodec;
  }

  get red() {
    return this.#options.red;
  }

  /** The rids of a simulcast; empty for one encoding. */
  get rids() {
    return this.#ladder.map(({ rid }) => rid);
  }

  /**
   * What the sender is to make.
   * @param {string} videoCodec empty if its mode stays as it is
   * @returns {RTCRtpEncodingParameters[]}
   */
  encodings(videoCodec) {
    const { maxFramerate, scaleResolutionDownBy = 1 } = this.#options;
    const limits = [this.#options.maxBitrate, this.#wanted ?? undefined].filter((limit) => limit !== undefined);
    const maxBitrate = limits.length > 0 ? Math.min(...limits) : undefined;
    const scalabilityMode = this.#scalabilityMode(videoCodec);
    const common = {
      ...(maxFramerate !== undefined && { maxFramerate }),
      ...(scalabilityMode !== undefined && { scalabilityMode }),
    };
    if (this.#ladder.length === 0) {
      return [
        {
          ...(maxBitrate !== undefined && { maxBitrate }),
          ...common,
          ...(scaleResolutionDownBy !== 1 && { scaleResolutionDownBy }),
        },
      ];
    }
    return this.#ladder.map((rung) => ({
      rid: rung.rid,
      maxBitrate: Math.min(rung.maxBitrate, maxBitrate ?? rung.maxBitrate),
      scaleResolutionDownBy: rung.scaleResolutionDownBy * scaleResolutionDownBy,
      active: this.#active?.has(rung.rid) ?? true,
      ...common,
    }));
  }

  /** How large the encodings of a simulcast are, as an offer says it. @returns {EncodingRequest[]} */
  get declared() {
    const { width, height } = this.mediaStreamTrack?.getSettings?.() ?? {};
    return this.encodings('').flatMap(({ rid, scaleResolutionDownBy = 1, maxBitrate }) =>
      rid === undefined
        ? []
        : [
            {
              rid,
              width: scaled(width, scaleResolutionDownBy),
              height: scaled(height, scaleResolutionDownBy),
              maxBitrate,
            },
          ],
    );
  }

  /**
   * Sends these encodings and no others: the server knows what is watched.
   * @param {string[]} rids
   */
  setActive(rids) {
    this.#active = new Set(rids);
    return this.applyEncoding();
  }

  /**
   * Sends no more than that: the server knows what the networks of those who listen carry.
   * @param {number} maxBitrate bits per second
   */
  limit(maxBitrate) {
    this.#wanted = maxBitrate;
    return this.applyEncoding();
  }

  /** The same, unless the server has said so already. @param {number} maxBitrate bits per second */
  async limitAtFirst(maxBitrate) {
    if (this.#wanted === null) await this.limit(maxBitrate);
  }

  /** A section that begins anew sends everything until the server says otherwise. */
  forgetActive() {
    this.#active = null;
    this.#wanted = null;
  }

  /**
   * Changes bitrate, frame rate or scale while it is being sent.
   * @param {Pick<PublishOptions, 'maxBitrate' | 'maxFramerate' | 'scaleResolutionDownBy'>} encoding
   */
  async setEncoding(encoding) {
    this.#options = { ...this.#options, ...encoding };
    await this.applyEncoding();
  }

  applyEncoding() {
    return this.#enqueue(async () => {
      try {
        await this.#setParameters();
      } catch {
        // A negotiation in between makes the parameters that were read invalid (WebRTC §5.2): those after it hold.
        await this.#setParameters();
      }
    });
  }

  async #setParameters() {
    if (this.sender) await setEncodings(this.sender, this.encodings(''));
    for (const [sender, cap] of this.#straight) await setEncodings(sender, [this.#straightEncoding(cap)]);
  }

  /** @param {number | null} cap bits per second @returns {RTCRtpEncodingParameters} */
  #straightEncoding(cap) {
    const { maxBitrate, maxFramerate, scaleResolutionDownBy = 1 } = this.#options;
    const limits = [maxBitrate, cap ?? undefined].filter((limit) => limit !== undefined);
    return {
      ...(limits.length > 0 && { maxBitrate: Math.min(...limits) }),
      ...(maxFramerate !== undefined && { maxFramerate }),
      ...(scaleResolutionDownBy !== 1 && { scaleResolutionDownBy }),
    };
  }

  /**
   * Sends it straight to somebody, too.
   * @param {RTCRtpSender} sender
   * @param {number | null} cap bits per second; `null`: as the options say
   */
  addSender(sender, cap) {
    this.#straight.set(sender, cap);
    return this.#enqueue(async () => {
      if (!this.#straight.has(sender)) return;
      await sender.replaceTrack(this.#heard);
      await setEncodings(sender, [this.#straightEncoding(this.#straight.get(sender) ?? null)]);
    });
  }

  /** @param {RTCRtpSender} sender @returns {boolean} whether it was sent there */
  removeSender(sender) {
    return this.#straight.delete(sender);
  }

  /**
   * Changes what may go to somebody straight.
   * @param {RTCRtpSender} sender
   * @param {number | null} cap bits per second
   */
  async cap(sender, cap) {
    const before = this.#straight.get(sender);
    if (before === undefined || before === cap) return;
    this.#straight.set(sender, cap);
    await this.applyEncoding();
  }

  /** Sends nothing to the server, or does so again, whatever goes straight. @param {boolean} isHeld */
  hold(isHeld) {
    if (isHeld === this.#isHeld) return Promise.resolve();
    this.#isHeld = isHeld;
    return this.#enqueue(async () => {
      await this.sender?.replaceTrack(this.outgoing);
    });
  }

  /** What the sender to the server sends. */
  get outgoing() {
    return this.#isHeld ? null : this.#heard;
  }

  get #heard() {
    return this.muted ? null : this.mediaStreamTrack;
  }

  /** All that send it send what is to be sent now. */
  async #replaceAll() {
    const { outgoing } = this;
    const heard = this.#heard;
    const sending = [...this.#straight.keys()].map((sender) =>
      sender.replaceTrack(heard).catch((error) => {
        // Its connection may have ended meanwhile, which is no trouble of the others'.
        if (this.#straight.has(sender)) throw error;
      }),
    );
    await Promise.all([this.sender?.replaceTrack(outgoing), ...sending]);
  }

  /** @param {boolean} muted */
  setMuted(muted) {
    return this.#enqueue(async () => {
      if (muted === this.muted) return;
      if (muted) {
        this.muted = true;
        this.#handlers.onMuted(this);
        await this.#replaceAll();
        if (this.kind === 'video' && this.#options.recapture) this.mediaStreamTrack?.stop();
      } else {
        if (this.mediaStreamTrack?.readyState !== 'live' && this.#options.recapture) {
          this.#use(await this.#options.recapture());
        }
        if (this.#stopped) return this.stop();
        this.muted = false;
        await this.#replaceAll();
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
      await this.#replaceAll();
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

  /** @param {string} videoCodec */
  #scalabilityMode(videoCodec) {
    if (this.kind !== 'video' || videoCodec === '') return undefined;
    const isSimulcast = this.#ladder.length > 0;
    // Without a mode Chromium takes the rids of VP9 and AV1 for spatial layers, and sends the first alone.
    const fallback = isSimulcast && (videoCodec === 'VP9' || videoCodec === 'AV1') ? 'L1T3' : undefined;
    return this.#options.scalabilityMode ?? fallback;
  }

  /** @returns {Rung[]} */
  #chooseLadder() {
    const { simulcast, source } = this.#options;
    if (!simulcast || this.kind !== 'video') return [];
    const settings = this.mediaStreamTrack?.getSettings?.() ?? {};
    const ladder = simulcast === true ? ladderFor(source, settings) : simulcast;
    return ladder.length > 1 ? ladder : [];
  }

  /** @param {MediaStreamTrack} mediaStreamTrack */
  #use(mediaStreamTrack) {
    const { contentHint, source } = this.#options;
    if (contentHint !== undefined) mediaStreamTrack.contentHint = contentHint;
    else if (source === 'screen') mediaStreamTrack.contentHint ||= 'detail';
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

/** @param {RTCRtpSender} sender @param {RTCRtpEncodingParameters[]} wanted by rid, or in order */
async function setEncodings(sender, wanted) {
  const parameters = sender.getParameters();
  // Old versions of Firefox tell no encodings of a sender that was given none.
  if (!parameters?.encodings) return;
  for (const [index, present] of parameters.encodings.entries()) {
    const encoding = present.rid ? wanted.find(({ rid }) => rid === present.rid) : wanted[index];
    if (!encoding) continue;
    delete present.maxBitrate;
    delete present.maxFramerate;
    delete present.scaleResolutionDownBy;
    Object.assign(present, encoding);
  }
  await sender.setParameters(parameters);
}

/** A name that no other track has. */
const newId = () => {
  // `randomUUID` is for secure pages alone.
  const bytes = globalThis.crypto.getRandomValues(new Uint8Array(12));
  return `s-${[...bytes].map((byte) => byte.toString(16).padStart(2, '0')).join('')}`;
};
