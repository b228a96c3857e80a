// A room's server as far as moves need it: people join, are told of each other, say things to each other, publish, and are
// told to move. What it decides is the test's business.

import { Room } from '../sdk/room.js';
import { FakeClock, FakeMediaStreamTrack, FakeSocket, joinedMessage, settle } from './fakes.js';
import { PairedPeerConnection } from './mesh-fakes.js';

const kindOf = (source) => (source === 'microphone' || source === 'screen-audio' ? 'audio' : 'video');

export class Hall {
  clock = new FakeClock();
  people = [];
  mode = 'p2p';
  movingTo = null;
  migration = 0;
  strategy = 'gradual';
  warm = false;
  reason = '';
  /** Who has said that they have moved, or why they have not. */
  reports = [];
  /** Whether the server answers offers. */
  answers = true;
  /** The relays that somebody is told of. */
  relays = (_id) => [];
  /** The answers to those that it has not answered. */
  unanswered = [];
  /** Whether connections to the server come up. */
  connects = true;

  constructor() {
    PairedPeerConnection.blocked = false;
  }

  get topology() {
    const { mode, movingTo, migration, strategy, warm, reason } = this;
    return { mode, movingTo, migration, strategy, warm, reason, deadlineMs: 5000 };
  }

  /** Somebody with a Room of their own. */
  async enters(name, { publish = ['microphone'], ...options } = {}) {
    const person = {
      name,
      id: `p-${name.toLowerCase()}`,
      connections: [],
      sockets: [],
      meshTracks: [],
      published: [],
      log: [],
    };
    person.room = new Room({
      url: 'ws://test/ws',
      dataChannels: false,
      ...options,
      environment: {
        ...this.clock,
        openSocket: () => {
          const socket = new FakeSocket();
          socket.send = (text) => this.#take(person, JSON.parse(text));
          person.sockets.push(socket);
          queueMicrotask(() => socket.open());
          return socket;
        },
        createPeerConnection: (configuration) => {
          const pc = new PairedPeerConnection(configuration, this.clock);
          person.connections.push(pc);
          return pc;
        },
        createAudio: null,
        onNetworkBack: () => () => {},
        random: () => 0.5,
      },
    });
    person.tracks = {};
    for (const type of ['track-added', 'track-removed', 'participant-left'])
      person.room.on(type, ({ detail: { participant, track } }) => {
        if (!participant.isLocal) person.log.push(`${type} ${participant.name}${track ? ` ${track.source}` : ''}`);
      });
    person.room.on('error', ({ detail: { error } }) => person.log.push(`error ${error.code}`));
    for (const source of publish)
      person.tracks[source] = await person.room.publish(new FakeMediaStreamTrack(kindOf(source)), { source });
    await person.room.join({ name, room: 'hall' });
    await settle();
    return person;
  }

  /** Tells everybody how it goes on. */
  async tell(change) {
    Object.assign(this, change);
    if (this.movingTo === null && this.mode === 'sfu') for (const person of this.people) person.meshTracks = [];
    if (this.movingTo === null && this.mode === 'p2p' && this.strategy !== 'opportunistic' && !this.warm)
      for (const person of this.people) this.#publishes(person, []);
    for (const { socket } of this.#present()) void socket.news('topology', this.topology);
    await settle();
  }

  moves(to) {
    this.reports = [];
    return this.tell({ movingTo: to, migration: this.migration + 1 });
  }

  async leaves(person) {
    this.people = this.people.filter((other) => other !== person);
    for (const { socket } of this.#present())
      void socket.news('participant-left', { participantId: person.id, reason: 'left' });
    await settle();
  }

  /** The connection to the server of somebody, if it is there. */
  toServer(person) {
    return person.connections.findLast((pc) => !pc.closed && pc.remoteDescription?.sdp === 'server') ?? null;
  }

  straight(person) {
    return person.connections.filter((pc) => !pc.closed && pc.other !== null);
  }

  #present() {
    return this.people
      .map((person) => ({ person, socket: person.sockets.at(-1) }))
      .filter(({ socket }) => !socket.closed);
  }

  #others(person) {
    return this.people.filter((other) => other !== person);
  }

