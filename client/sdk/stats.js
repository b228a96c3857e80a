// getStats() of the browser, normalised: one row per track, rates from differences, one row for the connection.

/** @import {ExperienceStats} from './experience.js' */
/** @import {Kind, Source} from './protocol.js' */

/** @typedef {'good' | 'medium' | 'poor' | 'unknown'} Quality */

/**
 * @typedef {object} TrackStats
 * @property {string} participantId
 * @property {string} trackId
 * @property {Source} source
 * @property {Kind} kind
 * @property {'sent' | 'received'} direction
 * @property {string | null} codec for example `VP8`
 * @property {number | null} bitrate bits per second
 * @property {number | null} lossPercent since the last call
 * @property {number | null} packetsLost in all
 * @property {number | null} jitterMs
 * @property {number | null} rttMs
 * @property {number | null} width
 * @property {number | null} height
 * @property {number | null} framesPerSecond
 * @property {number | null} framesDropped
 * @property {number | null} freezeCount
 * @property {number | null} syncOffsetMs of a received picture: how far it is behind the sound of the same person or screen;
 *   less than 0 where it is ahead. Firefox does not tell
 * @property {Quality} quality
 */

/**
 * @typedef {object} ConnectionStats
 * @property {RTCPeerConnectionState} state
 * @property {RTCIceConnectionState} iceState
 * @property {number | null} rttMs
 * @property {number | null} availableOutgoingBitrate
 * @property {number | null} sentBitrate
 * @property {number | null} receivedBitrate
 * @property {string | null} path how packets travel, for example `UDP` or `TURN over TLS`
 * @property {string | null} localCandidateType
 * @property {string | null} remoteCandidateType
 * @property {string | null} protocol
 * @property {boolean} selfSigned whether the server's certificate is one that it made itself
 */

/** @typedef {{connection: ConnectionStats, tracks: TrackStats[], experience: ExperienceStats}} RoomStats */

/** @typedef {{participantId: string, trackId: string, source: Source}} Owner */

/** @typedef {Record<string, any> & {id: string, type: string, timestamp: number}} Entry */

export class StatsCollector {
  /** @type {Map<string, {trackId: string, entry: Entry}>} */
  #before = new Map();

  /**
   * @param {Iterable<[string, any]>} report an RTCStatsReport
   * @param {(mid: string | null, trackIdentifier: string | null) => Owner | null} ownerOf
   * @param {{connectionState: RTCPeerConnectionState, iceConnectionState: RTCIceConnectionState}} states
   * @returns {Omit<RoomStats, 'experience'>}
   */
  collect(report, ownerOf, states) {
    /** @type {Map<string, Entry>} */
    const entries = new Map(report);
    /** @type {Map<string, {trackId: string, entry: Entry}>} */
    const seen = new Map();
    const connection = this.#connection(entries, states, seen);
    const tracks = [];
    /**
     * What of a received track is played now, by the clock of whoever sends it, by participant and source.
     * @type {Map<string, number>}
     */
    const played = new Map();
    for (const entry of entries.values()) {
      if (entry.type !== 'inbound-rtp' && entry.type !== 'outbound-rtp') continue;
      const owner = ownerOf(entry.mid ?? null, trackIdentifier(entry, entries));
      if (!owner) continue;
      // A slot's stream goes on when its track changes: differences across that change belong to nobody.
      const before = this.#before.get(entry.id);
      seen.set(entry.id, { trackId: owner.trackId, entry });
      if (entry.type === 'inbound-rtp' && typeof entry.estimatedPlayoutTimestamp === 'number')
        played.set(`${owner.participantId} ${owner.source}`, entry.estimatedPlayoutTimestamp);
      tracks.push(
        trackStats(entry, before?.trackId === owner.trackId ? before.entry : null, owner, entries, connection.rttMs),
      );
    }
    this.#before = seen;
    for (const track of tracks) track.syncOffsetMs = syncOffset(track, played);
    return { connection, tracks: joined(tracks) };
  }

