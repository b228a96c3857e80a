// Keeps one participant in one room for as long as the application wants it there: joins, resumes after a
// broken WebSocket, joins afresh when there is nothing left to resume. Media is the business of media.js.

import { Backoff } from './backoff.js';
import { StraitError, connectionLost, hasLeft } from './errors.js';
import { PROTOCOL_VERSION } from './protocol.js';
import { Signalling } from './signalling.js';

/** @import {Environment} from './environment.js' */
/** @import {Answer, Closing, Joined, OfferRequest, Resumed} from './protocol.js' */

/** @typedef {'new' | 'connecting' | 'connected' | 'reconnecting' | 'disconnected'} RoomState */

/**
 * @typedef {object} JoinRequest
 * @property {string} name
 * @property {string} [room] left out: the server makes an unguessable one
 * @property {boolean} [autoSubscribe]
 * @property {string | (() => string | Promise<string>)} [token] what lets you in where the server needs it; a function is asked
 *   each time that the room is joined anew
 */

/**
 * @typedef {object} SessionHandlers
 * @property {(joined: Joined) => void} onJoined a new participant: nothing of the one before holds any more
 * @property {(resumed: Resumed) => void} onResumed
 * @property {(type: string, data: any) => void} onNews
 * @property {(state: RoomState, error: StraitError | null) => void} onState
 */

/** Answers to a join that waiting will not change. */
const FINAL = new Set([
  'unsupported-version',
  'bad-name',
  'bad-room',
  'room-full',
  'too-many-rooms',
  'too-many-participants',
  'unauthorized',
  'no-such-room',
  'not-permitted',
  'room-locked',
  'banned',
  'turned-away',
  'nobody-answered',
  'bad-reply',
]);

/** Joins that never lead to media make a new participant each time: in the end not more often than this. */
const LONGEST_JOIN_DELAY = 30_000;
/** Until an offer that came too soon after others is sent again, milliseconds. */
const OFFER_RETRY_DELAY = 1000;

export class Session {
  #url;
  #environment;
  #handlers;
  #backoff;
  /** @type {Signalling | null} */
  #signalling = null;
  /** @type {JoinRequest} */
  #joinRequest = { name: '' };
  /** What `resume` needs. @type {{room: string, participantId: string, secret: string} | null} */
  #identity = null;
  /** Whether the current socket speaks for a participant. */
  #established = false;
  /** Joins since media was connected last. */
  #joinsWithoutMedia = 0;
  /** @type {{resolve: () => void, reject: (error: StraitError) => void}[]} */
  #waiting = [];

  /** @type {RoomState} */
  state = 'new';

  /**
   * @param {string} url
   * @param {Environment} environment
   * @param {SessionHandlers} handlers
   */
  constructor(url, environment, handlers) {
    this.#url = url;
    this.#environment = environment;
    this.#handlers = handlers;
    this.#backoff = new Backoff(environment.random);
  }

