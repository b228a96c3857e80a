// A room as an application sees it: join, publish, listen to events, leave. It ties together the session
// (signalling), the two ways by which media travels and what moves the call between them, the roster of participants, the
// publisher of one's own tracks and the playing of sound.

import { AudioPlayer } from './audio-player.js';
import { Experience } from './experience.js';
import { fromBase64, toBase64 } from './base64.js';
import { bytesOf, tooLarge } from './data-channels.js';
import { browserEnvironment } from './environment.js';
import { StraitError } from './errors.js';
import { LevelTracker } from './levels.js';
import { LoadReporter } from './load.js';
import { MeshManager } from './mesh-manager.js';
import { ModeController } from './mode-controller.js';
import { ModeratedRoom } from './moderated-room.js';
import { Participant } from './participant.js';
import { Publisher } from './publisher.js';
import { Roster } from './roster.js';
import { Session } from './session.js';
import { SfuManager } from './sfu-manager.js';
import { CallStats } from './call-stats.js';
import { StraightSpeakers } from './straight-speakers.js';
import { becomesStraight, isStraight } from './topology.js';
import { Wishes, limited } from './wishes.js';

/** @import {CameraOptions, MicrophoneOptions, ScreenOptions} from './capture.js' */
/** @import {Message} from './data-channels.js' */
/** @import {Environment} from './environment.js' */
/** @import {LocalTrack, PublishOptions} from './local-track.js' */
/** @import {Joined, Knocking, Layer, MeshTrack, Permissions, PermissionsChanged} from './protocol.js' */
/** @import {QualityNews, Resumed, RoomInfo, Speakers} from './protocol.js' */
/** @import {DeviceEncoding} from './publisher.js' */
/** @import {JoinRequest, RoomState} from './session.js' */
/** @import {RoomStats} from './stats.js' */
/** @import {Mode, Strategy} from './topology.js' */
/** @import {RemoteTrack, Track} from './track.js' */
/** @import {VideoLimit} from './wishes.js' */

const LEVELS_EVERY = 100;
/** The longest payload that goes by signalling, bytes. */
const SIGNALLED_BYTES_MAX = 16_384;
/** Where only TLS gets through, media has to as well, and a browser asks nobody whether it may. */
const NEEDS_TRUST = 'Where only TLS gets through, the server needs a certificate that browsers trust.';

/**
 * @typedef {object} RoomOptions
 * @property {string} [url] of the signalling WebSocket; left out: `/ws` on the page's own host
 * @property {'VP8' | 'VP9' | 'H264' | 'AV1'} [videoCodec] to publish with, `VP8` unless told otherwise
 * @property {boolean} [red] send sound twice, against loss; off unless told otherwise
 * @property {boolean} [dtx] send next to nothing while a microphone is silent; on unless told otherwise
 * @property {boolean} [dataChannels] send and receive messages on data channels; on unless told otherwise. Without them messages
 *   go by signalling, and may have 16 KiB
 * @property {boolean} [mesh] whether small calls may go straight from person to person where the room has it so, which shows them
 *   each other's network addresses; on unless told otherwise. Whoever has it off makes the whole call go through the server
 * @property {boolean} [playAudio] play what is received; off for applications that attach audio tracks themselves
 * @property {Partial<Environment>} [environment] for tests
 */

/**
 * @typedef {object} RoomTopology how sound and pictures travel just now
 * @property {Mode} mode `p2p`: straight from person to person, who see each other's network addresses; `sfu`: through the server
 * @property {Mode | null} movingTo where the call is moving; `null`: it is not
 * @property {Strategy} strategy
 * @property {string} reason of the newest change, in a word
 * @property {boolean} failed whether a move has just not come about, and everything is as before; not of moves that were given
 *   up because they were not needed any more
 */

