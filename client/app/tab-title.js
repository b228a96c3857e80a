// The title of the tab, which is seen when the page is not: the room, or, to somebody who speaks while muted, that they are
// muted, with a small meter of their voice.

import { t } from './words.js';

const BARS = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

let title = 'Strait';
/** The level shown, as an index in `BARS`; `null`: nothing is to be said. @type {number | null} */
let shown = null;

/** @param {string} text what it is unless there is something to say */
export function setTitle(text) {
  title = text;
  write();
}

/** @param {number | null} level from 0 to 1 of a voice that nobody hears; `null`: there is none */
export function warnInTitle(level) {
  const bar = level === null ? null : Math.min(BARS.length - 1, Math.max(0, Math.floor(level * BARS.length)));
  if (bar === shown) return;
  shown = bar;
  write();
}

function write() {
  document.title = shown === null ? title : `${BARS[shown]} ${t('You are muted')} · ${title}`;
}
