// The one RTCPeerConnection of a participant: receiving slots, publications, one offer at a time, ICE recovery.
// Only this side makes offers; the server assigns tracks to the slots.

import { StraitError, connectionLost } from './errors.js';
import { IceRecovery } from './ice-recovery.js';
import { withOpusDtx, withoutStrayAttributes } from './sdp.js';

/** @import {Environment} from './environment.js' */
/** @import {LocalTrack} from './local-track.js' */
/** @import {Answer, Kind, OfferRequest, PublicationInfo, PublicationRequest, SlotCounts} from './protocol.js' */

/** The answer waits this long for gathering to complete: a connection that gathered all can fall back to TCP by itself. */
const GATHERING_LIMIT = 500;

/**
 * @typedef {object} MediaHandlers
 * @property {(offer: OfferRequest) => Promise<Answer>} exchange
 * @property {(state: RTCPeerConnectionState) => void} onState
 * @property {() => void} onSections sections were negotiated: receivers by mid may have changed
 * @property {(track: LocalTrack, info: PublicationInfo) => void} onPublished
 * @property {() => void} onTrouble a path was lost, and another one is looked for
 * @property {() => void} onDead neither waiting nor an ICE restart helped
 */

/**
 * @typedef {object} CodecChoice
 * @property {'VP8' | 'VP9' | 'H264' | 'AV1'} videoCodec
 * @property {boolean} red
 * @property {boolean} dtx
 */

