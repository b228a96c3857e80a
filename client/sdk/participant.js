// Somebody in the room, oneself included: name, state, tracks, level and volume.

import { Emitter } from './emitter.js';

/** @import {ParticipantState, Profile, Role, Source} from './protocol.js' */
/** @import {Track} from './track.js' */

/**
 * @typedef {object} ParticipantEvents
 * @property {{participant: Participant}} changed name, state, tracks, speaking, dominant or quality
 * @property {{participant: Participant}} volume
 */

const LOUDEST = 2;

/** @extends {Emitter<ParticipantEvents>} */
export class Participant extends Emitter {
  /** @type {Set<Track>} */
  tracks = new Set();
  /** Loudness for a meter, 0 to 1, on a decibel scale. */
  level = 0;
  speaking = false;
  /** Whether they speak as the server hears it, which knows also of those who are not sent here. */
  heardSpeaking = false;
  /** Whether they speak most of all in the room, or did so last: the one to look at. */
  dominant = false;
  /** How good their call is, as the server measures it; good unless it says otherwise. @type {'good' | 'medium' | 'poor'} */
  quality = 'good';
  #volume = 1;

  /** Who they are by their token; empty if they came in without one. */
  identity = '';
  /** What the application has to say about them. */
  metadata = '';
  /** The same by keys. @type {Readonly<Record<string, string>>} */
  attributes = {};
  /** What they are, by what they may do. @type {Role} */
  role = 'speaker';

  /**
   * @param {{participantId: string, name: string, state?: ParticipantState, mediaLost?: boolean, isLocal?: boolean}} info
   */
  constructor({ participantId, name, state = 'connected', mediaLost = false, isLocal = false }) {
    super();
    this.participantId = participantId;
    this.name = name;
    this.state = state;
    /** Whether the server gets nothing from their media path, although their signalling may be well. */
    this.mediaLost = mediaLost;
    this.isLocal = isLocal;
  }

  /** @param {Source} source @returns {Track | null} */
  track(source) {
    for (const track of this.tracks) if (track.source === source) return track;
    return null;
  }

  /** How loud this participant is played here: 1 is as loud as it comes, 2 (the most) twice that. */
  get volume() {
    return this.#volume;
  }

  set volume(volume) {
    this.#volume = Math.min(LOUDEST, Math.max(0, volume));
    this.emit('volume', { participant: this });
  }

  /** Takes what the server says of who they are. @param {Profile & {role?: Role}} info */
  adopt({ name, identity = '', metadata = '', attributes = {}, role = this.role }) {
    Object.assign(this, { name, identity, metadata, attributes, role });
  }

  changed() {
    this.emit('changed', { participant: this });
  }
}
