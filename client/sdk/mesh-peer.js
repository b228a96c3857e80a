// The straight connection to one other person: one RTCPeerConnection, negotiated by "perfect negotiation" (WebRTC §10.7), so
// that both sides may offer at any time, with ICE restarts where its path is lost.
//
// Its sections are the same for everybody and never change: one for each source, in the order of SECTIONS, in both directions.
// Publishing, muting and changing a device are a matter of what a section's sender sends, and need no negotiation at all. So
// the only exchanges are the first one and ICE restarts, and there is no offer that could be out of date.

import { preferCodecs, videoCodecsFirst } from './codecs.js';
import { connectionStateOf, watchConnection } from './connection-state.js';
import { withOpusDtx } from './sdp.js';

/** @import {CodecChoice} from './codecs.js' */
/** @import {Environment} from './environment.js' */
/** @import {Kind, Source} from './protocol.js' */

/** @type {readonly {source: Source, kind: Kind, stream: 'call' | 'screen'}[]} */
export const SECTIONS = [
  { source: 'microphone', kind: 'audio', stream: 'call' },
  { source: 'camera', kind: 'video', stream: 'call' },
  { source: 'screen', kind: 'video', stream: 'screen' },
  { source: 'screen-audio', kind: 'audio', stream: 'screen' },
];

/** A path that is only disturbed often comes back by itself within this, milliseconds. */
const DISTURBED_LIMIT = 1000;

/**
 * @typedef {{type: RTCSdpType, sdp?: string}} Description
 * @typedef {{description?: Description, candidate?: RTCIceCandidateInit | null}} Signal what the two sides say to each other
 *
 * @typedef {object} MeshPeerOptions
 * @property {boolean} polite whether this side gives way where both offer at once
 * @property {RTCIceServer[]} iceServers
 * @property {CodecChoice} codecs
 *
 * @typedef {object} MeshPeerHandlers
 * @property {(signal: Signal) => Promise<unknown>} send
 * @property {() => void} onSections there are sections now: senders and receivers can be used
 * @property {() => void} onAnew these sections are about to end; others come in their place
 * @property {(state: RTCPeerConnectionState) => void} onState
 */

export class MeshPeer {
  #environment;
  #options;
  #handlers;
  /** @type {RTCPeerConnection} */
  #pc;
  /** @type {Map<Source, RTCRtpTransceiver>} */
  #sections = new Map();
  /** Everything that touches the descriptions happens one after the other. @type {Promise<void>} */
  #queue = Promise.resolve();
  /** What came before there was a description that it belongs to. @type {(RTCIceCandidateInit | null)[]} */
  #early = [];
  /** Which connection of the other side this one talks to: its session id (RFC 8866 §5.2). */
  #remoteSession = '';
  #ignoresOffer = false;
  #closed = false;
  /** @type {unknown} */
  #disturbance = null;

  /**
   * @param {Environment} environment
   * @param {MeshPeerOptions} options
   * @param {MeshPeerHandlers} handlers
   */
  constructor(environment, options, handlers) {
    this.#environment = environment;
    this.#options = options;
    this.#handlers = handlers;
    this.#pc = this.#open();
  }

  /** @returns {RTCPeerConnectionState} */
  get connectionState() {
    return this.#closed ? 'closed' : connectionStateOf(this.#pc);
  }

  get iceConnectionState() {
    return this.#pc.iceConnectionState;
  }

