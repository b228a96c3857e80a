// Push to talk on the page: a microphone is never heard longer than the key is held, whatever else happens meanwhile.

import assert from 'node:assert/strict';
import { afterEach, beforeEach, test } from 'node:test';
import { Window } from 'happy-dom';

const dom = new Window({ url: 'http://localhost/' });
for (const name of ['document', 'navigator', 'localStorage', 'HTMLElement', 'HTMLButtonElement'])
  Object.defineProperty(globalThis, name, { value: dom[name], configurable: true });
Object.defineProperty(globalThis, 'window', { value: dom, configurable: true });
const { document } = dom;
localStorage.setItem('strait.preferences', JSON.stringify({ transmit: 'push' }));
const { VoiceControl, gate } = await import('../app/voice-control.js');
const { savePreferences } = await import('../app/preferences.js');

const microphone = { muted: false, mediaStreamTrack: null };
const room = {
  localParticipant: { track: () => microphone },
  permissions: { publish: ['microphone'] },
};
let control;
let chat;

beforeEach(() => {
  document.body.innerHTML = '<p id="talk-status"></p><button id="talk-button"></button><input id="chat" />';
  chat = document.getElementById('chat');
  savePreferences({ transmit: 'push', pushKey: 'Space' });
  gate.mode = 'push';
  control = new VoiceControl(room);
});

afterEach(() => control.close());

const key = (type, target = document.body, more = {}) =>
  target.dispatchEvent(new dom.KeyboardEvent(type, { code: 'Space', bubbles: true, cancelable: true, ...more }));

test('one is heard while the key is held', () => {
  key('keydown');
  assert.equal(gate.isPushed, true);
  key('keyup');
  assert.equal(gate.isPushed, false);
});

test('whoever goes to a text field with the key held is heard no more, and neither when they leave it', () => {
  key('keydown');
  chat.focus();
  assert.equal(gate.isPushed, false);
  chat.blur();
  key('keydown', document.body, { repeat: true });
  assert.equal(gate.isPushed, false);
  key('keyup');
  key('keydown');
  assert.equal(gate.isPushed, true, 'pressed anew');
});

test('a key that is let go of in a text field ends it, too', () => {
  key('keydown');
  key('keyup', chat);
  assert.equal(gate.isPushed, false);
});

test('what is written in a text field does not open the microphone', () => {
  key('keydown', chat);
  assert.equal(gate.isPushed, false);
});

test('another key or another way of being heard, chosen meanwhile, does not leave it open', () => {
  key('keydown');
  savePreferences({ pushKey: 'KeyT' });
  key('keyup');
  assert.equal(gate.isPushed, false);
  key('keydown', document.body, { code: 'KeyT' });
  savePreferences({ transmit: 'always' });
  key('keyup', document.body, { code: 'KeyT' });
  assert.equal(gate.isPushed, false);
});

test('the button ends with the finger that holds it, also when it is disabled meanwhile, and with no other', () => {
  const button = document.getElementById('talk-button');
  button.setPointerCapture = () => {};
  const pointer = (type, target, pointerId) =>
    target.dispatchEvent(new dom.PointerEvent(type, { pointerId, bubbles: true, cancelable: true }));
  pointer('pointerdown', button, 7);
  assert.equal(gate.isPushed, true);
  pointer('pointerup', document.body, 8);
  assert.equal(gate.isPushed, true);
  microphone.muted = true;
  control.render();
  microphone.muted = false;
  pointer('pointerup', document.body, 7);
  assert.equal(gate.isPushed, false);
});

test('whoever looks at another window is heard no more', () => {
  key('keydown');
  dom.dispatchEvent(new dom.Event('blur'));
  assert.equal(gate.isPushed, false);
});
