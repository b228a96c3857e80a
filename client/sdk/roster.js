// Who is in the room and which track is in which slot: the state that the server's messages describe.
// Snapshots are applied as differences, so that what is the same stays the same object.

import { Participant } from './participant.js';
import { RemoteTrack } from './track.js';

/** @import {Environment} from './environment.js' */
/** @import {Layer, ParticipantInfo, Resumed, SlotInfo, SlotMap, TrackInfo} from './protocol.js' */
/** @import {TrackControl} from './track.js' */

/**
 * @typedef {object} RosterHost
 * @property {Environment} environment
 * @property {TrackControl} control
 * @property {(mid: string) => RTCRtpReceiver | null} receiver
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
    for (const { trackId } of [...participant.tracks]) {
      if (trackId !== null && !published.has(trackId)) this.#removeTrack(trackId);
    }
    for (const track of info.tracks) this.#addTrack(track);
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
    for (const { trackId } of [...participant.tracks]) if (trackId !== null) this.#removeTrack(trackId);
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
    const track = new RemoteTrack(participant, info, this.#host.environment, this.#host.control);
    this.#tracks.set(info.trackId, track);
    participant.tracks.add(track);
    this.#host.onTrackAdded(track);
    participant.changed();
  }

  /** @param {string} trackId */
  #removeTrack(trackId) {
    const track = this.#tracks.get(trackId);
    if (!track) return;
    this.#tracks.delete(trackId);
    track.participant.tracks.delete(track);
    track.detach();
    this.#host.onTrackRemoved(track);
    track.participant.changed();
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
      const slot = slots.get(trackId) ?? null;
      track.setSlot(slot, slot && this.#host.receiver(slot.mid));
      const isUnlisted = isCutOff && !slot && (track.status === 'pending' || track.status === 'waiting');
      const reason = waiting.get(trackId) ?? (isUnlisted ? (reasons.get(track.kind) ?? 'no-slot-yet') : undefined);
      if (reason !== undefined) track.setStatus('waiting', reason);
      else if (track.status === 'waiting') track.setStatus('pending');
    }
  }
}

/** @returns {SlotMap} */
function emptySlotMap() {
  return { revision: -1, slots: [], waiting: [] };
}