  #info = ({ id, name, meshTracks, published }) => ({
    participantId: id,
    name,
    state: 'connected',
    tracks: published.map((track) => ({ ...track, participantId: id, kind: kindOf(track.source) })),
    meshTracks,
  });

  #tellOthers(person, type, data) {
    for (const other of this.#others(person)) void other.sockets.at(-1).news(type, data);
  }

  #take(person, { type, id, data }) {
    const socket = person.sockets.at(-1);
    const reply = (answer, more = {}) =>
      socket.onmessage?.({ data: JSON.stringify({ type: answer, id, data: more }) });
    person.said ??= [];
    person.said.push([type, data]);
    queueMicrotask(() => {
      if (socket.closed && type !== 'leave') return;
      this[`on_${type.replaceAll('-', '_')}`]?.(person, data, reply, socket);
      if (!['join', 'offer'].includes(type)) reply('ok');
    });
  }

  on_join(person, _data, reply) {
    const participants = this.people.map(this.#info);
    reply(
      'joined',
      joinedMessage({
        participantId: person.id,
        name: person.name,
        participants,
        topology: this.topology,
        iceServers: this.relays(person.id),
      }),
    );
    this.#tellOthers(person, 'participant-joined', this.#info(person));
    this.people.push(person);
  }

  on_leave(person) {
    person.sockets.at(-1).closed ??= {};
    void this.leaves(person);
  }

  on_mesh_tracks(person, { tracks }) {
    person.meshTracks = tracks;
    this.#tellOthers(person, 'mesh-tracks', { participantId: person.id, tracks });
  }

  on_mesh_signal(person, { to, ...signal }) {
    const other = this.people.find(({ id }) => id === to);
    void other?.sockets.at(-1).news('mesh-signal', { from: person.id, ...signal });
  }

  on_migrated(person, { migration }) {
    this.reports.push(`${person.name} ${migration}`);
  }

  on_migration_failed(person, { migration, reason }) {
    this.reports.push(`${person.name} ${migration} ${reason}`);
  }

  on_mesh_failed(person, { with: other, reason }) {
    this.reports.push(`${person.name} not with ${other}: ${reason}`);
  }

  on_mute(person, { trackId, muted }) {
    person.published.find((track) => track.trackId === trackId).muted = muted;
    this.#tellOthers(person, 'track-muted', { participantId: person.id, trackId, muted });
  }

  on_offer(person, { publications }, reply) {
    if (!this.answers) {
      this.unanswered.push(() => reply('answer', { sdp: 'server', publications: [] }));
      return;
    }
    const before = person.published;
    const published = publications.map(({ mid, source, muted }) => ({
      trackId: `t-${person.id}-${source}`,
      source,
      muted: before.find((known) => known.source === source)?.muted ?? muted,
      mid,
    }));
    reply('answer', {
      sdp: 'server',
      publications: published.map((track) => ({ ...track, kind: kindOf(track.source) })),
    });
    this.#publishes(person, published);
    void this.#connect(person);
  }

  #publishes(person, published) {
    const before = person.published;
    person.published = published;
    const isIn = (list, { source }) => list.some((track) => track.source === source);
    for (const track of before.filter((track) => !isIn(published, track)))
      this.#tellOthers(person, 'track-removed', { participantId: person.id, trackId: track.trackId });
    for (const { mid, ...track } of published.filter((track) => !isIn(before, track)))
      this.#tellOthers(person, 'track-added', { participantId: person.id, ...track, kind: kindOf(track.source) });
  }

  async #connect(person) {
    await settle();
    if (this.connects) this.toServer(person)?.become('connected');
    for (const { person: one, socket } of this.#present())
      if (this.toServer(one)) void socket.news('slot-map', this.#slots(one));
  }

  #revision = 0;

  #slots(person) {
    const tracks = this.#others(person).flatMap(({ published }) => published);
    const of = (kind) => tracks.filter(({ source }) => kindOf(source) === kind);
    // Audio slots are the sections 0 and 1, and video slots 2 and 3.
    const slots = ['audio', 'video'].flatMap((kind, index) =>
      of(kind).map(({ trackId }, at) => ({ mid: String(2 * index + at), trackId, fromRtpTimestamp: null })),
    );
    return { revision: ++this.#revision, slots, waiting: [] };
  }
}