/**
 * @typedef {object} RoomEvents
 * @property {{state: RoomState, previous: RoomState, error: StraitError | null}} state
 * @property {{state: RTCPeerConnectionState}} media-state
 * @property {{topology: RoomTopology, previous: RoomTopology | null}} topology the call goes straight or through the server from
 *   now on, or begins to move
 * @property {{participant: Participant}} participant-joined
 * @property {{participant: Participant, reason: string}} participant-left
 * @property {{participant: Participant}} participant-changed
 * @property {{participant: Participant, track: Track}} track-added
 * @property {{participant: Participant, track: Track}} track-removed
 * @property {{participant: Participant, track: Track}} track-changed
 * @property {{from: string | null, participant: Participant | null, topic: string, payload: unknown}} data somebody's message;
 *   bytes are a `Uint8Array`
 * @property {{dominant: Participant | null, speakers: {participant: Participant, level: number}[]}} speakers who speaks, as
 *   the server hears it, whoever speaks most first; levels in dBov
 * @property {{participant: Participant, quality: 'good' | 'medium' | 'poor', score: number, mos: number | null}} quality
 *   how good somebody's call is, as the server measures it: of others when the step changes, of oneself with the score
 * @property {{participant: Participant, track: RemoteTrack, layer: Layer}} layers another encoding of a simulcast is received
 * @property {{track: LocalTrack}} muted-by-moderator a moderator has muted one's own track; it may be unmuted
 * @property {PermissionsChanged} permissions-changed one may do something else than before; tracks that one may not publish any
 *   more have ended
 * @property {{info: RoomInfo}} room-updated something else is set for the room
 * @property {{message: string}} waiting one has to wait until a moderator lets one in; `join` goes on
 * @property {{person: Knocking}} knocking somebody waits to be let in, for moderators
 * @property {{person: Knocking}} knocking-over they wait no longer
 * @property {{token: string}} token the server has replaced the token by which one came in; join by this one from now on
 * @property {{draining: boolean}} draining the server lets nobody in any more, or does so again; the call goes on
 * @property {{participants: Participant[]}} levels every participant's `level` is fresh
 * @property {{blocked: boolean}} audio-blocked call `startAudio()` from a click
 * @property {{error: StraitError}} error something failed that nobody was waiting for
 */

