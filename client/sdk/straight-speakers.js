// Who speaks, where the call goes straight and the server hears nobody: by the levels that this browser measures, in the same
// form in which the server tells it.

/** @import {Participant} from './participant.js' */
/** @import {Speakers} from './protocol.js' */

/** Meters show this many decibels. */
const DECIBELS = 60;
/** Nobody takes the floor from somebody who paused for less, milliseconds. */
const PAUSE = 800;

export class StraightSpeakers {
  /** @type {string | null} */
  #dominant = null;
  #lastHeard = 0;
  #told = '';

  /**
   * @param {Participant[]} participants everybody, oneself included
   * @param {number} now
   * @returns {Speakers | null} `null`: nothing has changed
   */
  look(participants, now) {
    const speaking = participants.filter((participant) => participant.speaking && !!participant.track('microphone'));
    const ids = speaking.map(({ participantId }) => participantId);
    const loudest = speaking.reduce(
      (/** @type {Participant | null} */ most, other) => (most === null || other.level > most.level ? other : most),
      null,
    );
    if (this.#dominant !== null && ids.includes(this.#dominant)) this.#lastHeard = now;
    else if (loudest && (this.#dominant === null || now - this.#lastHeard >= PAUSE)) {
      this.#dominant = loudest.participantId;
      this.#lastHeard = now;
    }
    const rank = (/** @type {Participant} */ { participantId }) => (participantId === this.#dominant ? 0 : 1);
    speaking.sort((one, other) => rank(one) - rank(other) || other.level - one.level);
    const told = `${this.#dominant} ${speaking.map(({ participantId }) => participantId).join()}`;
    if (told === this.#told) return null;
    this.#told = told;
    return {
      dominant: this.#dominant,
      speakers: speaking.map((participant) => ({
        participantId: participant.participantId,
        trackId: participant.track('microphone')?.trackId ?? '',
        level: Math.round((participant.level - 1) * DECIBELS),
      })),
    };
  }
}
