// A small chat over the room's data messages. Nothing is kept: who joins later sees what is said from then on.

import { dress, make } from './dom.js';
import { notifyError } from './notices.js';
import { t } from './words.js';
import { StraitError } from '../sdk/strait.js';

/** @import {Room} from '../sdk/strait.js' */

const TOPIC = 'chat';
const LONGEST = 2000;

export class ChatPanel {
  title = 'Chat';
  #room;
  #onUnread;
  #list = make('ol', { 'aria-live': 'polite', 'data-testid': 'chat-messages' });
  #input = make('input', {
    'aria-label': t('Message'),
    placeholder: t('Message to everyone'),
    maxlength: String(LONGEST),
    autocomplete: 'off',
    'data-testid': 'chat-input',
  });
  #unread = 0;
  #visible = false;
  #stop;

  /**
   * @param {Room} room
   * @param {(unread: number) => void} onUnread
   */
  constructor(room, onUnread) {
    this.#room = room;
    this.#onUnread = onUnread;
    const send = make('button', { type: 'submit', class: 'primary', 'data-testid': 'chat-send' });
    dress(send, 'send', t('Send'));
    const form = make('form', {}, this.#input, send);
    form.addEventListener('submit', (event) => {
      event.preventDefault();
      void this.#send();
    });
    this.element = make('div', { class: 'chat' }, this.#list, form);
    this.#stop = room.on('data', ({ detail: { topic, participant, payload } }) => {
      if (topic !== TOPIC || !isMessage(payload)) return;
      if (!this.#visible && this.#unread === 0) this.#markNew();
      this.#add(participant?.name ?? t('Somebody'), payload.text);
      if (!this.#visible) this.#onUnread(++this.#unread);
    });
  }

  /** @param {boolean} visible */
  set visible(visible) {
    this.#visible = visible;
    if (!visible || this.#unread === 0) return;
    this.#unread = 0;
    this.#onUnread(0);
  }

  opened() {
    this.#input.focus();
  }

  close() {
    this.#stop();
    this.#onUnread(0);
  }

  /** Where what has not been read yet begins. */
  #markNew() {
    this.#list.querySelector('.new')?.remove();
    this.#list.append(make('li', { class: 'new', 'data-testid': 'chat-new' }, t('New messages')));
  }

  async #send() {
    const text = this.#input.value.trim();
    if (text === '') return;
    try {
      await this.#room.sendData(TOPIC, { text });
      this.#input.value = '';
      this.#list.querySelector('.new')?.remove();
      this.#add(t('You'), text);
    } catch (error) {
      notifyError(StraitError.from(error));
    }
  }

  /**
   * @param {string} name
   * @param {string} text
   */
  #add(name, text) {
    this.#list.append(make('li', {}, make('b', {}, name), text));
    this.#list.scrollTop = this.#list.scrollHeight;
  }
}

/** @param {unknown} payload @returns {payload is {text: string}} */
function isMessage(payload) {
  return typeof payload === 'object' && payload !== null && 'text' in payload && typeof payload.text === 'string';
}
