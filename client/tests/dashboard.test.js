// What the dashboard says of what the server has counted.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { niceTop } from '../app/dashboard-chart.js';
import { alerts, failureRate, filled, meanTime, megabytes, percent, rate, rows } from '../app/dashboard-figures.js';

const period = (changes = {}, moves = {}) => ({
  start: 0,
  seconds: 3600,
  callSeconds: { p2p: 0, sfu: 0 },
  migrations: { started: 0, toP2p: 0, toSfu: 0, succeeded: 0, failed: 0, slow: 0, seconds: 0, ...moves },
  dropouts: 0,
  cpuSeconds: 0,
  receivedBytes: 0,
  sentBytes: 0,
  ...changes,
});

const raised = (changes, moves) =>
  alerts(period(changes, moves))
    .filter(({ isRaised }) => isRaised)
    .map(({ id }) => id);

test('an alert is raised by more than is allowed, and by nothing when nothing happens', () => {
  assert.deepEqual(raised(), []);
  assert.deepEqual(raised({}, { succeeded: 95, failed: 5 }), []);
  assert.deepEqual(raised({}, { succeeded: 94, failed: 6 }), ['ALR-01']);
  assert.deepEqual(raised({ dropouts: 10 }), []);
  assert.deepEqual(raised({ dropouts: 11 }), ['ALR-03']);
  assert.deepEqual(raised({}, { succeeded: 20, slow: 1 }), []);
  assert.deepEqual(raised({}, { succeeded: 20, slow: 2 }), ['ALR-04']);
  assert.deepEqual(raised({}, { failed: 2, slow: 2 }), ['ALR-01', 'ALR-04']);
});

test('figures have units, and nothing is nothing', () => {
  assert.equal(failureRate(period()), null);
  assert.deepEqual(
    [percent(null), percent(0), percent(0.012), percent(0.5), percent(1)],
    ['–', '0 %', '1.2 %', '50 %', '100 %'],
  );
  assert.deepEqual([meanTime(period()), meanTime(period({}, { succeeded: 2, seconds: 1.5 }))], ['–', '750 ms']);
  assert.deepEqual(
    [rate(0, 0), rate(0, 1), rate(125, 1), rate(125_000, 1), rate(5e6, 1)],
    ['–', '0.0 kbit/s', '1.0 kbit/s', '1.0 Mbit/s', '40 Mbit/s'],
  );
  assert.deepEqual([megabytes(null), megabytes(2 ** 24)], ['–', '16 MiB']);
  const table = rows([period({ callSeconds: { p2p: 30, sfu: 10 }, cpuSeconds: 36 }), period()], 2 ** 20);
  const of = (name) => table.find((row) => row.name.startsWith(name)).values;
  assert.deepEqual(of('Calls that went straight'), ['75 %', '–']);
  assert.deepEqual(of('Processor'), ['1.0 %', '0 %']);
  assert.deepEqual(of('Memory'), ['1 MiB', '']);
});

test('a period in which the server did not run is empty', () => {
  const day = 86_400;
  const known = [period({ start: 7 * day }, { succeeded: 1 }), period({ start: 9 * day }, { succeeded: 3 })];
  const shown = filled(known, day, 4);
  assert.deepEqual(
    shown.map(({ start, migrations }) => [start / day, migrations.succeeded]),
    [
      [6, 0],
      [7, 1],
      [8, 0],
      [9, 3],
    ],
  );
  assert.deepEqual(filled([], day, 4), []);
});

test('a scale ends at a round number', () => {
  assert.deepEqual([0, 4, 5, 11, 64, 99, 250].map(niceTop), [4, 4, 6, 20, 80, 100, 400]);
});
