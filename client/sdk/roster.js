// Who is in the room and which track is in which slot: the state that the server's messages describe.
// Snapshots are applied as differences, so that what is the same stays the same object.

import { Participant } from './participant.js';
import { RemoteTrack } from './track.js';

/** @import {Environment} from './environment.js' */
/** @import {Layer, MeshTrack, ParticipantInfo, Resumed, SlotInfo, SlotMap, Source, TrackInfo} from './protocol.js' */
/** @import {Mode} from './topology.js' */
/** @import {TrackControl} from './track.js' */

/**
 * @typedef {object} RosterHost
 * @property {Environment} environment
 * @property {TrackControl} control
 * @property {(mid: string) => RTCRtpReceiver | null} receiver of the server's connection
 * @property {(participantId: string, source: Source) => RTCRtpReceiver | null} [straightReceiver]
 * @property {() => Mode} [path] by which the call goes
 * @property {(participant: Participant) => void} onJoined
 * @property {(participant: Participant, reason: string) => void} onLeft
 * @property {(track: RemoteTrack) => void} onTrackAdded
 * @property {(track: RemoteTrack) => void} onTrackRemoved
 * @property {(track: RemoteTrack, layer: Layer) => void} onLayer
 */

export class Roster {
  #host;
  /** @type {Map<string, RemoteTrack>} */
  #tracks = new Map();
  /** @type {SlotMap} */
  #slotMap = emptySlotMap();
  /** @type {Map<string, Participant>} */
  participants = new Map();

  /** @param {RosterHost} host */
  constructor(host) {
    this.#host = host;
  }

  /** @param {string} trackId */
  track(trackId) {
    return this.#tracks.get(trackId) ?? null;
  }

  /** @param {string} mid */
  trackInSlot(mid) {
    const slot = this.#slotMap.slots.find((candidate) => candidate.mid === mid);
    return slot?.trackId ? this.track(slot.trackId) : null;
  }

  /** A fresh join: slots and their revisions begin anew. @param {ParticipantInfo[]} participants */
  reset(participants) {
    this.clear();
    this.#replaceParticipants(participants);
  }

  clear() {
    this.#replaceParticipants([]);
    this.#slotMap = emptySlotMap();
  }

  /** @param {Resumed} resumed */
  resume(resumed) {
    this.#replaceParticipants(resumed.participants);
    for (const { trackId, paused } of resumed.subscriptions) {
      const track = this.#tracks.get(trackId);
      if (!track) continue;
      track.paused = paused;
      if (track.status === 'unsubscribed') track.setStatus('pending');
    }
    for (const trackId of resumed.unsubscribed) this.#tracks.get(trackId)?.setStatus('unsubscribed');
    this.#slotMap = resumed.slotMap;
    this.#applySlots();
  }

  /** New sections were negotiated: slots may have receivers now. */
  refreshReceivers() {
    this.#applySlots();
  }

  /**
   * @param {string} type
   * @param {any} data
   * @returns {boolean} whether the message was one for the roster
   */
  news(type, data) {
    switch (type) {
      case 'participant-joined':
        this.#update(data);
        return true;
      case 'participant-reconnecting':
        this.#setState(data.participantId, 'reconnecting');
        return true;
      case 'participant-resumed':
        this.#setState(data.participantId, 'connected');
        return true;
      case 'participant-media-lost':
        return this.#setMediaLost(data.participantId, true);
      case 'participant-media-back':
        return this.#setMediaLost(data.participantId, false);
      case 'participant-left':
        this.#drop(data.participantId, data.reason);
        return true;
      case 'participant-updated':
        return this.#adopt(data);
      case 'track-added':
        this.#addTrack(data);
        this.#applySlots();
        return true;
      case 'track-removed':
        this.#removeTrack(data.trackId);
        return true;
      case 'mesh-tracks':
        this.#setMeshTracks(this.participants.get(data.participantId), data.tracks);
        return true;
      case 'track-muted':
        this.#tracks.get(data.trackId)?.setMuted(data.muted);
        return true;
      case 'slot-map':
        if (data.revision > this.#slotMap.revision) {
          this.#slotMap = data;
          this.#applySlots();
        }
        return true;
      case 'cannot-receive':
        this.#tracks.get(data.trackId)?.setStatus('unsupported', data.reason);
        return true;
      case 'subscription-permission':
        this.#tracks.get(data.trackId)?.setAllowed(data.allowed);
        return true;
      case 'layers':
        this.#setLayer(data);
        return true;
      default:
        return false;
    }
  }

