// Moves a call from one way to the other when the server says so, so that nobody notices: the new way is built beside the
// old one, everything goes over in one step when all that should come by the new one does, and the old one ends last.
//
// It owns which way is in use and what is open. What goes out is the business of the two managers and of the tracks, and
// what is heard that of the room: mute, devices and subscriptions are theirs, so a move changes nothing in them.

import { PathWatch } from './path-watch.js';
import { otherThan, readTopology } from './topology.js';
import { StraitError } from './errors.js';

/** @import {Environment} from './environment.js' */
/** @import {Participant} from './participant.js' */
/** @import {Mode, Topology} from './topology.js' */

const LOOK_EVERY = 50;
/** How long a moment in which nobody speaks is waited for, as a part of the deadline, and at most, milliseconds. */
const QUIET_PART = 0.05;
const QUIET_LIMIT = 250;
/** From which part of the deadline on no such moment is waited for: everybody waits for the last one to move. */
const QUIET_UNTIL = 0.2;
/** How long the old way stays, by the way that is gone over to, milliseconds. */
const CLOSE_AFTER = { sfu: 5000, p2p: 3000 };
/** When the way to the server is tried again that was kept ready and is lost, at first and at last, milliseconds. */
const WARM_AGAIN = 5000;
const WARM_AGAIN_LIMIT = 60_000;

/** Why the server ends moves that ought to have come about. */
const FAILURES = new Set(['timeout', 'client-failed', 'server-failed', 'mesh-failed', 'reset']);

/**
 * @typedef {object} Path one of the two ways
 * @property {boolean} isOpen
 * @property {RTCPeerConnectionState} connectionState
 * @property {(options: {topology: Topology | null, isHeld: boolean}) => Promise<void>} open settled when it is set up;
 *   `isHeld`: it is to be there, and nothing is to be sent on it
 * @property {(isHeld: boolean) => void} hold
 * @property {(isSlow: boolean) => void} slow a move runs, and both ways share the network
 * @property {() => void} close
 *
 * @typedef {object} ModeHost
 * @property {Record<Mode, Path>} paths
 * @property {(type: string, data: object) => Promise<unknown>} request
 * @property {() => Iterable<Participant>} participants everybody else
 * @property {(participant: Participant, path: Mode) => boolean} isReached whether somebody's own way to here is up
 * @property {(path: Mode, options: {pictures: boolean}) => void} route has everything heard, and maybe seen, by this way, in
 *   one step
 * @property {(path: Mode) => void} ended what came by this way alone is gone
 * @property {(isMoving: boolean) => void} alike both ways are there, and are to sound alike
 * @property {() => boolean} isQuiet whether nobody speaks
 * @property {() => void} onChanged
 * @property {(error: StraitError) => void} onError
 */

/**
 * @typedef {object} Move
 * @property {Mode} to
 * @property {number} migration
 * @property {PathWatch} watch
 * @property {unknown} timer of the next look
 * @property {unknown} deadline
 * @property {number} begun when
 * @property {number | null} goodSince when everything was good first
 * @property {'building' | 'moved' | 'failed'} phase
 */

export class ModeController {
  #environment;
  #host;
  /** @type {Topology | null} */
  #topology = null;
  /** @type {Mode} */
  #active = 'sfu';
  /** @type {Move | null} */
  #move = null;
  #hasFailed = false;
  /** The end of a way that is not needed any more. @type {Record<Mode, unknown>} */
  #closing = { sfu: null, p2p: null };
  /** The next attempt to have the way through the server ready. @type {unknown} */
  #warming = null;
  /** How long until it, milliseconds. */
  #patience = WARM_AGAIN;
  /** The newest attempt. @type {Promise<void> | null} */
  #warm = null;

  /**
   * @param {Environment} environment
   * @param {ModeHost} host
   */
  constructor(environment, host) {
    this.#environment = environment;
    this.#host = host;
  }

