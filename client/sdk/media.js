// A participant's media through the server: receiving slots and publications on one peer connection.
// Only this side makes offers; the server assigns tracks to the slots.

import { preferCodecs } from './codecs.js';
import { DataChannels } from './data-channels.js';
import { StraitError } from './errors.js';
import { PeerConnection } from './peer-connection.js';
import { withOpusDtx, withoutStrayAttributes } from './sdp.js';

/** The reason why a section cannot be served comes right behind the answer; if it is lost on the way, nobody waits for it. */
const REASON_LIMIT = 1000;

/** @import {CodecChoice} from './codecs.js' */
/** @import {Message} from './data-channels.js' */
/** @import {Environment} from './environment.js' */
/** @import {LocalTrack} from './local-track.js' */
/** @import {ExchangedAnswer} from './peer-connection.js' */
/** @import {Answer, Kind, OfferRequest, PublicationInfo, PublicationRequest, SlotCounts} from './protocol.js' */

/**
 * @typedef {object} NegotiableExtensions WebRTC Extensions, §7
 * @property {() => {uri: string, direction: RTCRtpTransceiverDirection}[]} [getHeaderExtensionsToNegotiate]
 * @property {(extensions: {uri: string, direction: RTCRtpTransceiverDirection}[]) => void} [setHeaderExtensionsToNegotiate]
 */

/**
 * @typedef {object} MediaHandlers
 * @property {(offer: OfferRequest) => Promise<Answer>} exchange
 * @property {(state: RTCPeerConnectionState) => void} onState
 * @property {() => void} onSections sections were negotiated: receivers by mid may have changed
 * @property {(track: LocalTrack, info: PublicationInfo) => void} onPublished
 * @property {(message: Message) => void} onMessage somebody's message came on a data channel
 * @property {() => void} onTrouble a path was lost, and another one is looked for
 * @property {() => void} onDead neither waiting nor an ICE restart helped
 */

export class MediaConnection {
  #environment;
  #handlers;
  #codecs;
  #connection;
  /** @type {Record<Kind, number>} */
  #slots = { audio: 0, video: 0 };
  /** @type {Map<LocalTrack, RTCRtpTransceiver>} */
  #publications = new Map();
  /**
   * Sections that once published and can do so again. How many encodings a section has, and their rids, cannot change.
   * @type {{kind: Kind, form: string, transceiver: RTCRtpTransceiver}[]}
   */
  #idle = [];
  /** Why the server cannot serve sections of the newest offer, by mid. @type {Map<string, string>} */
  #refusals = new Map();
  #onRefusal = () => {};
  /** @type {DataChannels | null} */
  dataChannels = null;

