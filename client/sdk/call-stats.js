// The statistics of a call, whichever way it goes: those of the connection to the server, or of all the straight ones as if
// they were one. A track that is sent straight to many has one row, with what all of them take.

import { StatsCollector, joined } from './stats.js';

/** @import {MeshManager} from './mesh-manager.js' */
/** @import {Participant} from './participant.js' */
/** @import {Publisher} from './publisher.js' */
/** @import {Roster} from './roster.js' */
/** @import {SfuManager} from './sfu-manager.js' */
/** @import {ConnectionStats, Owner, RoomStats} from './stats.js' */
/** @import {Mode} from './topology.js' */
/** @import {Track} from './track.js' */

/**
 * @typedef {object} Call
 * @property {Mode} active
 * @property {SfuManager} sfu
 * @property {MeshManager} mesh
 * @property {RTCPeerConnectionState} mediaState
 * @property {Publisher} publisher
 * @property {Roster} roster
 * @property {Participant} localParticipant
 *
 * @typedef {Omit<RoomStats, 'experience'>} Measured
 */

export class CallStats {
  #server = new StatsCollector();
  /** One for each straight connection. @type {Map<string, StatsCollector>} */
  #straight = new Map();

  /** @param {Call} call @returns {Promise<Measured | null>} `null` without a connection */
  collect(call) {
    return call.active === 'sfu' ? this.#ofServer(call) : this.#ofMesh(call);
  }

  /** @param {Call} call @returns {Promise<Measured | null>} */
  async #ofServer({ sfu, publisher, roster }) {
    const report = await sfu.getStats();
    if (!report) return null;
    /** @param {string | null} mid @param {string | null} identifier */
    const ownerOf = (mid, identifier) => {
      const isIt = (/** @type {Track} */ track) => identifier !== null && track.mediaStreamTrack?.id === identifier;
      return owned(
        (mid !== null && roster.trackInSlot(mid)) ||
          publisher.tracks.find((own) => isIt(own) || (mid !== null && sfu.midOf(own) === mid)) ||
          roster.tracks().find(isIt),
      );
    };
    const entries = /** @type {Iterable<[string, any]>} */ (/** @type {unknown} */ (report));
    return this.#server.collect(entries, ownerOf, sfu);
  }

  /** @param {Call} call @returns {Promise<Measured>} */
  async #ofMesh({ mesh, mediaState, publisher, roster }) {
    const peers = [...mesh.peers];
    for (const id of this.#straight.keys()) if (!peers.some(([peer]) => peer === id)) this.#straight.delete(id);
    const all = await Promise.all(
      peers.map(async ([id, peer]) => {
        const report = /** @type {Iterable<[string, any]>} */ (/** @type {unknown} */ (await peer.getStats()));
        const collector = this.#straight.get(id) ?? new StatsCollector();
        this.#straight.set(id, collector);
        const theirs = roster.participants.get(id);
        return collector.collect(
          report,
          (mid, identifier) => {
            const source = mid === null ? null : peer.sourceOf(mid);
            const received = source && theirs?.track(source);
            // A section goes both ways: what it receives is a track of its receiver's.
            const isReceived = identifier === null || identifier === (source && peer.receiver(source)?.track.id);
            if (isReceived && received) return owned(received);
            return owned(publisher.tracks.find((own) => own.source === source));
          },
          peer,
        );
      }),
    );
    const tracks = joined(all.flatMap(({ tracks }) => tracks));
    return { connection: together(all, mediaState, mesh.iceConnectionState), tracks };
  }
}

/**
 * @param {Measured[]} all
 * @param {RTCPeerConnectionState} state
 * @param {RTCIceConnectionState} iceState
 * @returns {ConnectionStats}
 */
function together(all, state, iceState) {
  const connections = all.map(({ connection }) => connection);
  /** @param {(connection: ConnectionStats) => number | null} of @param {(values: number[]) => number} join */
  const of = (of, join) => {
    const known = connections.map(of).filter((value) => value !== null);
    return known.length > 0 ? join(known) : null;
  };
  const sum = (/** @type {number[]} */ values) => values.reduce((total, value) => total + value, 0);
  const worst = (/** @type {number[]} */ values) => Math.max(...values);
  const [first] = connections;
  return {
    state,
    iceState,
    rttMs: of(({ rttMs }) => rttMs, worst),
    availableOutgoingBitrate: of(({ availableOutgoingBitrate }) => availableOutgoingBitrate, sum),
    sentBitrate: of(({ sentBitrate }) => sentBitrate, sum),
    receivedBitrate: of(({ receivedBitrate }) => receivedBitrate, sum),
    path: first?.path ?? null,
    localCandidateType: first?.localCandidateType ?? null,
    remoteCandidateType: first?.remoteCandidateType ?? null,
    protocol: first?.protocol ?? null,
    selfSigned: false,
  };
}

/** @param {Track | null | undefined | false} track @returns {Owner | null} */
function owned(track) {
  if (!track) return null;
  const id = track.trackId ?? ('meshId' in track ? /** @type {string | null} */ (track.meshId) : null);
  if (id === null) return null;
  return { participantId: track.participant.participantId, trackId: id, source: track.source };
}
