// The way straight to the others: a peer connection for each of them, what of one's own tracks goes out on it, and what
// the others are told of those tracks. It knows nothing of moves; mode-controller.js says when it is to be there.

import { MeshPeer, SECTIONS } from './mesh-peer.js';

/** @import {CodecChoice} from './codecs.js' */
/** @import {Environment} from './environment.js' */
/** @import {LocalTrack} from './local-track.js' */
/** @import {Signal} from './mesh-peer.js' */
/** @import {Participant} from './participant.js' */
/** @import {MeshTrack, Source} from './protocol.js' */
/** @import {Topology} from './topology.js' */

/** A pair that is not connected after this never will be, or is too slow about it: the server has to carry the call. */
const CONNECT_LIMIT = 5000;
/** Sound while it goes both ways, bits per second: a move should not need twice the bandwidth. */
const MOVING_AUDIO_BITRATE = 32_000;
/** What all straight copies of a picture may have together, bits per second: each is encoded and sent by itself. */
const UPLINK_VIDEO_BITRATE = 3_000_000;
/** The same while they go both ways. */
const MOVING_VIDEO_BITRATE = 750_000;

/**
 * @typedef {object} MeshHost
 * @property {(type: string, data: object) => Promise<unknown>} request
 * @property {() => string} ownId
 * @property {() => Iterable<Participant>} participants everybody else
 * @property {() => LocalTrack[]} tracks one's own
 * @property {(participantId: string) => boolean} wasBefore whether somebody was in the room before oneself
 * @property {(participantId: string) => void} onSections the receivers of somebody's tracks have changed
 * @property {() => RTCIceServer[]} iceServers what helps people to find a way to each other
 * @property {() => boolean} isUsed whether the server takes what is said about straight connections
 * @property {() => boolean} isWanted whether they are where the call is, or where it goes: those who come while it moves to the
 *   server need none
 * @property {() => void} onState
 * @property {() => void} onClosed what came straight comes no more
 * @property {(error: unknown) => void} onError of something that nobody was waiting for
 */

export class MeshManager {
  #environment;
  #codecs;
  #host;
  /** @type {Map<string, {peer: MeshPeer, timer: unknown, hasConnected: boolean}>} */
  #peers = new Map();
  #isOpen = false;
  #connectLimit = CONNECT_LIMIT;
  #isSlow = false;
  /** What the server was told last. */
  #announced = '[]';

  /**
   * @param {Environment} environment
   * @param {CodecChoice} codecs
   * @param {MeshHost} host
   */
  constructor(environment, codecs, host) {
    this.#environment = environment;
    this.#codecs = codecs;
    this.#host = host;
  }

  get isOpen() {
    return this.#isOpen;
  }

