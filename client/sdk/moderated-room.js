// What moderators do in a room, and what everybody may report: each is one request to the server, which checks whether they may.

import { Emitter } from './emitter.js';

/** @import {Participant} from './participant.js' */
/** @import {Permissions} from './protocol.js' */
/** @import {RemoteTrack} from './track.js' */

/**
 * @template {Record<string, any>} Events
 * @extends {Emitter<Events>}
 */
export class ModeratedRoom extends Emitter {
  /**
   * @protected
   * @param {string} _type
   * @param {object} [_data]
   * @returns {Promise<unknown>}
   */
  ask(_type, _data) {
    throw new Error('a room knows its server');
  }

  /** Mutes somebody else's track, for moderators. Its owner may unmute it. @param {RemoteTrack} track */
  async muteTrack({ serverId, participant: { participantId }, source }) {
    await this.ask('mute-track', serverId !== null ? { trackId: serverId } : { participantId, source });
  }

  /**
   * Ends somebody else's track, for moderators. Its owner may not publish that source again until they are allowed to. A track
   * that goes straight is muted, because it is nothing to the server; `setPermissions` ends it as well.
   * @param {RemoteTrack} track
   */
  async stopTrack(track) {
    if (track.serverId !== null) await this.ask('stop-track', { trackId: track.serverId });
    else await this.muteTrack(track);
  }

  /**
   * Removes somebody and lets them in no more, for moderators.
   * @param {Participant} participant
   * @param {{address?: boolean, seconds?: number}} [options] `address`: everybody behind their address stays out as well;
   *   `seconds`: for how long, left out: for as long as the room is there
   */
  async ban({ participantId }, { address, seconds } = {}) {
    await this.ask('ban-participant', {
      participantId,
      ...(address !== undefined && { address }),
      ...(seconds !== undefined && { seconds }),
    });
  }

  /** Lets in again whoever was banned, for moderators. */
  async liftBans() {
    await this.ask('lift-bans');
  }

  /**
   * Changes what somebody may do, for moderators: what is left out stays as it is.
   * @param {Participant} participant
   * @param {Partial<Omit<Permissions, 'hidden'>>} permissions
   */
  async setPermissions({ participantId }, permissions) {
    await this.ask('set-permissions', { participantId, ...permissions });
  }

  /** Lets nobody in any more but moderators, or everybody again; for moderators. @param {boolean} locked */
  async setLocked(locked) {
    await this.ask('lock-room', { locked });
  }

  /** Has people wait until a moderator lets them in, or not; for moderators. @param {boolean} enabled */
  async setWaitingRoom(enabled) {
    await this.ask('set-waiting-room', { enabled });
  }

  /** Lets in somebody who waits, for moderators. @param {{participantId: string}} person of `knocking` */
  async admit({ participantId }) {
    await this.ask('admit', { participantId });
  }

  /** Turns away somebody who waits, for moderators. @param {{participantId: string}} person of `knocking` */
  async turnAway({ participantId }) {
    await this.ask('turn-away', { participantId });
  }

  /**
   * Reports somebody to whoever runs the server.
   * @param {Participant} participant
   * @param {string} reason in a word or two
   * @param {string} [text] more about it
   */
  async report({ participantId }, reason, text = '') {
    await this.ask('report', { participantId, reason, text });
  }

  /** Removes somebody from the room, for moderators. @param {Participant} participant */
  async remove(participant) {
    await this.ask('remove-participant', { participantId: participant.participantId });
  }

  /** Ends the call for everybody, for moderators. */
  async endCall() {
    await this.ask('end-call');
  }
}
