// Dark is the same whether the system has it so or somebody has chosen it.

import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { test } from 'node:test';

const read = (name) => readFile(new URL(`../app/${name}`, import.meta.url), 'utf8');

/** The custom properties that are set behind the selector. */
function properties(css, selector) {
  const at = css.indexOf(`${selector} {`);
  assert.notEqual(at, -1, selector);
  const block = css.slice(at, css.indexOf('}', at));
  return Object.fromEntries([...block.matchAll(/(--[\w-]+):\s*([^;]+);/g)].map(([, name, value]) => [name, value]));
}

test('dark by the system and dark by choice are the same', async () => {
  const [base, themes] = await Promise.all([read('base.css'), read('themes.css')]);
  const chosen = properties(themes, ":root[data-theme='dark']");
  assert.deepEqual(properties(base, ':root:not([data-theme])'), chosen);
  assert.ok(Object.keys(chosen).length > 10);
});

test('high contrast has a colour of its own for everything that dark has', async () => {
  const themes = await read('themes.css');
  const dark = Object.keys(properties(themes, ":root[data-theme='dark']"));
  assert.deepEqual(Object.keys(properties(themes, ":root[data-theme='contrast']")), dark);
});
