// How much of this computer, and of its uplink, a call that goes straight takes: the server moves calls to itself by it, where
// the operator wants it so (`mesh.policy = "load"`).

/** @import {MeshPeer} from './mesh-peer.js' */

const LOOK_EVERY = 5000;
/** What differs by less is not told again, percent. */
const STEP = 5;
/** A picture that is made smaller for want of processor: there is none left. */
const FULL = 100;

export class LoadReporter {
  #tell;
  #lookedAt = -Infinity;
  /** Bytes sent on each connection, when it was looked at last. @type {Map<string, number>} */
  #sent = new Map();
  #told = 0;
  /** At the look before. */
  #before = 0;

  /** @param {(percent: number) => void} tell */
  constructor(tell) {
    this.#tell = tell;
  }

  /**
   * Looks from time to time.
   * @param {ReadonlyMap<string, MeshPeer>} peers by whom they lead to
   * @param {number} now
   */
  async look(peers, now) {
    const elapsed = now - this.#lookedAt;
    if (elapsed < LOOK_EVERY) return;
    const isFirst = this.#lookedAt === -Infinity;
    this.#lookedAt = now;
    const all = await Promise.all([...peers].map(([id, peer]) => this.#of(id, peer, isFirst ? Infinity : elapsed)));
    const busy = Math.min(FULL, Math.round(Math.max(0, ...all)));
    // What is busy for a moment, such as at the beginning, is not.
    const percent = Math.min(busy, this.#before);
    this.#before = busy;
    if (Math.abs(percent - this.#told) < STEP) return;
    this.#told = percent;
    this.#tell(percent);
  }

  /** @param {string} id @param {MeshPeer} peer @param {number} elapsed */
  async #of(id, peer, elapsed) {
    const report = /** @type {Map<string, any>} */ (/** @type {unknown} */ (await peer.getStats()));
    let percent = 0;
    for (const entry of report.values()) {
      if (entry.type === 'outbound-rtp' && entry.qualityLimitationReason === 'cpu') percent = FULL;
      if (entry.type !== 'candidate-pair' || !entry.nominated || !entry.availableOutgoingBitrate) continue;
      const bits = 8 * (entry.bytesSent - (this.#sent.get(id) ?? 0));
      this.#sent.set(id, entry.bytesSent);
      percent = Math.max(percent, (100 * bits * 1000) / elapsed / entry.availableOutgoingBitrate);
    }
    return percent;
  }
}