  /**
   * @param {Map<string, Entry>} entries
   * @param {{connectionState: RTCPeerConnectionState, iceConnectionState: RTCIceConnectionState}} states
   * @param {Map<string, {trackId: string, entry: Entry}>} seen
   * @returns {ConnectionStats}
   */
  #connection(entries, states, seen) {
    const pair = selectedPair(entries);
    const local = pair && entries.get(pair.localCandidateId);
    const remote = pair && entries.get(pair.remoteCandidateId);
    const before = pair ? (this.#before.get(pair.id)?.entry ?? null) : null;
    if (pair) seen.set(pair.id, { trackId: '', entry: pair });
    return {
      state: states.connectionState,
      iceState: states.iceConnectionState,
      rttMs: milliseconds(pair?.currentRoundTripTime),
      availableOutgoingBitrate: numberOr(pair?.availableOutgoingBitrate),
      sentBitrate: pair && rate(pair, before, 'bytesSent'),
      receivedBitrate: pair && rate(pair, before, 'bytesReceived'),
      path: local ? describePath(local) : null,
      localCandidateType: local?.candidateType ?? null,
      remoteCandidateType: remote?.candidateType ?? null,
      protocol: local?.protocol ?? null,
      selfSigned: false,
    };
  }
}

/**
 * The encodings of a simulcast as one row: what is sent in all, and the largest picture of it.
 * @param {TrackStats[]} tracks
 * @returns {TrackStats[]}
 */
export function joined(tracks) {
  /** @type {Map<string, TrackStats>} */
  const rows = new Map();
  for (const track of tracks) {
    const key = `${track.direction} ${track.trackId}`;
    const other = rows.get(key);
    rows.set(key, other ? join(other, track) : track);
  }
  return [...rows.values()];
}

/**
 * @param {TrackStats} one
 * @param {TrackStats} other
 * @returns {TrackStats}
 */
function join(one, other) {
  const larger = (other.height ?? 0) > (one.height ?? 0) ? other : one;
  const sum = (/** @type {number | null} */ a, /** @type {number | null} */ b) =>
    a === null && b === null ? null : (a ?? 0) + (b ?? 0);
  const most = (/** @type {number | null} */ a, /** @type {number | null} */ b) =>
    a === null && b === null ? null : Math.max(a ?? 0, b ?? 0);
  return {
    ...larger,
    bitrate: sum(one.bitrate, other.bitrate),
    packetsLost: sum(one.packetsLost, other.packetsLost),
    lossPercent: most(one.lossPercent, other.lossPercent),
    jitterMs: most(one.jitterMs, other.jitterMs),
    rttMs: most(one.rttMs, other.rttMs),
    quality: worstQuality([one.quality, other.quality]),
  };
}

/**
 * Three steps, from what a person notices.
 * @param {{lossPercent: number | null, rttMs: number | null, jitterMs: number | null}} measures
 * @returns {Quality}
 */
export function qualityOf({ lossPercent, rttMs, jitterMs }) {
  if (lossPercent === null && rttMs === null && jitterMs === null) return 'unknown';
  const loss = lossPercent ?? 0;
  const rtt = rttMs ?? 0;
  const jitter = jitterMs ?? 0;
  if (loss > 8 || rtt > 500 || jitter > 100) return 'poor';
  if (loss > 2 || rtt > 250 || jitter > 40) return 'medium';
  return 'good';
}

/**
 * The worst of several.
 * @param {Quality[]} qualities
 * @returns {Quality}
 */
export function worstQuality(qualities) {
  for (const quality of /** @type {const} */ (['poor', 'medium', 'good'])) {
    if (qualities.includes(quality)) return quality;
  }
  return 'unknown';
}

/**
 * @param {Entry} entry
 * @param {Entry | null} before
 * @param {Owner} owner
 * @param {Map<string, Entry>} entries
 * @param {number | null} connectionRtt
 * @returns {TrackStats}
 */
