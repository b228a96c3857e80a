// Choosing the key that is held to be heard: press the button, then the key.

import { make } from './dom.js';
import { t } from './words.js';

/** Keys that have another meaning to browsers and to whoever goes through a page without a mouse. */
const RESERVED = new Set(['Tab', 'Escape', 'Enter', 'MetaLeft', 'MetaRight', 'F5', 'F11', 'F12']);

/** How a key is called. @param {string} code as `KeyboardEvent.code` */
export function keyName(code) {
  if (code === 'Space') return t('Space bar');
  return code.replace(/^(Key|Digit)/, '').replace(/([a-z])([A-Z0-9])/g, '$1 $2');
}

/**
 * @param {string} id
 * @param {string} name of the present key
 * @param {(code: string) => void} onChosen
 */
export function pushKeyField(id, name, onChosen) {
  const button = make('button', { type: 'button', id, class: 'secondary', 'data-testid': 'push-key' }, name);
  button.addEventListener('click', () => {
    button.textContent = t('Press a key…');
    const listening = new AbortController();
    const { signal } = listening;
    button.addEventListener(
      'keydown',
      (event) => {
        event.preventDefault();
        event.stopPropagation();
        listening.abort();
        if (RESERVED.has(event.code) || event.code === '') button.textContent = name;
        else onChosen(event.code);
      },
      { signal },
    );
    button.addEventListener(
      'blur',
      () => {
        listening.abort();
        button.textContent = name;
      },
      { signal },
    );
  });
  return make('div', {}, make('label', { for: id }, t('Key to hold while you speak')), button);
}