  /** Of all connections together: whether one is heard and seen. @returns {RTCPeerConnectionState} */
  get connectionState() {
    const states = [...this.#peers.values()].map(({ peer }) => peer.connectionState);
    if (!this.#isOpen) return 'closed';
    if (states.includes('disconnected') || states.includes('failed')) return 'disconnected';
    // Alone, there is nothing to wait for; and who is on their way disturbs nobody.
    return states.length === 0 || states.includes('connected') ? 'connected' : 'connecting';
  }

  /** @returns {RTCIceConnectionState} */
  get iceConnectionState() {
    const state = this.connectionState;
    return state === 'connecting' ? 'checking' : state;
  }

  /** Each connection, by whom it leads to. @returns {Map<string, MeshPeer>} */
  get peers() {
    return new Map([...this.#peers].map(([id, { peer }]) => [id, peer]));
  }

  /** @param {{topology: Topology | null}} options */
  async open({ topology }) {
    this.#connectLimit = topology?.connectMs ?? CONNECT_LIMIT;
    if (!this.#isOpen) {
      this.#isOpen = true;
      this.#announced = '[]';
      this.#announce();
    }
    if (this.#host.isWanted()) this.#connectAll();
    this.#host.onState();
  }

  /** What goes straight is sent as long as the connections are there. */
  hold() {}

  close() {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    this.#isSlow = false;
    for (const id of [...this.#peers.keys()]) this.#drop(id);
    this.#host.onClosed();
  }

  /** Somebody has come. @param {Participant} participant */
  joined({ participantId }) {
    if (this.#isOpen && this.#host.isWanted()) this.#expect(participantId);
  }

  /** Somebody's signalling is back: what was said to them meanwhile is lost. @param {string} participantId */
  back(participantId) {
    const peer = this.#peers.get(participantId)?.peer;
    if (peer && peer.connectionState !== 'connected') peer.restart({ again: true });
  }

  /** @param {string} participantId */
  left(participantId) {
    this.#drop(participantId);
    this.#share();
    this.#host.onState();
  }

  /** @param {Signal & {from: string}} signal */
  signal({ from, ...signal }) {
    if (!this.#isOpen) return;
    const known = this.#peers.get(from);
    // A candidate alone begins nothing.
    if (!known && signal.description?.type !== 'offer') return;
    (known?.peer ?? this.#connect(from)).receive(signal);
  }

  /** Signalling is back: what was to be said meanwhile is lost. */
  resumed() {
    if (!this.#isOpen) return;
    this.#announced = '';
    this.#announce();
    for (const { peer } of this.#peers.values())
      if (peer.connectionState !== 'connected') peer.restart({ again: true });
    this.#connectAll();
  }

  networkBack() {
    for (const { peer } of this.#peers.values()) peer.restart();
  }

  /**
   * Whether moves run: then sound takes less.
   * @param {boolean} isSlow
   */
  slow(isSlow) {
    if (isSlow === this.#isSlow) return;
    this.#isSlow = isSlow;
    this.#share();
    // Who came while a move ran that did not come about has to be reached after all.
    if (!isSlow && this.#isOpen) this.#connectAll();
  }

  /** @param {LocalTrack} track */
  async publish(track) {
    for (const { peer } of this.#peers.values()) this.#attach(peer, track);
    this.#announce();
  }

  /** @param {LocalTrack} track */
  async unpublish(track) {
    for (const { peer } of this.#peers.values()) {
      const sender = peer.sender(track.source);
      if (sender && track.removeSender(sender)) await sender.replaceTrack(null);
    }
    this.#announce();
  }

  /** @param {LocalTrack} track */
  withdraw(track) {
    return this.unpublish(track);
  }

  /** Publications are what they are by themselves. */
  async renegotiate() {}

  /** One of the tracks was muted or unmuted. */
  muted() {
    this.#announce();
  }

  /**
   * Where somebody's track arrives; nothing does before the two have been connected once.
   * @param {string} participantId
   * @param {Source} source
   */
  receiver(participantId, source) {
    const entry = this.#peers.get(participantId);
    return entry?.hasConnected ? entry.peer.receiver(source) : null;
  }

  /** @param {string} participantId */
  isConnected(participantId) {
    return this.#peers.get(participantId)?.peer.connectionState === 'connected';
  }

  #connectAll() {
    for (const { participantId } of this.#host.participants()) this.#expect(participantId);
  }

  /** Connects to somebody, or waits until they do: whoever was there before begins. @param {string} participantId */
  #expect(participantId) {
    if (this.#peers.has(participantId)) return;
    const peer = this.#connect(participantId);
    if (!this.#host.wasBefore(participantId)) peer.connect();
  }

  /** @param {string} participantId */
  #connect(participantId) {
    const peer = new MeshPeer(
      this.#environment,
      {
        polite: this.#host.ownId() < participantId,
        iceServers: this.#host.iceServers(),
        codecs: this.#codecs,
      },
      {
        send: (signal) => this.#host.request('mesh-signal', { to: participantId, ...signal }),
        onSections: () => {
          for (const track of this.#host.tracks()) this.#attach(peer, track);
          this.#host.onSections(participantId);
        },
        onAnew: () => this.#detach(peer),
        onState: (state) => this.#onState(participantId, state),
      },
    );
    this.#peers.set(participantId, { peer, timer: null, hasConnected: false });
    this.#await(participantId);
    this.#share();
    return peer;
  }

  /** @param {string} participantId */
  #drop(participantId) {
    const entry = this.#peers.get(participantId);
    if (!entry) return;
    this.#environment.clearTimeout(entry.timer);
    this.#detach(entry.peer);
    entry.peer.close();
    this.#peers.delete(participantId);
    this.#host.onSections(participantId);
  }

  /**
   * @param {string} participantId
   * @param {RTCPeerConnectionState} state
   */
  #onState(participantId, state) {
    const entry = this.#peers.get(participantId);
    if (!entry) return;
    if (state === 'connected') {
      this.#environment.clearTimeout(entry.timer);
      entry.timer = null;
      entry.hasConnected = true;
      this.#host.onSections(participantId);
    } else if (state !== 'closed' && entry.timer === null) this.#await(participantId);
    this.#host.onState();
  }

  /** Has the server carry the call unless the two are connected soon. @param {string} participantId */
  #await(participantId) {
    const entry = this.#peers.get(participantId);
    if (!entry) return;
    entry.timer = this.#environment.setTimeout(() => {
      entry.timer = null;
      const isThere = [...this.#host.participants()].some(
        (other) => other.participantId === participantId && other.state === 'connected',
      );
      if (entry.peer.connectionState === 'connected') return;
      // A call that goes to the server does so whether or not these two meet, unless the move is undone; and of somebody
      // who is away nothing can be said: they may be back, or be gone in the end.
      if (!this.#host.isWanted() || !isThere) return this.#await(participantId);
      this.#host.request('mesh-failed', { with: participantId, reason: 'timeout' }).catch(() => {});
    }, this.#connectLimit);
  }

  /**
   * @param {MeshPeer} peer
   * @param {LocalTrack} track
   */
  #attach(peer, track) {
    const sender = peer.sender(track.source);
    // Of two tracks of one source the first goes straight.
    if (!sender || this.#published().get(track.source) !== track) return;
    track.addSender(sender, this.#capOf(track)).catch((error) => this.#host.onError(error));
  }

  /** Nothing is sent on a connection that ends. @param {MeshPeer} peer */
  #detach(peer) {
    for (const { source } of SECTIONS) {
      const sender = peer.sender(source);
      if (sender) for (const track of this.#host.tracks()) track.removeSender(sender);
    }
  }

  /** Everybody gets their share of the uplink. */
  #share() {
    for (const track of this.#published().values()) {
      for (const { peer } of this.#peers.values()) {
        const sender = peer.sender(track.source);
        if (sender) track.cap(sender, this.#capOf(track)).catch((error) => this.#host.onError(error));
      }
    }
  }

  /** @param {LocalTrack} track @returns {number | null} bits per second; `null`: as much as it likes */
  #capOf({ kind }) {
    const video = this.#isSlow ? MOVING_VIDEO_BITRATE : UPLINK_VIDEO_BITRATE;
    if (kind === 'video') return Math.round(video / Math.max(1, this.#peers.size));
    return this.#isSlow ? MOVING_AUDIO_BITRATE : null;
  }

  #published() {
    /** @type {Map<Source, LocalTrack>} */
    const published = new Map();
    for (const track of this.#host.tracks()) if (!published.has(track.source)) published.set(track.source, track);
    return published;
  }

  /** Tells the others what goes straight, if it has changed. */
  #announce() {
    if (!this.#isOpen || !this.#host.isUsed()) return;
    /** @type {MeshTrack[]} */
    const tracks = [...this.#published().values()].map(({ meshId, source, muted }) => ({
      id: meshId,
      source,
      muted,
    }));
    const text = JSON.stringify(tracks);
    if (text === this.#announced) return;
    this.#announced = text;
    this.#host.request('mesh-tracks', { tracks }).catch((error) => {
      // What is lost with a broken connection is told again when it is back.
      if (error.code !== 'connection-lost' && this.#host.isUsed()) this.#host.onError(error);
    });
  }
}