/** @extends {ModeratedRoom<RoomEvents>} */
export class Room extends ModeratedRoom {
  #options;
  #environment;
  #session;
  #roster;
  #publisher;
  #player;
  #levels = new LevelTracker();
  #stats = new CallStats();
  #straightSpeakers = new StraightSpeakers();
  #load = new LoadReporter((percent) => {
    // A server that wants to know it no more has its reasons.
    this.#session.request('mesh-load', { percent }).catch(() => {});
  });
  #wishes;
  #experience;
  /** @type {VideoLimit} */
  #videoLimit = {};
  #sfu;
  /** @type {MeshManager} */
  #mesh;
  /** @type {ModeController} */
  #mode;
  /** Who was in the room when one came. @type {Set<string>} */
  #before = new Set();
  /** What helps people to find a way to each other. @type {RTCIceServer[]} */
  #iceServers = [];
  #url;
  /** @type {RoomTopology | null} */
  #topology = null;
  /** The first exchange of the current connection. @type {Promise<void>} */
  #firstExchange = Promise.resolve();
  /** @type {unknown} */
  #levelTimer = null;
  #wasConnected = false;
  #forgetNetwork = () => {};
  #selfSigned = false;

  /** Empty until joined. */
  roomId = '';
  /** What one may do in the room. @type {Permissions} */
  permissions = {
    publish: ['microphone', 'camera', 'screen', 'screen-audio'],
    subscribe: true,
    sendData: true,
    updateOwnProfile: true,
    moderate: false,
    hidden: false,
  };
  /** Whether anybody who reaches the server may come in, without a token. */
  open = false;
  /** What is set for the room. @type {RoomInfo} */
  info = { locked: false, waitingRoom: false };
  /** Those who wait to be let in, by id; for moderators. @type {Map<string, Knocking>} */
  knocking = new Map();
  localParticipant = new Participant({ participantId: '', name: '', isLocal: true });

  /** @param {RoomOptions} [options] */
  constructor(options = {}) {
    super();
    this.#environment = { ...browserEnvironment(), ...options.environment };
    this.#options = {
      videoCodec: /** @type {const} */ ('VP8'),
      red: false,
      dtx: true,
      dataChannels: true,
      ...options,
    };
    this.#url = options.url ?? ownSignallingUrl();
    this.#session = new Session(this.#url, this.#environment, {
      onJoined: (joined) => this.#onJoined(joined),
      onResumed: (resumed) => this.#onResumed(resumed),
      onNews: (type, data) => this.#onNews(type, data),
      onState: (state, error) => this.#onState(state, error),
    });
    const createAudio = options.playAudio === false ? null : this.#environment.createAudio;
    this.#player = new AudioPlayer(createAudio, (blocked) => this.emit('audio-blocked', { blocked }));
    this.#experience = new Experience(this.#environment.now);
    this.#wishes = new Wishes(this.#environment, (tracks) => this.#session.request('prefer', { tracks }));
    this.#roster = new Roster({
      environment: this.#environment,
      control: {
        request: (type, data) => this.#session.request(type, data),
        prefer: (trackId) => {
          const track = this.#roster.track(trackId);
          if (track) this.#wish(track);
        },
      },
      receiver: (mid) => this.#sfu.receiver(mid),
      straightReceiver: (participantId, source) => this.#mesh.receiver(participantId, source),
      path: () => this.#mode.active,
      onJoined: (participant) => this.#welcome(participant),
      onLeft: (participant, reason) => {
        this.#mesh.left(participant.participantId);
        this.emit('participant-left', { participant, reason });
      },
      onTrackAdded: (track) => {
        if (track.kind === 'video') this.#wish(track);
        this.#follow(track);
      },
      onTrackRemoved: (track) => {
        if (track.trackId !== null) this.#wishes.forget(track.trackId);
        this.#player.drop(track);
        this.emit('track-removed', { participant: track.participant, track });
      },
      onLayer: (track, layer) => {
        this.#experience.layerChanged(track);
        this.emit('layers', { participant: track.participant, track, layer });
      },
    });
    this.#publisher = new Publisher(this.localParticipant, {
      request: (type, data) => this.#session.request(type, data),
      onAdded: (track) => this.#follow(track),
      onRemoved: (track) => this.emit('track-removed', { participant: this.localParticipant, track }),
      onError: (error) => this.#report(error),
    });
    const { red, dtx, videoCodec, dataChannels } = this.#options;
    const codecs = { red, dtx, videoCodec };
    const common = {
      tracks: () => this.#publisher.tracks,
      onError: (/** @type {unknown} */ error) => this.#report(error),
    };
    this.#sfu = new SfuManager(this.#environment, codecs, dataChannels, {
      ...common,
      exchange: (offer, isWanted) => this.#session.exchangeOffer(offer, isWanted),
      onState: (state) => this.#onMediaState('sfu', state),
      onSections: () => this.#roster.refreshReceivers(),
      onPublished: (track, info) => this.#publisher.published(track, info),
      onMessage: (message) => this.#onData(message),
      onTrouble: () => this.#session.probe(),
      onDead: () => this.#onServerDead(),
      onClosed: () => {
        this.#roster.refreshReceivers();
        this.#player.dropPath('sfu');
      },
    });
    this.#mesh = new MeshManager(this.#environment, codecs, {
      ...common,
      request: (type, data) => this.#session.request(type, data),
      ownId: () => this.localParticipant.participantId,
      participants: () => this.participants.values(),
      wasBefore: (participantId) => this.#before.has(participantId),
      iceServers: () => this.#iceServers,
      isUsed: () => isStraight(this.#mode.topology),
      isWanted: () => becomesStraight(this.#mode.topology),
      onSections: (participantId) => this.#roster.refreshStraight(participantId),
      onState: () => this.#onMediaState('p2p', this.#mesh.connectionState),
      onClosed: () => this.#player.dropPath('p2p'),
    });
    this.#publisher.ways = [this.#sfu, this.#mesh];
    this.#mode = new ModeController(this.#environment, {
      paths: {
        sfu: this.#sfu,
        p2p: this.#mesh,
      },
      request: (type, data) => this.#session.request(type, data),
      participants: () => this.participants.values(),
      isReached: ({ participantId }, path) => path === 'sfu' || this.#mesh.isConnected(participantId),
      route: (path, options) => this.#roster.setPath(path, options),
      ended: (path) => this.#roster.dropPath(path),
      alike: (isMoving) => {
        for (const track of this.#roster.tracks()) track.setMoving(isMoving);
      },
      isQuiet: () => ![...this.participants.values()].some(({ speaking }) => speaking),
      onChanged: () => this.#onTopology(),
      onError: (error) => this.#report(error),
    });
    this.localParticipant.on('changed', () =>
      this.emit('participant-changed', { participant: this.localParticipant }),
    );
  }

  /** @type {RoomState} */
  #state = 'new';

  get state() {
    return this.#state;
  }

  /** State of the media path, apart from the signalling's. @returns {RTCPeerConnectionState} */
  get mediaState() {
    return this.#mode.active === 'p2p' ? this.#mesh.connectionState : this.#sfu.connectionState;
  }

  /**
   * How sound and pictures travel, so that a page can say so; `null` where they never go straight. In a call that goes straight
   * everybody in it can see everybody else's network address.
   * @returns {RoomTopology | null}
   */
  get topology() {
    return this.#topology;
  }

  /** Everybody else, by id. @returns {ReadonlyMap<string, Participant>} */
  get participants() {
    return this.#roster.participants;
  }

  /** The browser waits for a click before it plays sound. */
  get audioBlocked() {
    return this.#player.blocked;
  }

  /**
   * Joins; settled when signalling and the first offer and answer are through. Tracks published before go out with
   * that first offer.
   * @param {JoinRequest} request
   */
  async join(request) {
    if (this.#state !== 'new') {
      throw new StraitError('wrong-state', 'This room object was used before.', 'Make a new Room to join again.');
    }
    if (typeof RTCPeerConnection === 'undefined' && !this.#options.environment?.createPeerConnection) {
      throw new StraitError(
        'unsupported-browser',
        'This browser has no WebRTC.',
        'Use a current version of Chrome, Firefox, Edge or Safari.',
      );
    }
    this.#experience.begin();
    const mesh = this.#options.mesh !== false && { mesh: true };
    await this.#session.join({ ...request, ...mesh });
    try {
      await this.#firstExchange;
    } catch (error) {
      this.leave();
      throw error;
    }
  }

  /** Leaves for good: closes the connection and releases the devices that the SDK opened. */
  leave() {
    this.#session.leave();
  }

  /**
   * Publishes any track: of a device, of a canvas, of Web Audio. Before `join` it is kept for the first offer.
   * @param {MediaStreamTrack} mediaStreamTrack
   * @param {PublishOptions} options
   */
  publish(mediaStreamTrack, options) {
    return this.#publisher.publish(mediaStreamTrack, options);
  }

  /** @param {LocalTrack} track */
  unpublish(track) {
    return this.#publisher.unpublish(track);
  }

  /**
   * Turns the microphone on (captures and publishes it the first time) or mutes it.
   * @param {boolean} enabled
   * @param {MicrophoneOptions} [options]
   */
  setMicrophone(enabled, options) {
    return this.#publisher.setMicrophone(enabled, options);
  }

  /**
   * Turns the camera on (captures and publishes it the first time) or mutes and releases it.
   * @param {boolean} enabled
   * @param {CameraOptions & DeviceEncoding} [options]
   */
  setCamera(enabled, options) {
    return this.#publisher.setCamera(enabled, options);
  }

  /**
   * Goes over to another device without a new negotiation.
   * @param {'microphone' | 'camera'} source
   * @param {MicrophoneOptions & CameraOptions} options
   */
  switchDevice(source, options) {
    return this.#publisher.switchDevice(source, options);
  }

  /**
   * Shares a screen, window or tab as the sources `screen` and, where there is sound, `screen-audio`.
   * @param {ScreenOptions & DeviceEncoding} [options]
   */
  startScreenShare(options) {
    return this.#publisher.startScreenShare(options);
  }

  stopScreenShare() {
    return this.#publisher.stopScreenShare();
  }

  /**
   * Says what is wanted of all pictures at most, however large they are shown: to save data and battery, or on a line that
   * carries no more. It holds for those who come later, too.
   * @param {VideoLimit} limit all that limits them: what is left out limits nothing
   */
  limitVideo(limit) {
    this.#videoLimit = { ...limit };
    for (const { tracks } of this.participants.values()) {
      for (const track of tracks) if (track.kind === 'video') this.#wish(/** @type {RemoteTrack} */ (track));
    }
  }

  /** What `limitVideo` said last. */
  get videoLimit() {
    return this.#videoLimit;
  }

  /**
   * Changes one's own name, metadata or attributes; what is left out stays, and an empty text takes an attribute away.
   * @param {{name?: string, metadata?: string, attributes?: Record<string, string>}} change
   */
  async updateProfile(change) {
    await this.#session.request('update-profile', change);
    const own = this.localParticipant;
    const attributes = Object.entries({ ...own.attributes, ...change.attributes }).filter(([, text]) => text !== '');
    own.adopt({
      name: change.name?.trim() ?? own.name,
      identity: own.identity,
      metadata: change.metadata ?? own.metadata,
      attributes: Object.fromEntries(attributes),
    });
    own.changed();
  }

  /**
   * Sends a message through the server, on a data channel if one is open, else by signalling. If it was sent on a channel and the
   * server refuses it, there is an `error`.
   * @param {string} topic
   * @param {unknown} payload any JSON, or bytes: at most 256 KiB; 16 KiB by signalling
   * @param {string[]} [to] participant ids; left out: everyone
   * @param {{lossy?: boolean}} [options] `lossy`: whether it may be lost rather than come late, or behind a later one
   */
  async sendData(topic, payload, to, { lossy = false } = {}) {
    const channels = this.#sfu.dataChannels;
    // On a channel nobody stands for everybody.
    const isToSomebody = to?.length !== 0;
    if (isToSomebody && channels?.isOpen(lossy) && (await channels.send(topic, payload, to ?? [], lossy))) return;
    const bytes = bytesOf(payload);
    const length = bytes?.length ?? new TextEncoder().encode(JSON.stringify(payload)).length;
    // A message that is much longer would end the connection.
    if (length > SIGNALLED_BYTES_MAX) throw tooLarge(length, SIGNALLED_BYTES_MAX);
    const said = bytes ? { bytes: toBase64(bytes) } : { payload };
    await this.#session.request('data', { topic, ...said, ...(to && { to }), ...(lossy && { lossy }) });
  }

  /** @protected @override @param {string} type @param {object} [data] */
  ask(type, data) {
    return this.#session.request(type, data);
  }

  /** To be called from a click when `audioBlocked`. */
  startAudio() {
    return this.#player.start();
  }

  /** @param {string} deviceId of an `audiooutput` device; empty: the system's default */
  setSpeaker(deviceId) {
    return this.#player.setSpeaker(deviceId);
  }

  /** Rates are since the call before. @returns {Promise<RoomStats | null>} `null` without a connection */
  async getStats() {
    const measured = await this.#stats.collect({
      active: this.#mode.active,
      sfu: this.#sfu,
      mesh: this.#mesh,
      mediaState: this.mediaState,
      publisher: this.#publisher,
      roster: this.#roster,
      localParticipant: this.localParticipant,
    });
    if (!measured) return null;
    measured.connection.selfSigned = this.#selfSigned;
    return { ...measured, experience: this.#experience.stats };
  }

  /** @param {Joined} joined */
  #onJoined(joined) {
    this.#mode.stop();
    this.#adopt(joined);
    this.#sfu.adopt(joined);
    this.#before = new Set(joined.participants.map(({ participantId }) => participantId));
    this.#wishes.clear();
    this.#roster.reset(joined.participants);
    this.#firstExchange = this.#mode.begin(joined.topology);
    // Without the server's media path there is nothing that could fail.
    if (this.#mode.active === 'p2p') this.#session.mediaConnected();
    this.#firstExchange.catch((error) => {
      if (this.#wasConnected && !this.#sfu.isDead) this.#report(error);
    });
  }

  /** @param {Resumed} resumed */
  #onResumed(resumed) {
    this.#adopt(resumed);
    this.#sfu.adopt(resumed);
    this.#roster.resume(resumed);
    this.#sfu.resume(resumed);
    if (resumed.topology) this.#mode.news(resumed.topology);
    this.#mesh.resumed();
  }

  /** @param {Joined} joined */
  #adopt(joined) {
    this.roomId = joined.room;
    // The server's own relay leads to the server alone.
    this.#iceServers = joined.iceServers.filter((server) => !isOwnRelay(server, joined.participantId));
    this.#selfSigned = joined.selfSigned;
    this.open = joined.open ?? false;
    this.permissions = joined.permissions;
    this.localParticipant.participantId = joined.participantId;
    this.localParticipant.adopt(joined);
    this.info = joined.roomState ?? this.info;
    // Of those who wait the server tells again.
    this.knocking.clear();
    // If they hold, the server says so again.
    this.localParticipant.mediaLost = false;
    this.#onSpeakers({ dominant: null, speakers: [] });
    this.localParticipant.changed();
  }

  /**
   * @param {string} type
   * @param {any} data
   */
  #onNews(type, data) {
    if (type === 'track-muted' && data.participantId === this.localParticipant.participantId) {
      const track = this.#publisher.muteByModerator(data.trackId);
      if (track) this.emit('muted-by-moderator', { track });
      return;
    }
    if (type === 'mesh-tracks' && data.participantId === this.localParticipant.participantId) {
      this.#onOwnMeshTracks(data.tracks);
      return;
    }
    if (type === 'participant-resumed') this.#mesh.back(data.participantId);
    // Of a call that goes straight the server hears nothing anyway.
    if (type === 'participant-media-lost' && this.#mode.active === 'p2p') return;
    if (this.#roster.news(type, data) || this.#sfu.news(type, data)) return;
    if (type === 'topology') {
      this.#mode.news(data);
    } else if (type === 'mesh-signal') {
      this.#mesh.signal(data);
    } else if (type === 'data') {
      const { from, topic, payload, bytes } = data;
      this.#onData({ from, topic, payload: bytes === undefined ? payload : fromBase64(bytes) });
    } else if (type === 'participant-media-lost' || type === 'participant-media-back') {
      if (data.participantId !== this.localParticipant.participantId) return;
      this.localParticipant.mediaLost = type === 'participant-media-lost';
      this.#noteInterruption();
      this.localParticipant.changed();
    } else if (type === 'encodings') {
      this.#publisher.setActive(data.trackId, data.active);
    } else if (type === 'bitrate') {
      this.#publisher.limit(data.trackId, data.maxBitrate);
    } else if (type === 'quality') {
      this.#onQuality(data);
    } else if (type === 'speakers') {
      this.#onSpeakers(data);
    } else if (type === 'permissions-changed') {
      this.#onPermissions(data);
    } else if (type === 'participant-updated') {
      this.localParticipant.adopt(data);
      this.localParticipant.changed();
    } else if (type === 'room-updated') {
      this.info = data;
      this.emit('room-updated', { info: data });
    } else if (type === 'waiting') {
      this.emit('waiting', { message: data.message });
    } else if (type === 'knocking') {
      this.knocking.set(data.participantId, data);
      this.emit('knocking', { person: data });
    } else if (type === 'knocking-over') {
      const person = this.knocking.get(data.participantId);
      this.knocking.delete(data.participantId);
      if (person) this.emit('knocking-over', { person });
    } else if (type === 'token') {
      this.emit('token', { token: data.token });
    } else if (type === 'draining') {
      this.emit('draining', { draining: data.draining });
    } else if (type === 'error') {
      this.emit('error', { error: StraitError.fromServer(data) });
    }
  }

  /** A moderator has muted what goes straight. @param {MeshTrack[]} listed */
  #onOwnMeshTracks(listed) {
    for (const { id, muted } of listed) {
      const track = this.#publisher.tracks.find(({ meshId }) => meshId === id);
      if (!track || !muted || track.muted) continue;
      this.#publisher.muteByModerator(id);
      this.emit('muted-by-moderator', { track });
    }
  }

  /** @param {PermissionsChanged} news */
  #onPermissions(news) {
    this.permissions = news.permissions;
    this.localParticipant.role = news.role;
    for (const { trackId } of news.ended) {
      this.#publisher.endByModerator(trackId).catch((error) => this.#report(error));
    }
    // What goes straight is no track of the server's.
    for (const track of this.#publisher.tracks)
      if (!news.permissions.publish.includes(track.source))
        this.unpublish(track).catch((error) => this.#report(error));
    this.localParticipant.changed();
    this.emit('permissions-changed', news);
  }

  /** @param {QualityNews} news */
  #onQuality({ participantId, quality, score, mos }) {
    const { localParticipant } = this;
    const participant =
      participantId === localParticipant.participantId ? localParticipant : this.participants.get(participantId);
    if (!participant) return;
    participant.quality = quality;
    participant.changed();
    this.emit('quality', { participant, quality, score, mos });
  }

  /** @param {Speakers} news */
  #onSpeakers(news) {
    const levels = new Map(news.speakers.map(({ participantId, level }) => [participantId, level]));
    /** @type {Map<string, Participant>} */
    const everybody = new Map([[this.localParticipant.participantId, this.localParticipant], ...this.participants]);
    for (const [participantId, participant] of everybody) {
      const heardSpeaking = levels.has(participantId);
      const dominant = participantId === news.dominant;
      if (heardSpeaking === participant.heardSpeaking && dominant === participant.dominant) continue;
      participant.heardSpeaking = heardSpeaking;
      participant.dominant = dominant;
      participant.changed();
    }
    const speakers = [...levels].flatMap(([participantId, level]) => {
      const participant = everybody.get(participantId);
      return participant ? [{ participant, level }] : [];
    });
    if (this.#state !== 'connected') return;
    this.emit('speakers', { dominant: everybody.get(news.dominant ?? '') ?? null, speakers });
  }

  /**
   * @param {RoomState} state
   * @param {StraitError | null} error
   */
  #onState(state, error) {
    const previous = this.#state;
    this.#state = state;
    if (state === 'connecting') {
      globalThis.addEventListener?.('pagehide', this.#onPageHide);
      this.#forgetNetwork = this.#environment.onNetworkBack(() => this.#onNetworkBack());
    }
    if (state === 'connected') {
      this.#wasConnected = true;
      this.localParticipant.state = 'connected';
      this.#scheduleLevels();
      // It was given up while there was no server to say so to.
      if (this.#sfu.isDead) void this.#session.rejoin();
    }
    if (state === 'reconnecting') {
      this.localParticipant.state = 'reconnecting';
      // The server ended a participant who never had media, as it did before: say so rather than try in silence.
      if (previous === 'connected' && this.#sfu.isOpen && !this.#sfu.isDead) this.#reportNoMedia();
    }
    this.#noteInterruption();
    if (state === 'disconnected') this.#release();
    this.localParticipant.changed();
    this.emit('state', { state, previous, error });
  }

  #onPageHide = () => this.leave();

  #onNetworkBack() {
    this.#session.probe();
    this.#sfu.networkBack();
    this.#mesh.networkBack();
  }

  #release() {
    globalThis.removeEventListener?.('pagehide', this.#onPageHide);
    this.#forgetNetwork();
    this.#environment.clearTimeout(this.#levelTimer);
    this.#mode.stop();
    this.#player.stop();
    this.#wishes.clear();
    this.#roster.clear();
    // After a join that failed the application still shows its preview and may try again with the same tracks.
    this.#publisher.release(this.#wasConnected);
  }

  /**
   * @param {Mode} path
   * @param {RTCPeerConnectionState} state
   */
  #onMediaState(path, state) {
    if (state === 'connected') {
      this.#session.mediaConnected();
      this.#experience.mediaConnected();
    }
    if (path !== this.#mode.active) return;
    this.#noteInterruption();
    this.emit('media-state', { state });
  }

  /** Neither waiting nor an ICE restart helped on the way to the server. */
  #onServerDead() {
    if (this.#mode.serverLost()) return;
    this.#reportNoMedia();
    this.#sfu.abandon();
    void this.#session.rejoin();
  }

  #onTopology() {
    const topology = this.#mode.topology;
    const previous = this.#topology;
    const movingTo = this.#mode.isMoving ? (topology?.movingTo ?? null) : null;
    this.#topology = topology && {
      mode: this.#mode.active,
      movingTo: movingTo === this.#mode.active ? null : movingTo,
      strategy: topology.strategy,
      reason: topology.reason,
      failed: this.#mode.hasFailed,
    };
    if (this.#topology === null || JSON.stringify(this.#topology) === JSON.stringify(previous)) return;
    this.#noteInterruption();
    this.emit('topology', { topology: this.#topology, previous });
    // The state is that of another way now.
    if (previous !== null && previous.mode !== this.#topology.mode)
      this.emit('media-state', { state: this.mediaState });
  }

  /** Tells the application when joining again and again does not lead to media. */
  #reportNoMedia() {
    if (this.#session.mediaFailures === 0) return;
    this.#report(
      new StraitError(
        'media-blocked',
        'The server answers, but sound and picture do not get through.',
        'Try another network, or ask whoever runs this one to allow the server’s port for UDP and TCP.' +
          (this.#selfSigned ? ` ${NEEDS_TRUST}` : ''),
      ),
    );
  }

  /** @param {Participant} participant */
  #welcome(participant) {
    participant.on('changed', () => this.emit('participant-changed', { participant }));
    participant.on('volume', () => {
      for (const track of participant.tracks) this.#player.update(/** @type {RemoteTrack} */ (track));
    });
    this.#mesh.joined(participant);
    this.emit('participant-joined', { participant });
  }

  /** Tells the server what is wanted of a track, within the limit. @param {RemoteTrack} track */
  #wish(track) {
    const limit = track.kind === 'video' ? this.#videoLimit : {};
    track.setSwitchedOff(limit.off === true);
    if (track.serverId !== null) this.#wishes.set(track.serverId, limited(track.wish, track.source, limit));
  }

  #noteInterruption() {
    const isBroken = this.mediaState === 'disconnected' || this.mediaState === 'failed';
    this.#experience.interrupted(this.#state === 'reconnecting' || isBroken || this.localParticipant.mediaLost);
  }

  /** @param {Track} track */
  #follow(track) {
    const { participant } = track;
    track.on('changed', () => {
      if (!participant.isLocal) this.#player.update(/** @type {RemoteTrack} */ (track));
      this.emit('track-changed', { participant, track });
    });
    this.emit('track-added', { participant, track });
  }

  #scheduleLevels() {
    this.#environment.clearTimeout(this.#levelTimer);
    this.#levelTimer = this.#environment.setTimeout(() => {
      const participants = [this.localParticipant, ...this.participants.values()];
      this.#levels.update(participants, this.#environment.now());
      this.#experience.look(this.participants.values());
      const speakers =
        this.#mode.active === 'p2p' && this.#straightSpeakers.look(participants, this.#environment.now());
      if (speakers) this.#onSpeakers(speakers);
      if (this.#mesh.isOpen) void this.#load.look(this.#mesh.peers, this.#environment.now()).catch(() => {});
      this.emit('levels', { participants });
      this.#scheduleLevels();
    }, LEVELS_EVERY);
  }

  /** @param {Message} message */
  #onData(message) {
    this.emit('data', { ...message, participant: this.participants.get(message.from ?? '') ?? null });
  }

  /** @param {unknown} error */
  #report(error) {
    this.emit('error', { error: StraitError.from(error) });
  }
}

/**
 * Whether it is the relay inside the server, which alone has credentials for each participant: a relay of others may have the
 * same host name.
 * @param {RTCIceServer} server
 * @param {string} participantId
 */
const isOwnRelay = ({ username }, participantId) => username?.endsWith(`:${participantId}`) === true;

function ownSignallingUrl() {
  const scheme = location.protocol === 'https:' ? 'wss:' : 'ws:';
  return `${scheme}//${location.host}/ws`;
}