  /** @param {ParticipantInfo[]} infos */
  #replaceParticipants(infos) {
    const present = new Set(infos.map(({ participantId }) => participantId));
    for (const id of [...this.participants.keys()]) if (!present.has(id)) this.#drop(id, 'left');
    for (const info of infos) this.#update(info);
  }

  /** @param {ParticipantInfo} info */
  #update(info) {
    let participant = this.participants.get(info.participantId);
    if (!participant) {
      participant = new Participant(info);
      this.participants.set(info.participantId, participant);
      this.#host.onJoined(participant);
    }
    participant.adopt(info);
    participant.state = info.state;
    participant.mediaLost = info.mediaLost ?? false;
    const published = new Set(info.tracks.map(({ trackId }) => trackId));
    for (const { serverId } of remoteTracks(participant)) {
      if (serverId !== null && !published.has(serverId)) this.#removeTrack(serverId);
    }
    for (const track of info.tracks) this.#addTrack(track);
    this.#setMeshTracks(participant, info.meshTracks ?? []);
    participant.changed();
  }

  /** @param {ParticipantInfo} info @returns {boolean} whether it is about one of the others */
  #adopt(info) {
    const participant = this.participants.get(info.participantId);
    participant?.adopt(info);
    participant?.changed();
    return participant !== undefined;
  }

  /**
   * @param {string} participantId
   * @param {import('./protocol.js').ParticipantState} state
   */
  #setState(participantId, state) {
    const participant = this.participants.get(participantId);
    if (!participant) return;
    participant.state = state;
    participant.changed();
  }

  /**
   * @param {string} participantId
   * @param {boolean} mediaLost
   * @returns {boolean} whether it is about one of the others
   */
  #setMediaLost(participantId, mediaLost) {
    const participant = this.participants.get(participantId);
    if (!participant) return false;
    participant.mediaLost = mediaLost;
    participant.changed();
    return true;
  }

  /**
   * @param {string} participantId
   * @param {string} reason
   */
  #drop(participantId, reason) {
    const participant = this.participants.get(participantId);
    if (!participant) return;
    for (const track of remoteTracks(participant)) this.#forget(track);
    this.participants.delete(participantId);
    this.#host.onLeft(participant, reason);
  }

  /** @param {Layer} layer */
  #setLayer(layer) {
    const track = this.#tracks.get(layer.trackId);
    if (!track) return;
    track.setLayer(layer);
    this.#host.onLayer(track, layer);
  }

  /** @param {TrackInfo} info */
  #addTrack(info) {
    const participant = this.participants.get(info.participantId);
    if (!participant) return;
    const known = this.#tracks.get(info.trackId);
    if (known) {
      known.setMuted(info.muted);
      return;
    }
    // What came straight until now comes by the server as well: it is the same track.
    const same = remoteTracks(participant).find((track) => track.source === info.source && track.serverId === null);
    if (same) {
      this.#tracks.set(info.trackId, same);
      same.serverId = info.trackId;
      same.setMuted(info.muted);
      return;
    }
    const track = new RemoteTrack(participant, info, this.#host.environment, this.#host.control);
    this.#tracks.set(info.trackId, track);
    this.#welcome(track);
  }

  /**
   * What somebody sends straight, all of it.
   * @param {Participant | undefined} participant
   * @param {MeshTrack[]} listed
   */
  #setMeshTracks(participant, listed) {
    if (!participant) return;
    const tracks = remoteTracks(participant);
    for (const track of tracks) {
      const { meshId } = track;
      if (meshId === null || listed.some(({ id }) => id === meshId)) continue;
      this.#tracks.delete(meshId);
      track.meshId = null;
      if (track.serverId === null) this.#forget(track);
    }
    for (const { id, source, muted } of listed) {
      const known = this.#tracks.get(id) ?? remoteTracks(participant).find((track) => track.source === source);
      const track =
        known ?? new RemoteTrack(participant, { source, muted }, this.#host.environment, this.#host.control);
      if (known?.meshId && known.meshId !== id) this.#tracks.delete(known.meshId);
      this.#tracks.set(id, track);
      track.meshId = id;
      if (known) track.setMuted(muted);
      else this.#welcome(track);
    }
    this.refreshStraight(participant.participantId);
  }

  /** @param {RemoteTrack} track */
  #welcome(track) {
    track.setPath(this.#host.path?.() ?? 'sfu');
    track.participant.tracks.add(track);
    this.#host.onTrackAdded(track);
    track.participant.changed();
  }

  /** @param {string} trackId by which the server knew it */
  #removeTrack(trackId) {
    const track = this.#tracks.get(trackId);
    if (!track) return;
    this.#tracks.delete(trackId);
    if (track.meshId === null) return this.#forget(track);
    // It comes straight, and goes on.
    if (track.serverId === trackId) track.serverId = null;
  }

  /** @param {RemoteTrack} track */
  #forget(track) {
    for (const id of [track.serverId, track.meshId]) if (id !== null) this.#tracks.delete(id);
    if (!track.participant.tracks.delete(track)) return;
    track.detach();
    this.#host.onTrackRemoved(track);
    track.participant.changed();
  }

  /** @param {string} participantId @param {Source} source */
  #straight(participantId, source) {
    return this.#host.straightReceiver?.(participantId, source) ?? null;
  }

  /** The sections of the straight connection to somebody have changed. @param {string} participantId */
  refreshStraight(participantId) {
    const participant = this.participants.get(participantId);
    if (!participant) return;
    for (const track of remoteTracks(participant)) {
      const receiver = track.meshId === null ? null : this.#straight(participantId, track.source);
      track.setMeshReceiver(receiver);
    }
  }

  /**
   * Everything comes by this way from now on, where it is there.
   * @param {Mode} path
   * @param {{pictures?: boolean}} [options] `pictures`: these as well, which else go over one by one, as they come
   */
  setPath(path, { pictures = true } = {}) {
    for (const track of this.tracks()) if (pictures || track.kind === 'audio') track.setPath(path);
  }

  /** One way is there no more. @param {Mode} path */
  dropPath(path) {
    if (path === 'sfu') {
      // What the others have published there stays so until the server says otherwise: it tells nobody twice, and this
      // client may be back before that.
      this.#slotMap = emptySlotMap();
      this.#applySlots();
      return;
    }
    for (const track of this.tracks()) {
      const { meshId } = track;
      if (meshId === null) continue;
      this.#tracks.delete(meshId);
      track.meshId = null;
      if (track.serverId === null) this.#forget(track);
    }
  }

  /** Every track of the others. @returns {RemoteTrack[]} */
  tracks() {
    return [...this.participants.values()].flatMap(remoteTracks);
  }

  #applySlots() {
    /** @type {Map<string, SlotInfo>} */
    const slots = new Map();
    for (const slot of this.#slotMap.slots) if (slot.trackId !== null) slots.set(slot.trackId, slot);
    const { waiting: listed, waitingCount = listed.length } = this.#slotMap;
    const waiting = new Map(listed.map(({ trackId, reason }) => [trackId, reason]));
    // In a large room the list is only of the first: others of their kind wait for the same.
    const isCutOff = waitingCount > listed.length;
    /** @type {Map<string | undefined, string>} */
    const reasons = new Map(listed.map(({ trackId, reason }) => [this.#tracks.get(trackId)?.kind, reason]));
    for (const [trackId, track] of this.#tracks) {
      if (track.serverId !== trackId) continue;
      const slot = slots.get(trackId) ?? null;
      track.setSlot(slot, slot && this.#host.receiver(slot.mid));
      const isUnlisted = isCutOff && !slot && (track.status === 'pending' || track.status === 'waiting');
      const reason = waiting.get(trackId) ?? (isUnlisted ? (reasons.get(track.kind) ?? 'no-slot-yet') : undefined);
      if (reason !== undefined) track.setStatus('waiting', reason);
      else if (track.status === 'waiting') track.setStatus('pending');
    }
  }
}

/** @param {Participant} participant */
const remoteTracks = (participant) => /** @type {RemoteTrack[]} */ ([...participant.tracks]);

/** @returns {SlotMap} */
function emptySlotMap() {
  return { revision: -1, slots: [], waiting: [] };
}
