// Stand-ins for calls that go straight: peer connections that negotiate with each other by descriptions as browsers write
// them, as far as the SDK reads them, and a room's server that relays what they say.

import { FakeMediaStreamTrack, settle } from './fakes.js';

/** All of them, by the session id in their descriptions. */
const sessions = new Map();
let nextSession = 1;

class Sender {
  #pc;
  track = null;
  parameters = { encodings: [{}] };
  streams = [];
  constructor(pc) {
    this.#pc = pc;
  }
  async replaceTrack(track) {
    if (this.#pc.closed) throw new DOMException('the connection is closed', 'InvalidStateError');
    this.track = track;
  }
  setStreams(...streams) {
    this.streams = streams;
  }
  getParameters() {
    return structuredClone(this.parameters);
  }
  async setParameters(parameters) {
    this.parameters = parameters;
  }
}

class Transceiver {
  mid = null;
  constructor(pc, kind, direction) {
    this.sender = new Sender(pc);
    this.kind = kind;
    this.direction = direction;
    this.receiver = {
      track: new FakeMediaStreamTrack(kind),
      getSynchronizationSources: () => [],
      jitterBufferTarget: null,
      getStats: async () => new Map([['in', pc.inbound(this)]]),
    };
  }
}

/** Negotiates with another one of its kind, by offers and answers of either. */
export class PairedPeerConnection extends EventTarget {
  signalingState = 'stable';
  connectionState = 'new';
  iceConnectionState = 'new';
  iceGatheringState = 'complete';
  localDescription = null;
  remoteDescription = null;
  transceivers = [];
  candidates = [];
  offers = [];
  closed = false;
  #session = nextSession++;
  #revision = 0;

  constructor(configuration, { now = () => 0 } = {}) {
    super();
    this.configuration = configuration;
    this.now = now;
    sessions.set(String(this.#session), this);
  }

  /** What comes in: whole, unless the test says otherwise. */
  inbound = () => {
    const elapsed = this.connectionState === 'connected' ? this.now() : 0;
    return {
      type: 'inbound-rtp',
      packetsReceived: elapsed > 0 ? 1 : 0,
      totalSamplesReceived: elapsed * 48,
      concealedSamples: 0,
      silentConcealedSamples: 0,
      framesDecoded: elapsed > 0 ? 1 : 0,
    };
  };

  setConfiguration(configuration) {
    this.configuration = configuration;
  }

  addTransceiver(kind, { direction = 'sendrecv' } = {}) {
    return this.transceivers[this.transceivers.push(new Transceiver(this, kind, direction)) - 1];
  }

  getTransceivers() {
    return this.transceivers;
  }

  async getStats() {
    return new Map();
  }

  async createOffer(options) {
    this.offers.push(options);
    const sections = this.transceivers.map(
      ({ kind }, index) => `m=${kind} 9 UDP/TLS/RTP/SAVPF 111\r\na=mid:${index}\r\n`,
    );
    return { type: 'offer', sdp: `v=0\r\no=- ${this.#session} ${++this.#revision} IN IP4 0\r\n${sections.join('')}` };
  }

  async createAnswer() {
    if (this.signalingState !== 'have-remote-offer') throw new Error('no offer to answer');
    const sections = this.transceivers.map(
      ({ kind, mid }) => `m=${kind} 9 UDP/TLS/RTP/SAVPF 111\r\na=mid:${mid}\r\n`,
    );
    return {
      type: 'answer',
      sdp: `v=0\r\no=- ${this.#session} ${++this.#revision} IN IP4 0\r\n${sections.join('')}`,
    };
  }

  async setLocalDescription({ type, sdp }) {
    if (type === 'rollback') {
      if (this.signalingState === 'stable') throw new Error('nothing to roll back');
      this.signalingState = 'stable';
      return;
    }
    const expected = type === 'offer' ? 'stable' : 'have-remote-offer';
    if (this.signalingState !== expected) throw new Error(`${type} in ${this.signalingState}`);
    this.signalingState = type === 'offer' ? 'have-local-offer' : 'stable';
    this.localDescription = { type, sdp };
    if (type === 'offer') this.transceivers.forEach((transceiver, index) => (transceiver.mid = String(index)));
    this.onicecandidate?.({ candidate: { candidate: `candidate of ${this.#session}`, sdpMid: '0' } });
    if (type === 'answer') this.link();
  }

  async setRemoteDescription({ type, sdp }) {
    const expected = type === 'offer' ? 'stable' : 'have-local-offer';
    if (this.signalingState !== expected) throw new Error(`remote ${type} in ${this.signalingState}`);
    this.remoteDescription = { type, sdp };
    this.signalingState = type === 'offer' ? 'have-remote-offer' : 'stable';
    if (type === 'offer') {
      for (const [, kind, mid] of sdp.matchAll(/^m=(\w+)[^\n]*\na=mid:(\S+)/gm)) {
        if (this.transceivers.some((transceiver) => transceiver.mid === mid)) continue;
        const transceiver = this.addTransceiver(kind, { direction: 'recvonly' });
        transceiver.mid = mid;
      }
    } else this.link();
  }

  async addIceCandidate(candidate) {
    if (!this.remoteDescription) throw new Error('a candidate before its description');
    this.candidates.push(candidate);
  }

  /** Whom its remote description is of. */
  get other() {
    return sessions.get(/^o=- (\d+)/m.exec(this.remoteDescription?.sdp ?? '')?.[1]) ?? null;
  }

  /** What is negotiated on both sides connects, unless `PairedPeerConnection.blocked`. */
  link() {
    const { other } = this;
    if (!other || other.other !== this || PairedPeerConnection.blocked) return;
    if (this.signalingState !== 'stable' || other.signalingState !== 'stable' || other.closed) return;
    for (const pc of [this, other]) pc.become('connected');
  }

  static blocked = false;

  become(state) {
    if (this.closed) return;
    this.connectionState = state;
    this.iceConnectionState = state;
    this.oniceconnectionstatechange?.();
    this.onconnectionstatechange?.();
  }

  close() {
    this.closed = true;
    this.signalingState = 'closed';
    this.connectionState = 'closed';
  }
}

export { settle };