  /** What the server has said; `null` where calls never go straight. */
  get topology() {
    return this.#topology;
  }

  /** The way by which one hears. */
  get active() {
    return this.#active;
  }

  /** Whether what has changed last is that a move did not come about, although it was wanted. */
  get hasFailed() {
    return this.#hasFailed;
  }

  get isMoving() {
    return this.#move !== null && this.#move.phase !== 'failed';
  }

  /**
   * A fresh join, after `stop` of what was before.
   * @param {unknown} data of the server's `joined`
   * @returns {Promise<void>} settled when the way that is in use is set up
   */
  begin(data) {
    const topology = readTopology(data);
    this.#topology = topology;
    this.#hasFailed = false;
    // A hard cut has been made: nobody is on the old way any more.
    const hasCut = topology?.strategy === 'hard' && topology.movingTo !== null;
    const mode = (hasCut ? topology.movingTo : topology?.mode) ?? 'sfu';
    this.#active = mode;
    this.#host.route(mode, { pictures: true });
    const opened = this.#open(mode);
    if (topology?.movingTo) this.#start(topology, topology.movingTo);
    else this.#keepWarm();
    this.#host.onChanged();
    return opened.catch((error) => {
      // The call has gone over to the other way meanwhile, and this one was closed for it.
      if (this.#active === mode || StraitError.from(error).code !== 'connection-lost') throw error;
    });
  }

  /** @param {unknown} data the server's `topology`, also of `resumed` */
  news(data) {
    const before = this.#topology;
    const topology = readTopology(data, before);
    if (!topology) return;
    this.#topology = topology;
    const { movingTo, migration, mode, reason } = topology;
    // Who has failed knows it already, and a move that is not needed any more has not failed.
    this.#hasFailed = movingTo === null && this.isMoving && this.#move?.to !== mode && FAILURES.has(reason);
    if (movingTo === null) this.#finish(topology);
    else if (this.#move?.migration === migration && this.#move.to === movingTo) this.#repeat(this.#move);
    else this.#start(topology, movingTo);
    this.#host.onChanged();
  }

  /** The way through the server is gone beyond repair. @returns {boolean} whether the call can do without it */
  serverLost() {
    if (this.#active === 'sfu' && this.#move === null) return false;
    if (this.#move?.to === 'sfu') this.#fail(this.#move, 'client-failed');
    if (this.#active === 'p2p' || this.#move?.to !== 'sfu') this.#serverGone();
    return this.#active === 'p2p';
  }

  /** Everything ends, on both ways. */
  stop() {
    this.#endMove();
    for (const mode of /** @type {const} */ (['sfu', 'p2p'])) this.#close(mode);
    this.#topology = null;
  }

  /** @param {Mode} mode */
  #open(mode, { isHeld = false } = {}) {
    this.#environment.clearTimeout(this.#closing[mode]);
    this.#closing[mode] = null;
    if (mode === 'sfu') this.#environment.clearTimeout(this.#warming);
    return this.#host.paths[mode].open({ topology: this.#topology, isHeld });
  }

  /** @param {Mode} mode */
  #close(mode) {
    this.#environment.clearTimeout(this.#closing[mode]);
    this.#closing[mode] = null;
    if (mode === 'sfu') {
      this.#environment.clearTimeout(this.#warming);
      this.#warm = null;
    }
    if (this.#host.paths[mode].isOpen) this.#host.paths[mode].close();
    this.#host.ended(mode);
  }

  /** Whether the way through the server is to be there although nothing goes by it. */
  get #wantsWarm() {
    if (this.#topology?.mode !== 'p2p') return false;
    return this.#topology.strategy === 'opportunistic' || this.#topology.warm;
  }

  #keepWarm() {
    const { sfu } = this.#host.paths;
    if (sfu.connectionState === 'connected') this.#patience = WARM_AGAIN;
    if (!this.#wantsWarm || this.#move !== null || sfu.isOpen) return;
    // It is a convenience: whether it is there shows when it is needed.
    const opened = this.#open('sfu', { isHeld: true });
    opened.catch(() => {
      // Another one may have taken its place, and a move says itself that it fails.
      if (opened === this.#warm && this.#move === null && this.#active === 'p2p') this.#serverGone();
    });
    this.#warm = opened;
  }

  /** The way through the server is of no use any more; if it is only kept ready, it is tried again a while later. */
  #serverGone() {
    this.#close('sfu');
    if (!this.#wantsWarm) return;
    this.#warming = this.#environment.setTimeout(() => this.#keepWarm(), this.#patience);
    this.#patience = Math.min(2 * this.#patience, WARM_AGAIN_LIMIT);
  }

  /**
   * @param {Topology} topology
   * @param {Mode} to
   */
  #start({ migration, strategy, deadlineMs }, to) {
    this.#endMove();
    const { paths } = this.#host;
    const from = otherThan(to);
    /** @type {Move} */
    const move = {
      to,
      migration,
      watch: new PathWatch(this.#environment, to, deadlineMs),
      timer: null,
      deadline: null,
      begun: this.#environment.now(),
      goodSince: null,
      phase: 'building',
    };
    this.#move = move;
    // A cut that has been made cannot be undone: it takes as long as it takes.
    if (strategy !== 'hard')
      move.deadline = this.#environment.setTimeout(() => this.#fail(move, 'timeout'), deadlineMs);
    // What is left of the last move has nothing to do with this one, except a way that was kept for it.
    if (this.#closing[to] !== null) this.#close(to);
    if (strategy === 'hard') {
      // Everything is expected to come again the other way, so nothing of it is gone.
      paths[from].close();
      this.#turnTo(to, { pictures: true });
    } else {
      paths[from].slow(true);
      paths[to].slow(true);
    }
    paths[to].hold(false);
    this.#open(to)
      .then(() => this.#lookLater(move))
      .catch((error) => {
        if (move !== this.#move) return;
        const failure = StraitError.from(error);
        // What was closed meanwhile has failed for a reason that is known already.
        if (failure.code !== 'connection-lost') this.#host.onError(failure);
        this.#fail(move, 'client-failed');
        // What could not be negotiated is not kept ready for the next move.
        if (to === 'sfu' && this.#active === 'p2p') this.#serverGone();
      });
  }

  /** @param {Move} move */
  #lookLater(move) {
    if (move !== this.#move || move.phase === 'failed') return;
    move.timer = this.#environment.setTimeout(() => void this.#look(move), LOOK_EVERY);
  }

  /** @param {Move} move */
  async #look(move) {
    const participants = [...this.#host.participants()];
    this.#host.alike(true);
    const isUp =
      this.#host.paths[move.to].connectionState === 'connected' &&
      participants.every((other) => other.state !== 'connected' || this.#host.isReached(other, move.to));
    // Pictures go over as they come, also when everything else has.
    const isGood = await move.watch.look(participants).catch(() => false);
    if (move !== this.#move || move.phase === 'failed') return;
    const now = this.#environment.now();
    if (!isUp || !isGood) move.goodSince = null;
    else move.goodSince ??= now;
    if (move.phase === 'building' && move.goodSince !== null) {
      const deadline = this.#topology?.deadlineMs ?? 0;
      const patience = Math.min(
        QUIET_LIMIT,
        QUIET_PART * deadline,
        move.begun + QUIET_UNTIL * deadline - move.goodSince,
      );
      if (this.#host.isQuiet() || now - move.goodSince >= patience) this.#goOver(move);
    }
    this.#lookLater(move);
  }

  /** The one step. @param {Move} move */
  #goOver(move) {
    move.phase = 'moved';
    this.#hasFailed = false;
    this.#environment.clearTimeout(move.deadline);
    this.#turnTo(move.to, { pictures: false });
    this.#repeat(move);
    this.#host.onChanged();
  }

  /** Tells the server, also when it asks again. @param {Move} move */
  #repeat({ phase, migration }) {
    if (phase === 'moved') this.#host.request('migrated', { migration }).catch(() => {});
  }

  /**
   * The new way does not come about, or was lost again: the old one is still there.
   * @param {Move} move
   * @param {string} reason
   */
  #fail(move, reason) {
    if (move !== this.#move || move.phase === 'failed') return;
    move.phase = 'failed';
    this.#hasFailed = true;
    this.#environment.clearTimeout(move.timer);
    this.#environment.clearTimeout(move.deadline);
    this.#host.request('migration-failed', { migration: move.migration, reason }).catch(() => {});
    // After a hard cut there is none to go back to; the server says how it goes on.
    if (this.#host.paths[otherThan(move.to)].isOpen) this.#stay(otherThan(move.to));
    this.#host.onChanged();
  }

  /** Stays with the old way, or goes back to it. @param {Mode} mode */
  #stay(mode) {
    this.#turnTo(mode, { pictures: true });
    this.#host.alike(false);
    this.#host.paths[mode].slow(false);
    const other = otherThan(mode);
    if (other === 'sfu' && this.#wantsWarm && this.#host.paths.sfu.isOpen) this.#host.paths.sfu.hold(true);
    else this.#close(other);
  }

  /** The move is over, or none was wanted after all. @param {Topology} topology */
  #finish({ mode }) {
    const { paths } = this.#host;
    const wasMoving = this.#move;
    this.#endMove();
    if (wasMoving && wasMoving.to !== mode && paths[mode].isOpen) {
      this.#stay(mode);
      this.#keepWarm();
      return;
    }
    if (!paths[mode].isOpen || this.#closing[mode] !== null) {
      if (this.#closing[mode] !== null) this.#close(mode);
      this.#open(mode).catch((error) => this.#host.onError(StraitError.from(error)));
    }
    paths[mode].hold(false);
    this.#turnTo(mode, { pictures: wasMoving === null || wasMoving.phase !== 'moved' });
    paths[mode].slow(false);
    this.#closeLater(otherThan(mode), mode);
    this.#keepWarm();
  }

  /**
   * @param {Mode} mode what ends
   * @param {Mode} to where everybody is
   */
  #closeLater(mode, to) {
    if (!this.#host.paths[mode].isOpen) return this.#close(mode);
    if (mode === 'sfu' && this.#wantsWarm) {
      // It may have been about to end.
      this.#environment.clearTimeout(this.#closing[mode]);
      this.#closing[mode] = null;
      this.#host.paths.sfu.hold(true);
      this.#host.route(to, { pictures: true });
      this.#host.alike(false);
      return;
    }
    if (this.#closing[mode] !== null) return;
    const watch = new PathWatch(this.#environment, to, CLOSE_AFTER[to]);
    const end = this.#environment.now() + CLOSE_AFTER[to];
    const next = async () => {
      // Pictures that come late go over before the old way ends.
      await watch.look(this.#host.participants()).catch(() => false);
      if (this.#closing[mode] === null) return;
      if (this.#environment.now() < end) {
        this.#closing[mode] = this.#environment.setTimeout(() => void next(), LOOK_EVERY);
        return;
      }
      this.#host.route(to, { pictures: true });
      this.#host.alike(false);
      this.#close(mode);
    };
    this.#closing[mode] = this.#environment.setTimeout(() => void next(), LOOK_EVERY);
  }

  /**
   * @param {Mode} mode
   * @param {{pictures: boolean}} options
   */
  #turnTo(mode, options) {
    this.#active = mode;
    this.#host.route(mode, options);
  }

  #endMove() {
    this.#environment.clearTimeout(this.#move?.timer);
    this.#environment.clearTimeout(this.#move?.deadline);
    this.#move = null;
  }
}
