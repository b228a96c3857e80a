// Stand-ins for what the SDK takes from a browser: a clock that moves only when told, a WebSocket whose other end
// is the test, and a peer connection that negotiates without media.

export class FakeClock {
  time = 0;
  #timers = new Map();
  #nextId = 1;

  setTimeout = (callback, milliseconds) => {
    const id = this.#nextId++;
    this.#timers.set(id, { at: this.time + milliseconds, callback });
    return id;
  };

  clearTimeout = (id) => {
    this.#timers.delete(id);
  };

  now = () => this.time;

  async advance(milliseconds) {
    const end = this.time + milliseconds;
    for (;;) {
      const due = [...this.#timers].filter(([, { at }]) => at <= end).sort(([, a], [, b]) => a.at - b.at)[0];
      if (!due) break;
      const [id, { at, callback }] = due;
      this.#timers.delete(id);
      this.time = Math.max(this.time, at);
      callback();
      await settle();
    }
    this.time = end;
    await settle();
  }
}

/** Lets everything that promises have set going run to its end. */
export async function settle() {
  for (let turn = 0; turn < 5; turn++) await new Promise((resolve) => setImmediate(resolve));
}

export class FakeSocket {
  /** What the client sent, parsed. */
  sent = [];
  closed = null;
  onopen = null;
  onmessage = null;
  onclose = null;

  constructor(url) {
    this.url = url;
  }

  send(text) {
    if (this.closed) throw new Error('sent on a closed socket');
    this.sent.push(JSON.parse(text));
  }

  close(code, reason) {
    this.closed = { code, reason };
  }

  open() {
    this.onopen?.();
    return settle();
  }

  /** The network breaks. */
  break(code = 1006) {
    this.closed = { code };
    this.onclose?.({ code });
    return settle();
  }

  news(type, data = {}) {
    this.onmessage?.({ data: JSON.stringify({ type, data }) });
    return settle();
  }

  /** Answers the oldest unanswered request of a type. */
  reply(requestType, type, data = {}) {
    const request = this.sent.find((message) => message.type === requestType && !message.answered);
    if (!request) throw new Error(`No ${requestType} to answer; sent: ${this.sent.map((message) => message.type)}`);
    request.answered = true;
    this.onmessage?.({ data: JSON.stringify({ type, id: request.id, data }) });
    return settle();
  }

  last(type) {
    return this.sent.findLast((message) => message.type === type) ?? null;
  }

  count(type) {
    return this.sent.filter((message) => message.type === type).length;
  }
}

class FakeSender {
  #pc;
  track = null;
  encodings;
  constructor(pc, encodings = [{}]) {
    this.#pc = pc;
    this.encodings = encodings;
  }
  async replaceTrack(track) {
    if (this.#pc.closed) throw new DOMException('the connection is closed', 'InvalidStateError');
    this.track = track;
  }
  getParameters() {
    return { encodings: this.encodings };
  }
  async setParameters({ encodings }) {
    this.encodings = encodings;
  }
}

export class FakeDataChannel extends EventTarget {
  readyState = 'connecting';
  bufferedAmount = 0;
  /** What was sent. */
  sent = [];

  constructor(label, init) {
    super();
    this.label = label;
    this.init = init;
  }

  send(bytes) {
    this.sent.push(bytes);
  }

  open() {
    this.readyState = 'open';
    this.onopen?.();
    return settle();
  }

  close() {
    this.readyState = 'closed';
    this.onclose?.();
    this.dispatchEvent(new Event('close'));
    return settle();
  }

  /** Less waits to be sent. */
  drain() {
    this.bufferedAmount = 0;
    this.dispatchEvent(new Event('bufferedamountlow'));
    return settle();
  }

  receive(bytes) {
    this.onmessage?.({ data: bytes.buffer });
    return settle();
  }
}

class FakeTransceiver {
  mid = null;
  constructor(pc, kind, { direction = 'sendrecv', sendEncodings } = {}) {
    this.kind = kind;
    this.direction = direction;
    this.sender = new FakeSender(pc, sendEncodings);
    this.receiver = { track: new FakeMediaStreamTrack(kind), getSynchronizationSources: () => [] };
    this.extensions = [
      { uri: 'urn:ietf:params:rtp-hdrext:sdes:mid', direction: 'sendrecv' },
      {
        uri: 'https://aomediacodec.github.io/av1-rtp-spec/#dependency-descriptor-rtp-header-extension',
        direction: 'stopped',
      },
    ];
  }

  getHeaderExtensionsToNegotiate() {
    return structuredClone(this.extensions);
  }