function trackStats(entry, before, owner, entries, connectionRtt) {
  const sent = entry.type === 'outbound-rtp';
  const remote = sent ? entries.get(entry.remoteId) : undefined;
  const measures = {
    lossPercent: sent ? percent(remote?.fractionLost) : receivedLoss(entry, before),
    jitterMs: milliseconds(sent ? remote?.jitter : entry.jitter),
    rttMs: milliseconds(remote?.roundTripTime) ?? connectionRtt,
  };
  return {
    ...owner,
    kind: entry.kind,
    direction: sent ? 'sent' : 'received',
    codec: codecName(entries.get(entry.codecId)),
    bitrate: rate(entry, before, sent ? 'bytesSent' : 'bytesReceived'),
    packetsLost: numberOr(sent ? remote?.packetsLost : entry.packetsLost),
    width: numberOr(entry.frameWidth),
    height: numberOr(entry.frameHeight),
    framesPerSecond: numberOr(entry.framesPerSecond),
    framesDropped: numberOr(entry.framesDropped),
    freezeCount: numberOr(entry.freezeCount),
    syncOffsetMs: null,
    ...measures,
    quality: qualityOf(measures),
  };
}

/** Which sound belongs to a picture. @type {Partial<Record<Source, Source>>} */
const SOUND_OF = { camera: 'microphone', screen: 'screen-audio' };

/**
 * @param {TrackStats} track
 * @param {Map<string, number>} played
 */
function syncOffset({ participantId, source, direction }, played) {
  const picture = played.get(`${participantId} ${source}`);
  const sound = played.get(`${participantId} ${SOUND_OF[source] ?? ''}`);
  return direction === 'received' && picture !== undefined && sound !== undefined ? sound - picture : null;
}

/**
 * @param {Entry} entry
 * @param {Map<string, Entry>} entries
 * @returns {string | null}
 */
function trackIdentifier(entry, entries) {
  return entry.trackIdentifier ?? entries.get(entry.mediaSourceId)?.trackIdentifier ?? null;
}

/** @param {Map<string, Entry>} entries @returns {Entry | null} */
function selectedPair(entries) {
  for (const entry of entries.values()) {
    if (entry.type === 'transport' && entry.selectedCandidatePairId)
      return entries.get(entry.selectedCandidatePairId) ?? null;
  }
  // Firefox has no transport entry and marks the pair itself.
  for (const entry of entries.values()) if (entry.type === 'candidate-pair' && entry.selected) return entry;
  return null;
}

/** @param {Entry} candidate of this side */
function describePath(candidate) {
  const protocol = String(candidate.protocol ?? '').toUpperCase();
  if (candidate.candidateType !== 'relay') return protocol || null;
  return `TURN over ${String(candidate.relayProtocol ?? protocol).toUpperCase()}`;
}

/**
 * @param {Entry} entry
 * @param {Entry | null} before
 * @param {string} field a count of bytes
 */
function rate(entry, before, field) {
  if (!before) return null;
  const seconds = (entry.timestamp - before.timestamp) / 1000;
  const bytes = (entry[field] ?? 0) - (before[field] ?? 0);
  return seconds > 0 && bytes >= 0 ? (bytes * 8) / seconds : null;
}

/**
 * @param {Entry} entry
 * @param {Entry | null} before
 */
function receivedLoss(entry, before) {
  if (!before) return null;
  const lost = Math.max(0, (entry.packetsLost ?? 0) - (before.packetsLost ?? 0));
  const received = Math.max(0, (entry.packetsReceived ?? 0) - (before.packetsReceived ?? 0));
  return lost + received > 0 ? (100 * lost) / (lost + received) : 0;
}

/** @param {Entry | undefined} codec @returns {string | null} */
function codecName(codec) {
  return codec?.mimeType?.split('/')[1] ?? null;
}

/** @param {unknown} value */
function numberOr(value) {
  return typeof value === 'number' && Number.isFinite(value) ? value : null;
}

/** @param {unknown} seconds */
function milliseconds(seconds) {
  return typeof seconds === 'number' ? seconds * 1000 : null;
}

/** @param {unknown} fraction */
function percent(fraction) {
  return typeof fraction === 'number' ? fraction * 100 : null;
}
