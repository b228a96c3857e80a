// What is tried, and in which order, when there is no way to the server: directly, by UDP or TCP, and when that
// fails through the server's own relay. Both at once would not do: a relay is found sooner than a direct TCP path,
// and browsers stay with what they found first.

/** @import {Environment} from './environment.js' */

/** A direct path is there in a fraction of this; whoever has none after it gets the relay as well. */
const DIRECT_LIMIT = 2_000;
/** The last thing to try gets longer. */
const LAST_LIMIT = 10_000;

/**
 * @typedef {object} RecoveryHandlers
 * @property {() => void} onTrouble a path was lost
 * @property {(withRelay: boolean) => void} restart begins an ICE restart; `answered` says when it has got its answer
 * @property {() => void} die nothing is left to try on this connection
 */

export class IceRecovery {
  #environment;
  #handlers;
  #hasRelay;
  /** The relay was needed on this network: from now on it is offered without trying the rest alone first. */
  #usesRelay = false;
  /** What happens before the answer is no news about this attempt. @type {'offering' | 'checking' | 'connected'} */
  #phase = 'offering';
  /** What is left to try. @type {('direct' | 'relay')[]} */
  #plan;
  /** @type {unknown} */
  #timer = null;
  #closed = false;

  /**
   * @param {Environment} environment
   * @param {boolean} hasRelay whether the server offers one
   * @param {RecoveryHandlers} handlers
   */
  constructor(environment, hasRelay, handlers) {
    this.#environment = environment;
    this.#hasRelay = hasRelay;
    this.#handlers = handlers;
    this.#plan = [hasRelay ? 'relay' : 'direct'];
  }

  /** The answer to an offer was applied: from now on a connection can come. */
  answered() {
    if (this.#phase !== 'offering' || this.#closed) return;
    this.#phase = 'checking';
    const isLast = this.#plan.length === 0;
    // A first attempt without a relay to turn to is left to the browser's own patience.
    if (!isLast && !this.#hasRelay) return;
    this.#timer = this.#environment.setTimeout(() => this.#next(), isLast ? LAST_LIMIT : DIRECT_LIMIT);
  }

  /** @param {RTCIceConnectionState} state */
  changed(state) {
    if (this.#closed) return;
    if (state === 'connected' || state === 'completed') {
      this.#phase = 'connected';
      this.#environment.clearTimeout(this.#timer);
      this.#plan = this.#usesRelay ? ['direct'] : this.#fullPlan();
    } else if (
      (state === 'failed' && this.#phase !== 'offering') ||
      // A browser left alone with a dead path stays so for ten seconds and then gives up.
      (state === 'disconnected' && this.#phase === 'connected')
    ) {
      this.#handlers.onTrouble();
      this.#next();
    }
  }

  /** The network may be another one: a path that is still thought well of need not be any good. */
  networkBack() {
    if (this.#phase !== 'connected' || this.#closed) return;
    // What the last network let through says nothing of this one.
    this.#usesRelay = false;
    this.#plan = this.#fullPlan();
    this.#next();
  }

  /** No offer could be made, or nothing is left to try. */
  giveUp() {
    if (this.#closed) return;
    this.close();
    this.#handlers.die();
  }

  close() {
    this.#closed = true;
    this.#environment.clearTimeout(this.#timer);
  }

  /** @returns {('direct' | 'relay')[]} */
  #fullPlan() {
    return this.#hasRelay ? ['direct', 'relay'] : ['direct'];
  }

  #next() {
    this.#environment.clearTimeout(this.#timer);
    const attempt = this.#plan.shift();
    if (!attempt) {
      this.giveUp();
      return;
    }
    this.#phase = 'offering';
    this.#usesRelay ||= attempt === 'relay';
    this.#handlers.restart(this.#usesRelay);
  }
}
