// Plays the audio slots, each in an element of its own that stays when the slot's track changes, so that nothing
// clicks or restarts. Pictures are shown elsewhere (track.attach); browsers keep a participant's sound and picture
// in sync by the msid stream that their slots share, whichever elements play them.

/** @import {Environment} from './environment.js' */
/** @import {RemoteTrack} from './track.js' */

export class AudioPlayer {
  #createAudio;
  #onBlocked;
  /** @type {Map<string, HTMLAudioElement>} */
  #elements = new Map();
  #speakerId = '';

  /** The browser waits for a click before it plays anything. */
  blocked = false;

  /**
   * @param {Environment['createAudio']} createAudio
   * @param {(blocked: boolean) => void} onBlocked
   */
  constructor(createAudio, onBlocked) {
    this.#createAudio = createAudio;
    this.#onBlocked = onBlocked;
  }

  /** @param {RemoteTrack} track */
  update(track) {
    if (!this.#createAudio || track.kind !== 'audio' || track.mid === null || !track.mediaStreamTrack) return;
    let element = this.#elements.get(track.mid);
    if (!element) {
      element = this.#createAudio();
      element.autoplay = true;
      this.#elements.set(track.mid, element);
      void this.#setSpeaker(element);
    }
    element.volume = track.participant.volume;
    if (currentTrack(element) !== track.mediaStreamTrack) {
      element.srcObject = new MediaStream([track.mediaStreamTrack]);
      void this.#play(element);
    }
  }

  /** To be called from a click when the browser has blocked playing. */
  async start() {
    this.#setBlocked(false);
    await Promise.all([...this.#elements.values()].map((element) => this.#play(element)));
  }

  /** @param {string} deviceId empty: the system's default */
  async setSpeaker(deviceId) {
    this.#speakerId = deviceId;
    await Promise.all([...this.#elements.values()].map((element) => this.#setSpeaker(element)));
  }

  stop() {
    for (const element of this.#elements.values()) element.srcObject = null;
    this.#elements.clear();
    this.#setBlocked(false);
  }

  /** @param {HTMLAudioElement} element */
  async #setSpeaker(element) {
    if (typeof element.setSinkId !== 'function' || element.sinkId === this.#speakerId) return;
    // A speaker that was unplugged leaves the element on the default one, which is what a person wants.
    await element.setSinkId(this.#speakerId).catch(() => {});
  }

  /** @param {HTMLAudioElement} element */
  async #play(element) {
    try {
      await element.play();
    } catch (error) {
      if (error instanceof DOMException && error.name === 'NotAllowedError') this.#setBlocked(true);
    }
  }

  /** @param {boolean} blocked */
  #setBlocked(blocked) {
    if (blocked === this.blocked) return;
    this.blocked = blocked;
    this.#onBlocked(blocked);
  }
}

/** @param {HTMLAudioElement} element */
function currentTrack(element) {
  const stream = element.srcObject;
  return stream instanceof MediaStream ? (stream.getAudioTracks()[0] ?? null) : null;
}
