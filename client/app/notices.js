// Short messages that come and go: who joined, what was copied, what went wrong. Screen readers hear them too.

import { byId, make } from './dom.js';
import { t } from './words.js';

const SHOWN_FOR = 5000;
const SHOWN_AT_ONCE = 3;
/** Pixels between them. */
const GAP = 8;

/**
 * @param {string} text
 * @param {number} [milliseconds]
 */
export function notify(text, milliseconds = SHOWN_FOR) {
  const area = byId('notices');
  const notice = make('div', { class: 'notice' }, text);
  area.append(notice);
  while (area.childElementCount > SHOWN_AT_ONCE) area.firstElementChild?.remove();
  stack();
  setTimeout(() => {
    notice.remove();
    stack();
  }, milliseconds);
}

window.addEventListener('resize', stack);

/** Puts the newest at the bottom and the others above it, without a new layout, so that nothing jumps. */
function stack() {
  let height = 0;
  for (const notice of [...byId('notices').children].reverse()) {
    if (!(notice instanceof HTMLElement)) continue;
    notice.style.transform = `translateY(${-height}px)`;
    height += notice.offsetHeight + GAP;
  }
}

/** @param {{message: string, action: string}} error */
export function notifyError(error) {
  notify(errorText(error), 9000);
}

/** @param {{message: string, action: string}} error */
export function errorText({ message, action }) {
  return `${t(message)} ${t(action)}`;
}
