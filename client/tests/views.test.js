// Who is shown large: screens, whoever is kept on screen, and, if wanted, whoever speaks; and tiles stay in their order.

import assert from 'node:assert/strict';
import { beforeEach, test } from 'node:test';
import { Window } from 'happy-dom';

const dom = new Window({ url: 'http://localhost/' });
for (const name of ['document', 'localStorage', 'HTMLElement'])
  Object.defineProperty(globalThis, name, { value: dom[name], configurable: true });
Object.defineProperty(globalThis, 'window', { value: dom, configurable: true });
globalThis.ResizeObserver = class {
  observe() {}
  disconnect() {}
};
const { document } = dom;
const { TileGrid } = await import('../app/tile-grid.js');
const { savePreferences } = await import('../app/preferences.js');

const SCREEN = { attach: () => {}, detach: () => {}, muted: false, mediaStreamTrack: null };
const person = (name, more = {}) => ({
  participantId: name,
  name,
  isLocal: false,
  dominant: false,
  attributes: {},
  level: 0,
  shares: false,
  track(source) {
    return source === 'screen' && this.shares ? SCREEN : null;
  },
  ...more,
});
let anna;
let ben;
let cleo;
let room;
let grid;
const namesIn = (area) =>
  [...document.querySelectorAll(`.${area} .tile`)].map((tile) => tile.getAttribute('aria-label'));
const large = () => namesIn('stage');
const speaks = (someone) => {
  for (const each of [anna, ben, cleo]) each.dominant = each === someone;
  for (const each of [anna, ben, cleo]) grid.update(each);
};

beforeEach(() => {
  savePreferences({ view: 'grid' });
  document.body.innerHTML = '<div id="remoteVideos"></div>';
  [anna, ben, cleo] = [person('Anna', { isLocal: true }), person('Ben'), person('Cleo')];
  const participants = new Map([ben, cleo].map((other) => [other.participantId, other]));
  room = { localParticipant: anna, participants };
  grid = new TileGrid(room);
  for (const each of [anna, ben, cleo]) grid.update(each);
});

test('in the grid nobody is large, whoever speaks', () => {
  speaks(ben);
  assert.deepEqual(large(), []);
  assert.deepEqual(namesIn('people'), ['Anna (you)', 'Ben', 'Cleo']);
});

test('in the speaker view the other who spoke last is large, and the rest keeps its order', () => {
  savePreferences({ view: 'speaker' });
  grid.rearrange();
  assert.deepEqual(large(), ['Ben'], 'before anybody has spoken');
  speaks(cleo);
  assert.deepEqual(large(), ['Cleo']);
  speaks(anna);
  assert.deepEqual(large(), ['Cleo'], 'one does not look at oneself');
  speaks(ben);
  assert.deepEqual(namesIn('people'), ['Anna (you)', 'Cleo']);
  savePreferences({ view: 'grid' });
  grid.rearrange();
  assert.deepEqual(namesIn('people'), ['Anna (you)', 'Ben', 'Cleo']);
});

test('a speaker who leaves makes room for another', () => {
  savePreferences({ view: 'speaker' });
  speaks(cleo);
  room.participants.delete('Cleo');
  grid.update(cleo);
  assert.deepEqual(large(), ['Ben']);
  room.participants.delete('Ben');
  grid.update(ben);
  assert.deepEqual(large(), []);
});

test('whoever is kept on screen is large in every view, also beside a shared screen, and no longer when they leave', () => {
  grid.pin(cleo, true);
  assert.deepEqual(large(), ['Cleo']);
  savePreferences({ view: 'speaker' });
  speaks(ben);
  assert.deepEqual(large(), ['Cleo']);
  ben.shares = true;
  grid.update(ben);
  assert.deepEqual(large().sort(), ['Ben’s screen', 'Cleo']);
  room.participants.delete('Cleo');
  grid.update(cleo);
  assert.deepEqual(large(), ['Ben’s screen']);
  ben.shares = false;
  grid.update(ben);
  assert.deepEqual(large(), ['Ben']);
});
