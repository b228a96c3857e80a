// One WebSocket's life: open, requests and their replies, news, keep-alive, and the end. It knows nothing of
// rooms; session.js opens another one when this is gone.

import { StraitError, connectionLost } from './errors.js';

/** @import {Environment} from './environment.js' */

const TICK = 5_000;
const PING_EVERY = 10_000;
const SILENCE_LIMIT = 20_000;
/** Where there is reason to doubt the network, silence is believed sooner. */
const PROBE_LIMIT = 1_500;
/** From the first SYN to the first message: a socket that opens and then says nothing is no better than none. */
const FIRST_MESSAGE_LIMIT = 10_000;

/** Neither 1000 nor 1001: those would count as leaving the room. */
const CLOSE_UNRESPONSIVE = 4000;

/**
 * @typedef {object} Reply
 * @property {string} type
 * @property {any} data
 */

export class Signalling {
  #environment;
  #socket;
  #onNews;
  #onClosed;
  #nextId = 1;
  /** @type {Map<number, {resolve: (reply: Reply) => void, reject: (error: StraitError) => void}>} */
  #pending = new Map();
  #lastMessageAt = 0;
  #lastPingAt = 0;
  /** @type {unknown} */
  #timer = null;
  /** @type {unknown} */
  #probeTimer = null;
  #closed = false;
  #opened = false;
  #alive = false;
  /** @type {{resolve: () => void, reject: (error: StraitError) => void} | null} */
  #opening = null;

  /**
   * @param {string} url
   * @param {Environment} environment
   * @param {{onNews: (type: string, data: any) => void, onClosed: (info: {code: number, opened: boolean}) => void}} handlers
   */
  constructor(url, environment, { onNews, onClosed }) {
    this.#environment = environment;
    this.#onNews = onNews;
    this.#onClosed = onClosed;
    this.#socket = environment.openSocket(url);
    this.#socket.onopen = () => this.#open();
    this.#socket.onmessage = (event) => this.#receive(event.data);
    this.#socket.onclose = (event) => this.#end(event.code);
    this.#timer = environment.setTimeout(() => this.#abandon(), FIRST_MESSAGE_LIMIT);
    /** Settles when the socket is open or could not be opened. @type {Promise<void>} */
    this.opened = new Promise((resolve, reject) => (this.#opening = { resolve, reject }));
    this.opened.catch(() => {});
  }

  get isOpen() {
    return this.#opened && !this.#closed;
  }

  /**
   * @param {string} type
   * @param {object} [data]
   * @returns {Promise<Reply>} rejected with the server's error, or `connection-lost`
   */
  request(type, data = {}) {
    if (!this.isOpen) return Promise.reject(connectionLost());
    const id = this.#nextId++;
    return new Promise((resolve, reject) => {
      this.#pending.set(id, { resolve, reject });
      this.#socket.send(JSON.stringify({ type, id, data }));
    });
  }

  /** Finds out soon whether the other end still answers: a socket does not notice that its network is gone. */
  probe() {
    if (!this.#alive || this.#closed) return;
    this.#environment.clearTimeout(this.#probeTimer);
    this.request('ping').catch(() => {});
    this.#probeTimer = this.#environment.setTimeout(() => this.#abandon(), PROBE_LIMIT);
  }

  /** Closes for good, as a leave; `onClosed` is not called. */
  close() {
    if (this.#closed) return;
    this.#settle();
    this.#socket.close(1000);
  }

  #open() {
    if (this.#closed) return;
    this.#opened = true;
    this.#opening?.resolve();
  }

  #keepAlive() {
    this.#alive = true;
    this.#lastPingAt = this.#environment.now();
    this.#environment.clearTimeout(this.#timer);
    this.#schedule();
  }

  #schedule() {
    this.#timer = this.#environment.setTimeout(() => this.#tick(), TICK);
  }

  /** Silence counts only after a ping went out: a throttled background tab must not mistake its own sleep for it. */
  #tick() {
    const now = this.#environment.now();
    if (this.#lastMessageAt < this.#lastPingAt && now - this.#lastMessageAt >= SILENCE_LIMIT) {
      this.#abandon();
      return;
    }
    if (now - this.#lastPingAt >= PING_EVERY) {
      this.#lastPingAt = now;
      this.request('ping').catch(() => {});
    }
    this.#schedule();
  }

  #abandon() {
    this.#socket.close(CLOSE_UNRESPONSIVE, 'unresponsive');
    this.#end(1006);
  }

  /** @param {unknown} text */
  #receive(text) {
    if (this.#closed || typeof text !== 'string') return;
    this.#lastMessageAt = this.#environment.now();
    this.#environment.clearTimeout(this.#probeTimer);
    if (!this.#alive) this.#keepAlive();
    /** @type {{type: string, id?: number, data?: any}} */
    let message;
    try {
      message = JSON.parse(text);
    } catch {
      return;
    }
    const request = message.id === undefined ? undefined : this.#pending.get(message.id);
    if (!request) {
      this.#onNews(message.type, message.data ?? {});
      return;
    }
    this.#pending.delete(/** @type {number} */ (message.id));
    if (message.type === 'error') request.reject(StraitError.fromServer(message.data));
    else request.resolve({ type: message.type, data: message.data ?? {} });
  }

  /** @param {number} code */
  #end(code) {
    if (this.#closed) return;
    const opened = this.#opened;
    this.#settle();
    this.#onClosed({ code, opened });
  }

  #settle() {
    this.#closed = true;
    this.#environment.clearTimeout(this.#timer);
    this.#environment.clearTimeout(this.#probeTimer);
    const error = connectionLost();
    this.#opening?.reject(error);
    for (const request of this.#pending.values()) request.reject(error);
    this.#pending.clear();
  }
}
