// Keys for what is done often in a call, and the list of them.

import { make } from './dom.js';
import { t } from './words.js';
import { isTyping } from './voice-control.js';

/** @typedef {{key: string, what: string, act: () => void}} Shortcut `key`: as `KeyboardEvent.key`, in small letters */

/**
 * @param {Shortcut[]} shortcuts
 * @param {AbortSignal} signal
 */
export function listenForShortcuts(shortcuts, signal) {
  const onKey = (/** @type {KeyboardEvent} */ event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.repeat || isTyping(event.target)) return;
    const shortcut = shortcuts.find(({ key }) => key === event.key.toLowerCase());
    if (!shortcut || document.querySelector('dialog[open]')) return;
    event.preventDefault();
    shortcut.act();
  };
  document.addEventListener('keydown', onKey, { signal });
}

/** @param {Shortcut[]} shortcuts */
export function showShortcuts(shortcuts) {
  const rows = shortcuts.map(({ key, what }) =>
    make('tr', {}, make('td', {}, make('kbd', {}, key.toUpperCase())), make('td', {}, t(what))),
  );
  const canBeModal = typeof HTMLDialogElement === 'function';
  const close = make('button', { type: 'button', class: 'primary small' }, t('Close'));
  const dialog = make(
    'dialog',
    { class: 'shortcuts', 'data-testid': 'shortcuts', 'aria-label': t('Keyboard shortcuts') },
    make('h2', {}, t('Keyboard shortcuts')),
    make('table', {}, make('tbody', {}, ...rows)),
    close,
  );
  close.addEventListener('click', () => (canBeModal ? dialog.close() : dialog.remove()));
  dialog.addEventListener('close', () => dialog.remove());
  document.body.append(dialog);
  if (canBeModal) dialog.showModal();
  else dialog.setAttribute('open', '');
}