  /** Begins: this side makes the first offer. */
  connect() {
    this.#enqueue(async () => {
      if (this.#sections.size > 0) return;
      this.#addSections();
      await this.#offer({});
    });
  }

  /**
   * Looks for another path.
   * @param {{again?: boolean}} [options] `again`: even where an offer is not answered yet, because it may have been lost
   */
  restart({ again = false } = {}) {
    this.#enqueue(async () => {
      if (this.#sections.size === 0) return;
      if (again && this.#pc.signalingState === 'have-local-offer')
        await this.#pc.setLocalDescription({ type: 'rollback' });
      if (this.#pc.signalingState === 'stable') await this.#offer({ iceRestart: true });
    });
  }

  /** @param {Signal} signal of the other side */
  receive({ description, candidate }) {
    this.#enqueue(async () => {
      if (description) await this.#take(description);
      else if (candidate !== undefined) await this.#takeCandidate(candidate);
    });
  }

  /** @param {Source} source */
  sender(source) {
    return this.#sections.get(source)?.sender ?? null;
  }

  /** @param {Source} source */
  receiver(source) {
    return this.#sections.get(source)?.receiver ?? null;
  }

  /** Which source a section of the statistics is of. @param {string} mid @returns {Source | null} */
  sourceOf(mid) {
    for (const [source, transceiver] of this.#sections) if (transceiver.mid === mid) return source;
    return null;
  }

  getStats() {
    return this.#pc.getStats();
  }

  close() {
    if (this.#closed) return;
    this.#closed = true;
    this.#abandon();
  }

  /** @returns {RTCPeerConnection} */
  #open() {
    const pc = this.#environment.createPeerConnection({
      iceServers: this.#options.iceServers,
      bundlePolicy: 'max-bundle',
    });
    pc.onicecandidate = ({ candidate }) => {
      const said = candidate && (candidate.toJSON?.() ?? candidate);
      this.#handlers.send({ candidate: said }).catch(() => {});
    };
    watchConnection(pc, {
      onIce: () => this.#iceChanged(),
      onState: () => this.#handlers.onState(connectionStateOf(pc)),
    });
    return pc;
  }

  #abandon() {
    const pc = this.#pc;
    this.#environment.clearTimeout(this.#disturbance);
    pc.onicecandidate = null;
    pc.oniceconnectionstatechange = null;
    pc.onconnectionstatechange = null;
    pc.close();
    this.#sections.clear();
  }

  /** A new connection in place of this one: the other side has begun anew, or both began at once. */
  #beginAnew() {
    this.#handlers.onAnew();
    this.#abandon();
    this.#early = [];
    this.#pc = this.#open();
  }

  #addSections() {
    const streams = newStreams();
    for (const { source, kind, stream } of SECTIONS) {
      const transceiver = this.#pc.addTransceiver(kind, { direction: 'sendrecv', streams: streams?.[stream] ?? [] });
      this.#prefer(transceiver, kind);
      this.#sections.set(source, transceiver);
    }
    this.#handlers.onSections();
  }

  /**
   * @param {RTCRtpTransceiver} transceiver
   * @param {Kind} kind
   */
  #prefer(transceiver, kind) {
    const { codecs } = this.#options;
    if (kind === 'audio') preferCodecs(transceiver, kind, codecs);
    else videoCodecsFirst(transceiver, codecs.videoCodec);
  }

  /** @param {RTCOfferOptions} options */
  async #offer(options) {
    const pc = this.#pc;
    const offer = await pc.createOffer(options);
    await pc.setLocalDescription(offer);
    await this.#handlers.send({ description: { type: 'offer', sdp: offer.sdp ?? '' } }).catch(async (error) => {
      // Nobody has seen it.
      if (pc === this.#pc && pc.signalingState === 'have-local-offer')
        await pc.setLocalDescription({ type: 'rollback' });
      throw error;
    });
  }

  /** @param {Description} description */
  async #take({ type, sdp = '' }) {
    if (type === 'answer') {
      if (this.#pc.signalingState !== 'have-local-offer') return;
      await this.#apply({ type, sdp });
      return;
    }
    if (type !== 'offer') return;
    const collides = this.#pc.signalingState !== 'stable';
    this.#ignoresOffer = collides && !this.#options.polite;
    if (this.#ignoresOffer) return;
    const isOther = this.#remoteSession !== '' && sessionOf(sdp) !== this.#remoteSession;
    // A first offer of ours has sections that no other offer can use; what gives way to it is the whole connection.
    if (isOther || (collides && this.#remoteSession === '')) this.#beginAnew();
    else if (collides) await this.#pc.setLocalDescription({ type: 'rollback' });
    await this.#apply({ type, sdp });
    this.#findSections(sdp);
    const pc = this.#pc;
    const answer = await pc.createAnswer();
    await pc.setLocalDescription(answer);
    await this.#handlers.send({ description: { type: 'answer', sdp: answer.sdp ?? '' } });
  }

  /** @param {{type: 'offer' | 'answer', sdp: string}} description */
  async #apply({ type, sdp }) {
    this.#remoteSession = sessionOf(sdp);
    const microphone = midsIn(sdp)[0] ?? '';
    // An encoder follows what the other side says it takes.
    const adjusted = this.#options.codecs.dtx ? withOpusDtx(sdp, new Set([microphone])) : sdp;
    await this.#pc.setRemoteDescription({ type, sdp: adjusted });
    for (const candidate of this.#early.splice(0)) await this.#addCandidate(candidate);
  }

  /** The sections that an offer of the other side has made. @param {string} sdp */
  #findSections(sdp) {
    if (this.#sections.size > 0) return;
    const streams = newStreams();
    const transceivers = this.#pc.getTransceivers();
    for (const [index, mid] of midsIn(sdp).entries()) {
      const section = SECTIONS[index];
      const transceiver = transceivers.find((candidate) => candidate.mid === mid);
      if (!section || !transceiver) continue;
      transceiver.direction = 'sendrecv';
      transceiver.sender.setStreams?.(...(streams?.[section.stream] ?? []));
      this.#sections.set(section.source, transceiver);
    }
    this.#handlers.onSections();
  }

  /** @param {RTCIceCandidateInit | null} candidate */
  async #takeCandidate(candidate) {
    if (!this.#pc.remoteDescription) this.#early.push(candidate);
    else await this.#addCandidate(candidate);
  }

  /** @param {RTCIceCandidateInit | null} candidate `null`: there are no more */
  async #addCandidate(candidate) {
    try {
      await this.#pc.addIceCandidate(candidate ?? undefined);
    } catch (error) {
      // Those of an offer that was ignored belong to nothing; another one that cannot be used is one fewer to try.
      if (!this.#ignoresOffer) console.debug('A candidate was left out:', error);
    }
  }

  #iceChanged() {
    this.#environment.clearTimeout(this.#disturbance);
    const state = this.#pc.iceConnectionState;
    if (state === 'failed') this.restart();
    if (state === 'disconnected')
      this.#disturbance = this.#environment.setTimeout(() => this.restart(), DISTURBED_LIMIT);
  }

  /** @param {() => Promise<void>} action */
  #enqueue(action) {
    this.#queue = this.#queue
      .then(async () => {
        if (!this.#closed) await action();
      })
      .catch((error) => {
        // A connection that does not come about is noticed by its state, whatever the reason.
        if (!this.#closed) console.debug('A straight connection could not be negotiated:', error);
      });
  }
}

/**
 * Sound and picture of a person in one stream, so that browsers play them in sync, and those of a screen in another.
 * @returns {Record<'call' | 'screen', MediaStream[]> | null} `null` where there are no streams, in tests
 */
const newStreams = () =>
  typeof MediaStream === 'undefined' ? null : { call: [new MediaStream()], screen: [new MediaStream()] };

/** @param {string} sdp */
const sessionOf = (sdp) => /^o=\S+ (\S+)/m.exec(sdp)?.[1] ?? '';

/** The sections' mids, in order. @param {string} sdp */
const midsIn = (sdp) => [...sdp.matchAll(/^a=mid:(\S+)/gm)].map(([, mid]) => mid ?? '');