  setHeaderExtensionsToNegotiate(extensions) {
    this.extensions = extensions;
  }
}

export class FakePeerConnection extends EventTarget {
  static created = [];
  transceivers = [];
  channels = [];
  signalingState = 'stable';
  iceGatheringState = 'new';
  iceConnectionState = 'new';
  connectionState = 'new';
  closed = false;
  offers = [];
  rollbacks = 0;

  constructor(configuration) {
    super();
    this.configuration = configuration;
    FakePeerConnection.created.push(this);
  }

  setConfiguration(configuration) {
    this.configuration = configuration;
  }

  addTransceiver(kind, init) {
    const transceiver = new FakeTransceiver(this, kind, init);
    this.transceivers.push(transceiver);
    return transceiver;
  }

  getTransceivers() {
    return this.transceivers;
  }

  createDataChannel(label, init) {
    return this.channels[this.channels.push(new FakeDataChannel(label, init)) - 1];
  }

  async createOffer(options) {
    this.offers.push(options);
    return { type: 'offer', sdp: `offer ${this.offers.length}` };
  }

  async setLocalDescription({ type }) {
    if (type === 'rollback') {
      this.rollbacks++;
      this.signalingState = 'stable';
      return;
    }
    if (this.signalingState !== 'stable') throw new Error('two offers at once');
    this.signalingState = 'have-local-offer';
    this.transceivers.forEach((transceiver, index) => (transceiver.mid = String(index)));
  }

  async setRemoteDescription() {
    if (this.signalingState !== 'have-local-offer') throw new Error('an answer without an offer');
    this.signalingState = 'stable';
  }

  gather() {
    this.iceGatheringState = 'complete';
    this.dispatchEvent(new Event('icegatheringstatechange'));
    return settle();
  }

  ice(state) {
    this.iceConnectionState = state;
    this.oniceconnectionstatechange?.();
    return settle();
  }

  close() {
    this.closed = true;
  }
}

export class FakeMediaStreamTrack extends EventTarget {
  static next = 1;
  readyState = 'live';
  constructor(kind) {
    super();
    this.kind = kind;
    this.id = `media-${FakeMediaStreamTrack.next++}`;
  }
  stop() {
    this.readyState = 'ended';
  }
  end() {
    this.readyState = 'ended';
    this.dispatchEvent(new Event('ended'));
    return settle();
  }
}

/** An environment, and the sockets and connections that were made in it. */
export function fakeEnvironment() {
  const clock = new FakeClock();
  const sockets = [];
  const connections = [];
  const networkListeners = new Set();
  return {
    clock,
    sockets,
    connections,
    socket: () => sockets.at(-1),
    connection: () => connections.at(-1),
    /** The machine is on a network again. */
    networkBack: () => {
      for (const listener of networkListeners) listener();
      return settle();
    },
    environment: {
      openSocket: (url) => sockets[sockets.push(new FakeSocket(url)) - 1],
      createPeerConnection: (configuration) =>
        connections[connections.push(new FakePeerConnection(configuration)) - 1],
      createAudio: null,
      setTimeout: clock.setTimeout,
      clearTimeout: clock.clearTimeout,
      onNetworkBack: (listener) => {
        networkListeners.add(listener);
        return () => networkListeners.delete(listener);
      },
      now: clock.now,
      random: () => 0.5,
    },
  };
}

/** The server answers the newest offer, and takes everything that it publishes. */
export async function answer(fake) {
  const { publications } = fake.socket().last('offer').data;
  const published = publications.map(({ mid, source, muted }) => ({ mid, trackId: `t-${source}`, source, muted }));
  await fake.socket().reply('offer', 'answer', { sdp: 'v=0', publications: published });
  await fake.connection().gather();
}

export function joinedMessage(changes = {}) {
  return {
    version: 1,
    participantId: 'p-me',
    secret: 'secret',
    room: 'standup',
    name: 'Anna',
    iceServers: [],
    selfSigned: false,
    slots: { audio: 2, video: 2 },
    maxSlots: { audio: 4, video: 4 },
    resumeSeconds: 30,
    permissions: {
      publish: ['microphone', 'camera', 'screen', 'screen-audio'],
      subscribe: true,
      sendData: true,
      moderate: false,
    },
    participants: [],
    server: 'test',
    ...changes,
  };
}

export const ben = (tracks = []) => ({ participantId: 'p-ben', name: 'Ben', state: 'connected', tracks });

export const benCamera = (changes = {}) => ({
  trackId: 't-cam',
  participantId: 'p-ben',
  kind: 'video',
  source: 'camera',
  muted: false,
  ...changes,
});
