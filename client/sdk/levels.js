// How loud everybody is: others from the audio level in their RTP packets, which costs nothing, and where that is
// missing, as for one's own microphone, from an analyser.

import { RemoteTrack } from './track.js';

/** @import {Participant} from './participant.js' */

const QUIETEST_DECIBELS = -60;
/** About -36 dB full scale: above the noise of a room, below a soft voice. */
const SPEAKING = 0.4;
const SPEAKING_HOLD = 600;
/** A source silent for longer has stopped sending (DTX, mute): its last level no longer holds. */
const STALE = 700;

/** How late sound may come that goes through Web Audio, seconds; browsers take the least that they can do, if it is more. */
const LATENCY = 0.01;

/** @type {(AudioContext & {setSinkId?: (id: string) => Promise<void>}) | null} */
let sharedContext = null;
let speakerId = '';

/** The page's audio context, made on first use, ideally within a click. */
export function audioContext() {
  if (!sharedContext) {
    sharedContext = new AudioContext({ latencyHint: LATENCY });
    if (speakerId !== '') turnToSpeaker();
  }
  if (sharedContext.state === 'suspended') sharedContext.resume().catch(() => {});
  return sharedContext;
}

/**
 * What the context plays comes from this speaker from now on, in browsers that can.
 * @param {string} deviceId empty: the system's default
 */
export function setContextSpeaker(deviceId) {
  if (deviceId === speakerId) return;
  speakerId = deviceId;
  turnToSpeaker();
}

function turnToSpeaker() {
  // A speaker that was unplugged leaves it on the one before, or the default one.
  sharedContext?.setSinkId?.(speakerId).catch(() => {});
}

/**
 * Decibel scale for meters.
 * @param {number} amplitude 0 to 1, linear
 */
export function meterLevel(amplitude) {
  if (amplitude <= 0) return 0;
  const decibels = 20 * Math.log10(amplitude);
  return Math.min(1, Math.max(0, 1 - decibels / QUIETEST_DECIBELS));
}

/** The live level of one audio track, for meters. */
export class LevelMeter {
  /** @type {MediaStreamAudioSourceNode | null} */
  #source = null;
  /** @type {AnalyserNode | null} */
  #analyser = null;
  #samples = new Float32Array(1024);

  /** @param {MediaStreamTrack} track */
  constructor(track) {
    this.track = track;
    try {
      const context = audioContext();
      this.#source = context.createMediaStreamSource(new MediaStream([track]));
      this.#analyser = context.createAnalyser();
      this.#analyser.fftSize = this.#samples.length;
      this.#source.connect(this.#analyser);
    } catch {
      // Firefox refuses a device whose sample rate is not the context's: then there is no meter, but a call.
    }
  }

  /** 0 to 1, on a decibel scale. */
  get level() {
    if (!this.#analyser) return 0;
    this.#analyser.getFloatTimeDomainData(this.#samples);
    let sum = 0;
    for (const sample of this.#samples) sum += sample * sample;
    return meterLevel(Math.sqrt(sum / this.#samples.length));
  }

  close() {
    this.#source?.disconnect();
  }
}

/** Keeps `level` and `speaking` of participants up to date. */
export class LevelTracker {
  /** @type {WeakMap<Participant, LevelMeter>} */
  #meters = new WeakMap();
  /** @type {WeakMap<RTCRtpReceiver, {timestamp: number, seenAt: number}>} */
  #newest = new WeakMap();
  /** @type {WeakMap<Participant, number>} */
  #lastLoud = new WeakMap();

  /**
   * @param {Iterable<Participant>} participants
   * @param {number} now
   */
  update(participants, now) {
    for (const participant of participants) {
      participant.level = this.#level(participant, now);
      if (participant.level >= SPEAKING) this.#lastLoud.set(participant, now);
      const isLoud = now - (this.#lastLoud.get(participant) ?? -Infinity) < SPEAKING_HOLD;
      const speaking = isLoud || participant.heardSpeaking;
      if (speaking === participant.speaking) continue;
      participant.speaking = speaking;
      participant.changed();
    }
  }

  /**
   * @param {Participant} participant
   * @param {number} now
   */
  #level(participant, now) {
    const track = participant.track('microphone');
    const mediaStreamTrack = track?.mediaStreamTrack;
    if (!track || !mediaStreamTrack || track.muted) return 0;
    if (track instanceof RemoteTrack && track.receiver) {
      const level = this.#receivedLevel(track.receiver, now);
      if (level !== null) return level;
    }
    return this.#measuredLevel(participant, mediaStreamTrack);
  }

  /**
   * @param {RTCRtpReceiver} receiver
   * @param {number} now
   * @returns {number | null} `null` where the packets do not tell
   */
  #receivedLevel(receiver, now) {
    const source = receiver.getSynchronizationSources?.()[0];
    if (!source) return 0;
    if (source.audioLevel === undefined) return null;
    const newest = this.#newest.get(receiver);
    if (newest?.timestamp !== source.timestamp) {
      this.#newest.set(receiver, { timestamp: source.timestamp, seenAt: now });
      return meterLevel(source.audioLevel);
    }
    return now - newest.seenAt < STALE ? meterLevel(source.audioLevel) : 0;
  }

  /**
   * @param {Participant} participant
   * @param {MediaStreamTrack} mediaStreamTrack
   */
  #measuredLevel(participant, mediaStreamTrack) {
    let meter = this.#meters.get(participant);
    if (meter?.track !== mediaStreamTrack) {
      meter?.close();
      meter = new LevelMeter(mediaStreamTrack);
      this.#meters.set(participant, meter);
    }
    return meter.level;
  }
}
