// Short messages that come and go: who joined, what was copied, what went wrong. Screen readers hear them too.

import { byId, make } from './dom.js';
import { t } from './words.js';

const SHOWN_FOR = 5000;
const SHOWN_AT_ONCE = 3;

/**
 * @param {string} text
 * @param {number} [milliseconds]
 */
export function notify(text, milliseconds = SHOWN_FOR) {
  const area = byId('notices');
  const notice = make('div', { class: 'notice' }, text);
  area.append(notice);
  while (area.childElementCount > SHOWN_AT_ONCE) area.firstElementChild?.remove();
  setTimeout(() => notice.remove(), milliseconds);
}

/** @param {{message: string, action: string}} error */
export function notifyError(error) {
  notify(errorText(error), 9000);
}

/** @param {{message: string, action: string}} error */
export function errorText({ message, action }) {
  return `${t(message)} ${t(action)}`;
}
