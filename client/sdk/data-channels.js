// Messages on data channels: two channels of the media connection, one that loses nothing and one that may, and the
// frames on them (docs/protocol.md, "Data channels"). While a channel is not open, messages go by signalling.

import { StraitError } from './errors.js';

/** @import {Environment} from './environment.js' */

/**
 * @typedef {object} Message
 * @property {string | null} from `null` for what the application's back end says
 * @property {string} topic
 * @property {unknown} payload
 */

const PROTOCOL = 'strait';
/** The largest message that the server takes, bytes. */
export const MESSAGE_BYTES_MAX = 262_144;
/** As many ids as a frame can name. */
const IDS_MAX = 255;
const ID_BYTES = 15;
const JSON_KIND = 0;
const BYTES_KIND = 1;
/** What may wait on a channel before `send` waits, or leaves out what may be lost, bytes. */
const BUFFERED_MAX = 1024 * 1024;
const LOSSY_BUFFERED_MAX = 64 * 1024;
/** Until a channel is opened again that the server has closed, milliseconds. */
const REOPEN_DELAY = 1000;

/** Bytes of any kind that an application may send. @param {unknown} payload @returns {Uint8Array | null} */
export function bytesOf(payload) {
  if (payload instanceof ArrayBuffer) return new Uint8Array(payload);
  if (!ArrayBuffer.isView(payload)) return null;
  return new Uint8Array(payload.buffer, payload.byteOffset, payload.byteLength);
}

/**
 * @param {string} topic
 * @param {unknown} payload
 * @param {string[]} to nobody: everyone
 */
export function writeFrame(topic, payload, to) {
  const text = new TextEncoder();
  const bytes = bytesOf(payload);
  const said = bytes ?? text.encode(JSON.stringify(payload));
  const about = text.encode(topic);
  const head = [bytes ? BYTES_KIND : JSON_KIND, to.length, ...text.encode(to.join('')), about.length, ...about];
  const frame = new Uint8Array(head.length + said.length);
  frame.set(head);
  frame.set(said, head.length);
  return frame;
}

/**
 * @param {number} bytes
 * @param {number} most
 */
export const tooLarge = (bytes, most) =>
  new StraitError(
    'payload-too-large',
    `The message has ${bytes} bytes; at most ${most} are passed on.`,
    'Send it in smaller pieces, or put it on a web server and send its address.',
  );

/** @param {Uint8Array<ArrayBuffer>} frame @returns {Message | null} `null` if it is none */
export function readFrame(frame) {
  const text = new TextDecoder();
  const [kind, ids = 0] = frame;
  const topicAt = 2 + ids * ID_BYTES + 1;
  const payloadAt = topicAt + (frame[topicAt - 1] ?? 0);
  if (ids > 1 || frame.length < payloadAt) return null;
  const from = ids ? text.decode(frame.subarray(2, topicAt - 1)) : null;
  const topic = text.decode(frame.subarray(topicAt, payloadAt));
  const said = frame.slice(payloadAt);
  if (kind === BYTES_KIND) return { from, topic, payload: said };
  try {
    return kind === JSON_KIND ? { from, topic, payload: JSON.parse(text.decode(said)) } : null;
  } catch {
    return null;
  }
}

export class DataChannels {
  #environment;
  #create;
  #onMessage;
  /** @type {{reliable: RTCDataChannel, lossy: RTCDataChannel}} */
  #channels;
  #closed = false;

  /**
   * @param {Environment} environment
   * @param {(label: string, init: RTCDataChannelInit) => RTCDataChannel} create
   * @param {(message: Message) => void} onMessage
   */
  constructor(environment, create, onMessage) {
    this.#environment = environment;
    this.#create = create;
    this.#onMessage = onMessage;
    this.#channels = { reliable: this.#open('reliable'), lossy: this.#open('lossy') };
  }

  /** @param {boolean} lossy */
  isOpen(lossy) {
    return this.#channels[lossy ? 'lossy' : 'reliable'].readyState === 'open';
  }

  /**
   * Sends a message, if the channel is open.
   * @param {string} topic
   * @param {unknown} payload
   * @param {string[]} to nobody: everyone
   * @param {boolean} lossy
   * @returns {Promise<boolean>} whether it was sent, or left out because it may be; if not, it has to go by signalling
   */
  async send(topic, payload, to, lossy) {
    if (!this.isOpen(lossy) || to.length > IDS_MAX) return false;
    const frame = writeFrame(topic, payload, to);
    if (frame.length > MESSAGE_BYTES_MAX) throw tooLarge(frame.length, MESSAGE_BYTES_MAX);
    if (lossy) {
      if (this.#channels.lossy.bufferedAmount <= LOSSY_BUFFERED_MAX) this.#channels.lossy.send(frame);
      return true;
    }
    while (this.#channels.reliable.bufferedAmount > BUFFERED_MAX) await drained(this.#channels.reliable);
    if (!this.isOpen(false)) return false;
    this.#channels.reliable.send(frame);
    return true;
  }

  close() {
    this.#closed = true;
  }

  /** @param {'reliable' | 'lossy'} label */
  #open(label) {
    const unreliable = { ordered: false, maxRetransmits: 0 };
    const channel = this.#create(label, { protocol: PROTOCOL, ...(label === 'lossy' && unreliable) });
    channel.binaryType = 'arraybuffer';
    channel.bufferedAmountLowThreshold = BUFFERED_MAX / 2;
    channel.onmessage = ({ data }) => {
      const message = data instanceof ArrayBuffer ? readFrame(new Uint8Array(data)) : null;
      if (message) this.#onMessage(message);
    };
    // One that never was open is not wanted by the server, and one that was may be opened again.
    channel.onopen = () => {
      channel.onclose = () => this.#environment.setTimeout(() => this.#reopen(label), REOPEN_DELAY);
    };
    return channel;
  }

  /** @param {'reliable' | 'lossy'} label */
  #reopen(label) {
    if (this.#closed) return;
    try {
      this.#channels[label] = this.#open(label);
    } catch {
      // The connection is closed, and the next one has channels of its own.
    }
  }
}

/** @param {RTCDataChannel} channel @returns {Promise<void>} settled when less waits, or nothing can be sent any more */
const drained = (channel) =>
  new Promise((resolve) => {
    if (channel.readyState !== 'open') return resolve();
    const finish = () => {
      channel.removeEventListener('bufferedamountlow', finish);
      channel.removeEventListener('close', finish);
      resolve();
    };
    channel.addEventListener('bufferedamountlow', finish);
    channel.addEventListener('close', finish);
  });
