// Voice and noise told apart; who speaks where the server hears nobody; and how busy a straight call makes a computer.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { LoadReporter } from '../sdk/load.js';
import { StraightSpeakers } from '../sdk/straight-speakers.js';
import { VoiceDetector } from '../sdk/voice-gate-worklet.js';

/** Hears frames of 10 ms at a level in decibels; how many were voice. */
function hear(detector, decibels, frames) {
  let voice = 0;
  for (let frame = 0; frame < frames; frame++) voice += Number(detector.hear(10 ** (decibels / 10)));
  return voice;
}

test('a voice above the noise is one from its second frame, and noise is none', () => {
  const detector = new VoiceDetector();
  assert.equal(hear(detector, -62, 300), 0);
  assert.equal(hear(detector, -30, 20), 19);
  assert.equal(hear(detector, -62, 300), 1, 'one frame more, and then no longer');
});

test('a click is no voice', () => {
  const detector = new VoiceDetector();
  hear(detector, -62, 100);
  assert.equal(hear(detector, -20, 1), 0);
  assert.equal(hear(detector, -62, 10), 0);
});

test('what goes on and on is noise in the end', () => {
  const detector = new VoiceDetector();
  hear(detector, -62, 100);
  assert.ok(hear(detector, -45, 300) > 200);
  hear(detector, -45, 3000);
  assert.equal(hear(detector, -45, 100), 0);
  assert.ok(hear(detector, -25, 20) > 10, 'and a voice is heard above it');
});

test('the more sensitive, the softer a voice may be', () => {
  const heard = (sensitivity, decibels) => {
    const detector = new VoiceDetector();
    detector.sensitivity = sensitivity;
    hear(detector, -70, 300);
    return hear(detector, decibels, 20) > 0;
  };
  assert.deepEqual(
    ['low', 'medium', 'high'].map((step) => heard(step, -40)),
    [true, true, true],
  );
  assert.deepEqual(
    ['low', 'medium', 'high'].map((step) => heard(step, -47)),
    [false, true, true],
  );
  assert.deepEqual(
    ['low', 'medium', 'high'].map((step) => heard(step, -56)),
    [false, false, true],
  );
});

const person = (participantId, level) => ({
  participantId,
  level,
  speaking: level > 0.4,
  track: () => ({ trackId: `t-${participantId}` }),
});

test('the floor goes to whoever is loudest, and from nobody who only pauses', () => {
  const speakers = new StraightSpeakers();
  const look = (anna, ben, now) => speakers.look([person('anna', anna), person('ben', ben)], now);
  assert.equal(look(0, 0, 0)?.dominant ?? null, null);
  assert.deepEqual(look(0.5, 0.7, 100), {
    dominant: 'ben',
    speakers: [
      { participantId: 'ben', trackId: 't-ben', level: -18 },
      { participantId: 'anna', trackId: 't-anna', level: -30 },
    ],
  });
  assert.equal(look(0.5, 0.6, 200), null, 'nothing new');
  assert.equal(look(0.9, 0, 300).dominant, 'ben', 'a pause');
  assert.equal(look(0.9, 0, 1200).dominant, 'anna');
});

test('how busy it is is told when it changes, at most every five seconds', async () => {
  const told = [];
  const reporter = new LoadReporter((percent) => told.push(percent));
  let bytesSent = 0;
  let limited = 'none';
  const entries = () => [
    ['pair', { type: 'candidate-pair', nominated: true, availableOutgoingBitrate: 1_000_000, bytesSent }],
    ['out', { type: 'outbound-rtp', qualityLimitationReason: limited }],
  ];
  const peers = new Map([['p-ben', { getStats: async () => new Map(entries()) }]]);
  await reporter.look(peers, 0);
  bytesSent = 500_000;
  await reporter.look(peers, 4000);
  await reporter.look(peers, 5000);
  assert.deepEqual(told, [], 'for a moment only');
  bytesSent += 510_000;
  await reporter.look(peers, 10_000);
  assert.deepEqual(told, [80]);
  bytesSent += 490_000;
  await reporter.look(peers, 15_000);
  assert.deepEqual(told, [80], 'much the same');
  limited = 'cpu';
  await reporter.look(peers, 20_000);
  await reporter.look(peers, 25_000);
  assert.deepEqual(told, [80, 100]);
});