  /**
   * @param {Environment} environment
   * @param {RTCIceServer[]} iceServers used only where no direct way is found
   * @param {CodecChoice} codecs
   * @param {MediaHandlers} handlers
   */
  constructor(environment, iceServers, codecs, handlers) {
    this.#environment = environment;
    this.#codecs = codecs;
    this.#handlers = handlers;
    this.#connection = new PeerConnection(environment, iceServers, {
      exchange: (sdp) => this.#exchange(sdp),
      onState: (state) => handlers.onState(state),
      onTrouble: () => handlers.onTrouble(),
      onDead: () => handlers.onDead(),
    });
  }

  get closed() {
    return this.#connection.closed;
  }

  get connectionState() {
    return this.#connection.connectionState;
  }

  get iceConnectionState() {
    return this.#connection.iceConnectionState;
  }

  /**
   * The first, before any publication: the first section of all must be an audio slot.
   * @param {SlotCounts} totals
   */
  addSlots(totals) {
    for (const kind of /** @type {const} */ (['audio', 'video'])) {
      for (; this.#slots[kind] < totals[kind]; this.#slots[kind]++) {
        const transceiver = this.#connection.addTransceiver(kind, { direction: 'recvonly' });
        if (kind === 'video') askForDependencies(transceiver);
      }
    }
  }

  /** Opens data channels, behind the first slots. */
  openDataChannels() {
    this.dataChannels = new DataChannels(
      this.#environment,
      (label, init) => this.#connection.createDataChannel(label, init),
      (message) => this.#handlers.onMessage(message),
    );
  }

  /**
   * Makes a section for the track; `negotiate` publishes it.
   * @param {LocalTrack} track
   */
  async add(track) {
    const videoCodec = track.videoCodec ?? this.#codecs.videoCodec;
    track.forgetActive();
    const encodings = track.encodings(videoCodec);
    const form = formOf(encodings);
    const reusable = this.#idle.findIndex((idle) => idle.kind === track.kind && idle.form === form);
    const transceiver =
      reusable >= 0
        ? /** @type {{transceiver: RTCRtpTransceiver}} */ (this.#idle.splice(reusable, 1)[0]).transceiver
        : this.#connection.addTransceiver(track.kind, { direction: 'sendonly', sendEncodings: encodings });
    this.#publications.set(track, transceiver);
    track.sender = transceiver.sender;
    transceiver.direction = 'sendonly';
    const red = track.red ?? this.#codecs.red;
    preferCodecs(transceiver, track.kind, { ...this.#codecs, videoCodec, red });
    if (reusable >= 0) await track.applyEncoding();
    await transceiver.sender.replaceTrack(track.outgoing);
  }

  /** @param {LocalTrack} track */
  async remove(track) {
    const transceiver = this.#publications.get(track);
    if (!transceiver) return;
    this.#publications.delete(track);
    track.sender = null;
    track.trackId = null;
    transceiver.direction = 'inactive';
    const form = formOf(track.encodings(track.videoCodec ?? this.#codecs.videoCodec));
    this.#idle.push({ kind: track.kind, form, transceiver });
    await transceiver.sender.replaceTrack(null);
  }

  /**
   * Offers what is there now. Calls made while an exchange is under way share the one after it.
   * @returns {Promise<void>} settled when the answer is applied; rejected when the server did not take a publication
   */
  negotiate() {
    return this.#connection.negotiate();
  }

  /** @param {string} mid */
  receiver(mid) {
    return this.#connection.transceiver(mid)?.receiver ?? null;
  }

  /** @param {LocalTrack} track */
  midOf(track) {
    return this.#publications.get(track)?.mid ?? null;
  }

  /** Whether the section of every publication is the one that the server lists. @param {PublicationInfo[]} listed */
  agreesWith(listed) {
    const mids = new Set(listed.map(({ mid }) => mid));
    const own = [...this.#publications.values()];
    return own.length === mids.size && own.every(({ mid }) => mid !== null && mids.has(mid));
  }

  /** @param {PublicationInfo[]} listed */
  applyPublications(listed) {
    for (const info of listed) {
      for (const [track, { mid }] of this.#publications) {
        if (mid === info.mid) this.#handlers.onPublished(track, info);
      }
    }
  }

  /** The server cannot serve a section that was to publish. @param {{mid: string, reason: string}} refusal */
  refused({ mid, reason }) {
    this.#refusals.set(mid, reason);
    this.#onRefusal();
  }

  /**
   * For a network that has changed while the signalling was away.
   * @param {RTCIceServer[]} iceServers with credentials that are good for longer than those from before
   */
  resume(iceServers) {
    this.#connection.resume(iceServers);
  }

  networkBack() {
    this.#connection.networkBack();
  }

  getStats() {
    return this.#connection.getStats();
  }

  close() {
    if (this.closed) return;
    this.dataChannels?.close();
    this.#connection.close();
    for (const track of this.#publications.keys()) {
      track.sender = null;
      track.trackId = null;
    }
  }

  /**
   * One offer with what its sections publish, and its answer.
   * @param {string} sdp
   * @returns {Promise<ExchangedAnswer>}
   */
  async #exchange(sdp) {
    const publications = this.#publicationRequests();
    this.#refusals.clear();
    const answer = await this.#handlers.exchange({ sdp: withoutStrayAttributes(sdp), publications });
    return {
      sdp: this.#adjusted(answer.sdp, publications),
      applied: async () => {
        this.#handlers.onSections();
        this.applyPublications(answer.publications);
        await this.#expectPublished(answer.publications, publications);
      },
    };
  }

  /** @returns {PublicationRequest[]} */
  #publicationRequests() {
    const requests = [];
    for (const [{ source, muted, declared }, { mid }] of this.#publications) {
      if (mid === null) continue;
      requests.push({ mid, source, muted, ...(declared.length > 0 && { encodings: declared }) });
    }
    return requests;
  }

  /**
   * @param {string} sdp
   * @param {PublicationRequest[]} publications
   */
  #adjusted(sdp, publications) {
    if (!this.#codecs.dtx) return sdp;
    const microphones = publications.filter(({ source }) => source === 'microphone');
    return withOpusDtx(sdp, new Set(microphones.map(({ mid }) => mid)));
  }

  /**
   * @param {PublicationInfo[]} listed
   * @param {PublicationRequest[]} offered
   */
  async #expectPublished(listed, offered) {
    const missing = offered.filter(({ mid }) => !listed.some((info) => info.mid === mid));
    if (missing.length === 0) return;
    await this.#reasonsFor(missing);
    const why = missing.map(({ mid, source }) => `${source}: ${this.#refusals.get(mid) ?? 'no reason was given'}`);
    throw new StraitError(
      'cannot-publish',
      `The server did not accept ${why.join('; ')}.`,
      'Try again, choose another video codec, or use another browser.',
    );
  }

  /** @param {PublicationRequest[]} missing @returns {Promise<void>} */
  #reasonsFor(missing) {
    const { setTimeout, clearTimeout } = this.#environment;
    return new Promise((resolve) => {
      const finish = () => {
        clearTimeout(timer);
        this.#onRefusal = () => {};
        resolve();
      };
      const timer = setTimeout(finish, REASON_LIMIT);
      this.#onRefusal = () => {
        if (missing.every(({ mid }) => this.#refusals.has(mid))) finish();
      };
      this.#onRefusal();
    });
  }
}

const DEPENDENCY_DESCRIPTOR =
  'https://aomediacodec.github.io/av1-rtp-spec/#dependency-descriptor-rtp-header-extension';

/**
 * Lets a section receive the dependency descriptor, without which the larger layers inside a stream of AV1 are of no use.
 * Browsers that do not know how do without them.
 * @param {RTCRtpTransceiver} transceiver
 */
function askForDependencies(transceiver) {
  const negotiable = /** @type {NegotiableExtensions} */ (/** @type {unknown} */ (transceiver));
  const extensions = negotiable.getHeaderExtensionsToNegotiate?.();
  const wanted = extensions?.find(({ uri }) => uri === DEPENDENCY_DESCRIPTOR);
  if (!extensions || !wanted) return;
  wanted.direction = 'sendrecv';
  negotiable.setHeaderExtensionsToNegotiate?.(extensions);
}

/** What of a section's encodings cannot change later. @param {RTCRtpEncodingParameters[]} encodings */
const formOf = (encodings) =>
  encodings
    .map(
      ({ rid = '', ...other }) => `${rid} ${/** @type {{scalabilityMode?: string}} */ (other).scalabilityMode ?? ''}`,
    )
    .join();
