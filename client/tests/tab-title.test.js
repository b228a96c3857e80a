// The tab's title tells whoever speaks while muted, who may look at another tab, and then is what it was.

import assert from 'node:assert/strict';
import { test } from 'node:test';

globalThis.document = { title: '' };
const { setTitle, warnInTitle } = await import('../app/tab-title.js');

test('the title says with a small meter that one is muted while one speaks, and goes back', () => {
  setTitle('standup · Strait');
  warnInTitle(0.5);
  assert.equal(document.title, '▅ You are muted · standup · Strait');
  warnInTitle(1);
  assert.equal(document.title, '█ You are muted · standup · Strait');
  setTitle('lunch · Strait');
  assert.equal(document.title, '█ You are muted · lunch · Strait');
  warnInTitle(null);
  assert.equal(document.title, 'lunch · Strait');
});
