// One RTCPeerConnection that always makes the offers: one exchange at a time, and recovery of its path.
// It knows nothing of slots or tracks; media.js puts them on it, and whatever else needs a connection can do the same.

import { connectionStateOf, watchConnection } from './connection-state.js';
import { connectionLost } from './errors.js';
import { IceRecovery } from './ice-recovery.js';

/** @import {Environment} from './environment.js' */

/** The answer waits this long for gathering to complete: a connection that gathered all can fall back to TCP by itself. */
const GATHERING_LIMIT = 500;

/**
 * @typedef {object} ExchangedAnswer
 * @property {string} sdp the answer to apply
 * @property {() => Promise<void>} applied called when that is done; its rejection is that of `negotiate`
 */

/**
 * @typedef {object} PeerConnectionHandlers
 * @property {(sdp: string) => Promise<ExchangedAnswer>} exchange sends an offer to the other side
 * @property {(state: RTCPeerConnectionState) => void} onState
 * @property {() => void} onTrouble a path was lost, and another one is looked for
 * @property {() => void} onDead neither waiting nor an ICE restart helped
 */

export class PeerConnection {
  #environment;
  #handlers;
  /** @type {RTCPeerConnection} */
  #pc;
  #running = Promise.resolve();
  /** The exchange that has not begun yet and that everyone who wants one shares. @type {Promise<void> | null} */
  #next = null;
  #restartWanted = false;
  /** @type {RTCIceServer[]} */
  #iceServers;
  #recovery;
  #closed = false;

  /**
   * @param {Environment} environment
   * @param {RTCIceServer[]} iceServers used only where no direct way is found
   * @param {PeerConnectionHandlers} handlers
   */
  constructor(environment, iceServers, handlers) {
    this.#environment = environment;
    this.#handlers = handlers;
    this.#iceServers = iceServers;
    this.#recovery = new IceRecovery(environment, iceServers.some(isRelay), {
      onTrouble: () => handlers.onTrouble(),
      restart: (withRelay) => this.#restart(withRelay),
      die: () => this.#die(),
    });
    this.#pc = this.#open();
    watchConnection(this.#pc, {
      onIce: () => this.#recovery.changed(this.#pc.iceConnectionState),
      onState: () => this.#connectionChanged(),
    });
  }

  /** @returns {RTCPeerConnection} */
  #open() {
    const pc = this.#environment.createPeerConnection(configuration([]));
    // Firefox before version 99 cannot be told of a relay later.
    if (typeof pc.setConfiguration === 'function' || this.#iceServers.length === 0) return pc;
    pc.close();
    return this.#environment.createPeerConnection(configuration(this.#iceServers));
  }

  get closed() {
    return this.#closed;
  }

  /** @returns {RTCPeerConnectionState} */
  get connectionState() {
    return connectionStateOf(this.#pc);
  }

  get iceConnectionState() {
    return this.#pc.iceConnectionState;
  }

  /**
   * @param {'audio' | 'video'} kind
   * @param {RTCRtpTransceiverInit} init
   */
  addTransceiver(kind, init) {
    return this.#pc.addTransceiver(kind, init);
  }

  /**
   * @param {string} label
   * @param {RTCDataChannelInit} init
   */
  createDataChannel(label, init) {
    return this.#pc.createDataChannel(label, init);
  }

  /** @param {string} mid */
  transceiver(mid) {
    return this.#pc.getTransceivers().find((transceiver) => transceiver.mid === mid) ?? null;
  }

  getStats() {
    return this.#pc.getStats();
  }

  /**
   * Offers what is there now. Calls made while an exchange is under way share the one after it.
   * @returns {Promise<void>} settled when the answer is applied
   */
  negotiate() {
    if (!this.#next) {
      this.#next = this.#running.then(() => {
        this.#next = null;
        return this.#exchange();
      });
      this.#running = this.#next.catch(() => {});
    }
    return this.#next;
  }

  /**
   * For a network that has changed while the signalling was away.
   * @param {RTCIceServer[]} iceServers with credentials that are good for longer than those from before
   */
  resume(iceServers) {
    this.#iceServers = iceServers;
    this.#recovery.changed(this.#pc.iceConnectionState);
  }

  networkBack() {
    this.#recovery.networkBack();
  }

  close() {
    if (this.#closed) return;
    this.#closed = true;
    this.#recovery.close();
    this.#pc.oniceconnectionstatechange = null;
    this.#pc.onconnectionstatechange = null;
    this.#pc.close();
  }

  async #exchange() {
    if (this.#closed) throw connectionLost();
    const pc = this.#pc;
    const iceRestart = this.#restartWanted;
    this.#restartWanted = false;
    const offer = await pc.createOffer({ iceRestart });
    await pc.setLocalDescription(offer);
    const gathered = this.#gathered(iceRestart);
    let answer;
    try {
      answer = await this.#handlers.exchange(offer.sdp ?? '');
    } catch (error) {
      if (!this.#closed) await pc.setLocalDescription({ type: 'rollback' });
      throw error;
    }
    await gathered;
    if (this.#closed) throw connectionLost();
    await pc.setRemoteDescription({ type: 'answer', sdp: answer.sdp });
    this.#recovery.answered();
    await answer.applied();
  }

  /**
   * @param {boolean} afresh a restart gathers again though the state may still say `complete`
   * @returns {Promise<void>}
   */
  #gathered(afresh) {
    const pc = this.#pc;
    if (pc.iceGatheringState === 'complete' && !afresh) return Promise.resolve();
    return new Promise((resolve) => {
      const finish = () => {
        this.#environment.clearTimeout(timer);
        pc.removeEventListener('icegatheringstatechange', check);
        resolve();
      };
      const check = () => {
        if (pc.iceGatheringState === 'complete') finish();
      };
      const timer = this.#environment.setTimeout(finish, GATHERING_LIMIT);
      pc.addEventListener('icegatheringstatechange', check);
    });
  }

  #connectionChanged() {
    const { iceConnectionState } = this.#pc;
    const connectionState = connectionStateOf(this.#pc);
    this.#handlers.onState(connectionState);
    // With ICE alive it is DTLS that failed, and nothing but a new connection mends that.
    if (connectionState === 'failed' && iceConnectionState !== 'failed' && iceConnectionState !== 'disconnected')
      this.#recovery.giveUp();
  }

  /** @param {boolean} withRelay */
  #restart(withRelay) {
    this.#pc.setConfiguration?.(configuration(withRelay ? this.#iceServers : []));
    this.#restartWanted = true;
    this.negotiate().catch(() => this.#recovery.giveUp());
  }

  #die() {
    if (!this.#closed) this.#handlers.onDead();
  }
}

/** @param {RTCIceServer} server whether it relays, and does not only tell addresses */
const isRelay = ({ urls }) => [urls].flat().some((url) => /^turns?:/.test(url));

/** @param {RTCIceServer[]} iceServers @returns {RTCConfiguration} */
const configuration = (iceServers) => ({ iceServers, bundlePolicy: 'max-bundle' });