export class MediaConnection {
  #environment;
  #handlers;
  #codecs;
  #pc;
  /** @type {Record<Kind, number>} */
  #slots = { audio: 0, video: 0 };
  /** @type {Map<LocalTrack, RTCRtpTransceiver>} */
  #publications = new Map();
  /** Sections that once published and can do so again. @type {{kind: Kind, transceiver: RTCRtpTransceiver}[]} */
  #idle = [];
  #running = Promise.resolve();
  /** The exchange that has not begun yet and that everyone who wants one shares. @type {Promise<void> | null} */
  #next = null;
  #restartWanted = false;
  /** @type {RTCIceServer[]} */
  #iceServers;
  #recovery;
  #closed = false;

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
    this.#iceServers = iceServers;
    this.#recovery = new IceRecovery(environment, iceServers.some(isRelay), {
      onTrouble: () => handlers.onTrouble(),
      restart: (withRelay) => this.#restart(withRelay),
      die: () => this.#die(),
    });
    this.#pc = environment.createPeerConnection(configuration([]));
    this.#pc.oniceconnectionstatechange = () => this.#recovery.changed(this.#pc.iceConnectionState);
    this.#pc.onconnectionstatechange = () => this.#connectionChanged();
  }

  get closed() {
    return this.#closed;
  }

  /**
   * The first, before any publication: the first section of all must be an audio slot.
   * @param {SlotCounts} totals
   */
  addSlots(totals) {
    for (const kind of /** @type {const} */ (['audio', 'video'])) {
      for (; this.#slots[kind] < totals[kind]; this.#slots[kind]++) {
        this.#pc.addTransceiver(kind, { direction: 'recvonly' });
      }
    }
  }

  /**
   * Makes a section for the track; `negotiate` publishes it.
   * @param {LocalTrack} track
   */
  async add(track) {
    const reusable = this.#idle.findIndex(({ kind }) => kind === track.kind);
    const transceiver =
      reusable >= 0
        ? /** @type {{transceiver: RTCRtpTransceiver}} */ (this.#idle.splice(reusable, 1)[0]).transceiver
        : this.#pc.addTransceiver(track.kind, { direction: 'sendonly', sendEncodings: [track.encoding] });
    this.#publications.set(track, transceiver);
    track.sender = transceiver.sender;
    transceiver.direction = 'sendonly';
    this.#preferCodec(transceiver, track);
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
    this.#idle.push({ kind: track.kind, transceiver });
    await transceiver.sender.replaceTrack(null);
  }

  /**
   * Offers what is there now. Calls made while an exchange is under way share the one after it.
   * @returns {Promise<void>} settled when the answer is applied
   */
  negotiate() {
    if (!this.#next) {
      this.#next = this.#running.then(() => {
        this.#next = null;
        return this.#exchange();
      });
      this.#running = this.#next.catch(() => {});
    }
    return this.#next;
  }

  /** @param {string} mid */
  receiver(mid) {
    return this.#pc.getTransceivers().find((transceiver) => transceiver.mid === mid)?.receiver ?? null;
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

  /**
   * For a network that has changed while the signalling was away.
   * @param {RTCIceServer[]} iceServers with credentials that are good for longer than those from before
   */
  resume(iceServers) {
    this.#iceServers = iceServers;
    this.#recovery.changed(this.#pc.iceConnectionState);
  }

  networkBack() {
    this.#recovery.networkBack();
  }

  get connectionState() {
    return this.#pc.connectionState;
  }

  get iceConnectionState() {
    return this.#pc.iceConnectionState;
  }

  getStats() {
    return this.#pc.getStats();
  }

  close() {
    if (this.#closed) return;
    this.#closed = true;
    this.#recovery.close();
    this.#pc.oniceconnectionstatechange = null;
    this.#pc.onconnectionstatechange = null;
    this.#pc.close();
    for (const track of this.#publications.keys()) {
      track.sender = null;
      track.trackId = null;
    }
  }

  async #exchange() {
    if (this.#closed) throw connectionLost();
    const pc = this.#pc;
    const iceRestart = this.#restartWanted;
    this.#restartWanted = false;
    const offer = await pc.createOffer({ iceRestart });
    await pc.setLocalDescription(offer);
    const gathered = this.#gathered(iceRestart);
    const publications = this.#publicationRequests();
    let answer;
    try {
      answer = await this.#handlers.exchange({ sdp: withoutStrayAttributes(offer.sdp ?? ''), publications });
    } catch (error) {
      if (!this.#closed) await pc.setLocalDescription({ type: 'rollback' });
      throw error;
    }
    await gathered;
    if (this.#closed) throw connectionLost();
    await pc.setRemoteDescription({ type: 'answer', sdp: this.#adjusted(answer.sdp, publications) });
    this.#recovery.answered();
    this.#handlers.onSections();
    this.applyPublications(answer.publications);
    this.#expectPublished(answer.publications, publications);
  }

  /** @returns {PublicationRequest[]} */
  #publicationRequests() {
    const requests = [];
    for (const [{ source, muted }, { mid }] of this.#publications) {
      if (mid !== null) requests.push({ mid, source, muted });
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
  #expectPublished(listed, offered) {
    const missing = offered.filter(({ mid }) => !listed.some((info) => info.mid === mid));
    if (missing.length === 0) return;
    const sources = missing.map(({ source }) => source).join(', ');
    throw new StraitError(
      'bad-reply',
      `The server did not accept: ${sources}.`,
      'Try again, or choose another video codec.',
    );
  }

  /**
   * @param {boolean} afresh a restart gathers again though the state may still say `complete`
   * @returns {Promise<void>}
   */
  #gathered(afresh) {
    const pc = this.#pc;
    if (pc.iceGatheringState === 'complete' && !afresh) return Promise.resolve();
    return new Promise((resolve) => {
      const finish = () => {
        this.#environment.clearTimeout(timer);
        pc.removeEventListener('icegatheringstatechange', check);
        resolve();
      };
      const check = () => {
        if (pc.iceGatheringState === 'complete') finish();
      };
      const timer = this.#environment.setTimeout(finish, GATHERING_LIMIT);
      pc.addEventListener('icegatheringstatechange', check);
    });
  }

  #connectionChanged() {
    const { connectionState, iceConnectionState } = this.#pc;
    this.#handlers.onState(connectionState);
    // With ICE alive it is DTLS that failed, and nothing but a new connection mends that.
    if (connectionState === 'failed' && iceConnectionState !== 'failed' && iceConnectionState !== 'disconnected')
      this.#recovery.giveUp();
  }

  /** @param {boolean} withRelay */
  #restart(withRelay) {
    this.#pc.setConfiguration(configuration(withRelay ? this.#iceServers : []));
    this.#restartWanted = true;
    this.negotiate().catch(() => this.#recovery.giveUp());
  }

  #die() {
    if (!this.#closed) this.#handlers.onDead();
  }

  /**
   * @param {RTCRtpTransceiver} transceiver
   * @param {LocalTrack} track
   */
  #preferCodec(transceiver, track) {
    const capabilities = globalThis.RTCRtpReceiver?.getCapabilities?.(track.kind);
    if (!capabilities || typeof transceiver.setCodecPreferences !== 'function') return;
    const codecs =
      track.kind === 'video'
        ? videoCodecs(capabilities.codecs, track.videoCodec ?? this.#codecs.videoCodec)
        : audioCodecs(capabilities.codecs, this.#codecs.red);
    transceiver.setCodecPreferences(codecs);
  }
}

/** @param {RTCIceServer} server whether it relays, and does not only tell addresses */
const isRelay = ({ urls }) => [urls].flat().some((url) => /^turns?:/.test(url));

/** @param {RTCIceServer[]} iceServers @returns {RTCConfiguration} */
const configuration = (iceServers) => ({ iceServers, bundlePolicy: 'max-bundle' });

const REPAIR = new Set(['rtx', 'red', 'ulpfec', 'flexfec-03']);

/** @param {{mimeType: string}} codec */
const nameOf = ({ mimeType }) => mimeType.split('/')[1]?.toLowerCase() ?? '';

/**
 * Only the chosen codec, because the order of the answer is the server's; all of them in a browser without it.
 * @template {{mimeType: string}} Codec
 * @param {Codec[]} codecs
 * @param {string} chosen
 */
export function videoCodecs(codecs, chosen) {
  const isChosen = (/** @type {Codec} */ codec) => nameOf(codec) === chosen.toLowerCase();
  if (!codecs.some(isChosen)) return codecs;
  return codecs.filter((codec) => isChosen(codec) || REPAIR.has(nameOf(codec)));
}

/**
 * @template {{mimeType: string}} Codec
 * @param {Codec[]} codecs
 * @param {boolean} red
 */
export function audioCodecs(codecs, red) {
  const wanted = red ? ['red', 'opus'] : ['opus'];
  return wanted.flatMap((name) => codecs.filter((codec) => nameOf(codec) === name));
}