  /** @param {JoinRequest} request */
  async join(request) {
    this.#joinRequest = request;
    this.#setState('connecting');
    try {
      await this.#establish();
    } catch (error) {
      if (this.#ended) throw hasLeft();
      const failure = StraitError.from(error);
      this.#end(failure);
      throw failure;
    }
    if (this.#ended) throw hasLeft();
    this.#setState('connected');
  }

  /**
   * @param {string} type
   * @param {object} [data]
   */
  async request(type, data) {
    if (!this.#signalling || !this.#established) throw connectionLost();
    return (await this.#signalling.request(type, data)).data;
  }

  /**
   * Sends an offer and, when the WebSocket breaks before the answer, the very same offer again after the resume:
   * whether or not the server has seen it, both sides then agree.
   * @param {OfferRequest} offer
   * @param {() => boolean} isWanted
   * @returns {Promise<Answer>}
   */
  async exchangeOffer(offer, isWanted) {
    for (;;) {
      await this.#untilConnected();
      if (!isWanted()) throw connectionLost();
      try {
        return await this.request('offer', offer);
      } catch (error) {
        const { code } = StraitError.from(error);
        // Many tracks one after the other are more offers than a server takes at once: nothing has changed, so wait.
        if (code === 'rate-limited') await this.#sleep(OFFER_RETRY_DELAY);
        else if (code !== 'connection-lost') throw error;
      }
    }
  }

  leave() {
    if (this.#ended) return;
    this.#signalling?.request('leave').catch(() => {});
    this.#end(null);
  }

  /** There is reason to doubt the network: a dead socket should show soon. */
  probe() {
    if (this.#established) this.#signalling?.probe();
  }

  /** The media path is dead beyond an ICE restart: be a new participant in the same room. */
  async rejoin() {
    if (this.state !== 'connected') return;
    this.#identity = null;
    this.#signalling?.request('leave').catch(() => {});
    this.#signalling?.close();
    this.#established = false;
    await this.#reconnect();
  }

  mediaConnected() {
    this.#joinsWithoutMedia = 0;
  }

  /** How many joins in a row, before the present one, have not led to media. */
  get mediaFailures() {
    return Math.max(0, this.#joinsWithoutMedia - 1);
  }

  get #ended() {
    return this.state === 'disconnected';
  }

  /** One attempt, start to end. */
  async #establish() {
    const signalling = new Signalling(this.#url, this.#environment, {
      onNews: (type, data) => {
        if (signalling === this.#signalling) this.#news(type, data);
      },
      onClosed: () => {
        if (signalling !== this.#signalling) return;
        this.#established = false;
        if (this.state === 'connected') void this.#reconnect();
      },
    });
    this.#signalling = signalling;
    this.#established = false;
    try {
      await signalling.opened;
    } catch {
      throw new StraitError(
        'unreachable',
        'The server cannot be reached.',
        'Check your connection and that the server is running, then try again.',
      );
    }
    if (this.#ended) throw hasLeft();
    if (this.#identity) {
      if (await this.#resume(signalling)) return;
      // Nothing is left to resume, and this socket would be idle for too long while a join has to wait.
      if (this.#joinDelay() > 0) throw connectionLost();
    }
    await this.#joinOn(signalling);
  }

  /**
   * @param {Signalling} signalling
   * @returns {Promise<boolean>} false when there is nothing to resume any more
   */
  async #resume(signalling) {
    try {
      const reply = await signalling.request('resume', { version: PROTOCOL_VERSION, ...this.#identity });
      if (this.#ended) throw hasLeft();
      this.#remember(reply.data);
      this.#handlers.onResumed(reply.data);
      return true;
    } catch (error) {
      const { code } = StraitError.from(error);
      if (code !== 'unknown-participant' && code !== 'bad-secret') throw error;
      this.#identity = null;
      return false;
    }
  }

  /** @param {Signalling} signalling */
  async #joinOn(signalling) {
    const { token: source, ...request } = this.#joinRequest;
    const token = typeof source === 'function' ? await source() : source;
    if (this.#ended) throw hasLeft();
    const reply = await signalling.request('join', {
      version: PROTOCOL_VERSION,
      ...request,
      ...(token !== undefined && { token }),
    });
    if (this.#ended) throw hasLeft();
    if (reply.type !== 'joined') {
      throw new StraitError(
        'bad-reply',
        `The server answered join with ${reply.type}.`,
        'Reload the page; the server may have been updated.',
      );
    }
    this.#remember(reply.data);
    this.#joinsWithoutMedia++;
    this.#handlers.onJoined(reply.data);
  }

  /** @param {Joined} joined */
  #remember(joined) {
    this.#established = true;
    this.#identity = { room: joined.room, participantId: joined.participantId, secret: joined.secret };
    this.#joinRequest = { ...this.#joinRequest, room: joined.room };
  }

  async #reconnect() {
    this.#setState('reconnecting');
    this.#backoff.reset();
    for (;;) {
      const delay = this.#backoff.next();
      // Resuming is urgent. A join that will hardly lead to more than the joins before it is not.
      await this.#sleep(this.#identity ? delay : Math.max(delay, this.#joinDelay()));
      if (this.#ended) return;
      try {
        await this.#establish();
        break;
      } catch (error) {
        if (this.#ended) return;
        this.#signalling?.close();
        const failure = StraitError.from(error);
        if (FINAL.has(failure.code)) {
          this.#end(failure);
          return;
        }
      }
    }
    if (!this.#ended) this.#setState('connected');
  }

  /** Milliseconds to wait before another join: none at first, more with each that did not lead to media. */
  #joinDelay() {
    const failures = this.mediaFailures;
    return failures === 0 ? 0 : Math.min(LONGEST_JOIN_DELAY, 1000 * 2 ** failures);
  }

  /** @param {number} milliseconds */
  #sleep(milliseconds) {
    if (milliseconds === 0) return Promise.resolve();
    return new Promise((resolve) => this.#environment.setTimeout(() => resolve(undefined), milliseconds));
  }

  /**
   * @param {string} type
   * @param {any} data
   */
  #news(type, data) {
    if (type === 'token') {
      // An application that makes tokens itself is asked for the next one.
      if (typeof this.#joinRequest.token !== 'function') {
        this.#joinRequest = { ...this.#joinRequest, token: data.token };
      }
    }
    if (type !== 'closing') {
      this.#handlers.onNews(type, data);
      return;
    }
    const closing = /** @type {Closing} */ (data);
    if (closing.rejoin) this.#identity = null;
    else this.#end(closingError(closing));
  }

  #untilConnected() {
    if (this.state === 'connected') return Promise.resolve();
    if (this.#ended) return Promise.reject(hasLeft());
    return /** @type {Promise<void>} */ (new Promise((resolve, reject) => this.#waiting.push({ resolve, reject })));
  }

  /** @param {StraitError | null} error */
  #end(error) {
    this.#identity = null;
    this.#established = false;
    this.#signalling?.close();
    this.#setState('disconnected', error);
  }

  /**
   * @param {RoomState} state
   * @param {StraitError | null} [error]
   */
  #setState(state, error = null) {
    if (this.state === state) return;
    this.state = state;
    this.#handlers.onState(state, error);
    if (state !== 'connected' && state !== 'disconnected') return;
    for (const waiter of this.#waiting.splice(0)) {
      if (state === 'connected') waiter.resolve();
      else waiter.reject(error ?? hasLeft());
    }
  }
}

/** @param {Closing} closing */
function closingError({ reason, message }) {
  /** @type {Partial<Record<Closing['reason'], string>>} */
  const actions = {
    shutdown: 'Join again in a moment.',
    'room-closed': 'Create a new room, or ask whoever closed it.',
    removed: 'Ask the host if you think this was a mistake.',
    banned: 'Ask the host if you think this was a mistake.',
    'duplicate-identity': 'Go on in the other window or on the other device, or join again here.',
    replaced: 'Go on in the other window, or join again here.',
    'fingerprint-mismatch':
      'Join again. If it happens again, something on the way may be tampering with the connection: try another network.',
  };
  return new StraitError(reason, message || 'The server ended the session.', actions[reason] ?? 'Join again.', {
    fatal: true,
  });
}
