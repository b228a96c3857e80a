// The dashboard's page: what a server says that is busy, that is gone, or that wants another token.

import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { beforeEach, test } from 'node:test';
import { Window } from 'happy-dom';

const dom = new Window({ url: 'http://localhost/dashboard' });
for (const name of [
  'document',
  'localStorage',
  'sessionStorage',
  'HTMLElement',
  'HTMLFormElement',
  'HTMLInputElement',
  'Event',
])
  Object.defineProperty(globalThis, name, { value: dom[name], configurable: true });
Object.defineProperty(globalThis, 'window', { value: dom, configurable: true });
const page = await readFile(new URL('../dashboard.html', import.meta.url), 'utf8');
dom.document.body.innerHTML = page.slice(page.indexOf('<main'), page.indexOf('</main>') + 7);

const period = {
  start: 0,
  seconds: 3600,
  callSeconds: { p2p: 0, sfu: 0 },
  migrations: { started: 0, toP2p: 0, toSfu: 0, succeeded: 0, failed: 0, slow: 0, seconds: 0 },
  dropouts: 0,
  cpuSeconds: 0,
  receivedBytes: 0,
  sentBytes: 0,
};
const calls = {
  now: { p2p: { calls: 3, participants: 7 }, sfu: { calls: 0, participants: 0 }, moving: 0 },
  memoryBytes: null,
  lastHour: period,
  hours: [period],
  days: [period],
};
/** What the server says next. */
let answer = () => Response.json(calls);
globalThis.fetch = async () => answer();
sessionStorage.setItem('strait.admin-token', 'the-token');
/** The page looks every ten seconds; here, when the test says so. */
let look;
globalThis.setInterval = (again) => (look = again);
await import('../app/dashboard.js');

const says = async (next) => {
  answer = next;
  look();
  await new Promise((resolve) => setTimeout(resolve, 5));
  return document.getElementById('freshness').textContent;
};
const figures = document.getElementById('figures');
const form = document.getElementById('token-form');

beforeEach(async () => {
  sessionStorage.setItem('strait.admin-token', 'the-token');
  assert.match(await says(() => Response.json(calls)), /^As of /);
});

for (const [name, next, text] of [
  [
    'that is busy',
    () => Response.json({ error: 'too many requests', action: '' }, { status: 429 }),
    /too many requests/,
  ],
  ['behind a proxy that has lost it', () => new Response('<html>', { status: 503 }), /says: 503/],
  [
    'that is gone',
    () => {
      throw new TypeError('network');
    },
    /does not answer/,
  ],
  ['whose answer breaks off', () => new Response('{"now":'), /broke off/],
]) {
  test(`a server ${name} takes neither the figures nor the token away, and how old they are is said`, async () => {
    const said = await says(next);
    assert.match(said, text);
    assert.match(said, /What is shown is \d+ s old, as of .*\. Trying again\.$/);
    assert.equal(figures.hidden, false);
    assert.equal(form.hidden, true);
    assert.equal(sessionStorage.getItem('strait.admin-token'), 'the-token');
    assert.match(await says(() => Response.json(calls)), /^As of /, 'it is tried again');
  });
}

for (const status of [401, 403]) {
  test(`a server that answers ${status} wants another token`, async () => {
    await says(() => Response.json({ error: 'the token is wrong', action: 'Give another.' }, { status }));
    assert.equal(figures.hidden, true);
    assert.equal(form.hidden, false);
    assert.equal(document.getElementById('token-why').textContent, 'the token is wrong. Give another.');
    assert.equal(sessionStorage.getItem('strait.admin-token'), null);
  });
}
