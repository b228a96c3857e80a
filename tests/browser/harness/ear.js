// What was heard, by a recording of everything that a browser played: whether sound was missing, and whether the same sound was
// heard twice. What is listened to is made by `lab.microphone` with `noise` and `sweep`: a tone, noise like speech, and a pilot
// that climbs through the same frequencies again and again. The frequency of the pilot tells from when what is heard is, so
// two ways that are heard at once are two frequencies at once, and a change from one way to the other is a jump.

export const RATE = 48_000;
/** As in page/synthetic.js: where the pilot begins, how far it climbs, and in which time. */
export const SWEEP = { from: 1_500, span: 4_000, seconds: 0.4 };

const WINDOW_MS = 10;
/** A window of less than this part of the median is silence. */
const SILENT = 0.1;
/** How long a piece is in which the pilot is looked for. */
const PIECE_MS = 20;
/** A second pilot is one that is this loud beside the first. */
const SECOND = 0.4;
/** Decoders that shorten or stretch sound overlay it with itself by less than this. */
const APART_MS = 20;
/** The same sound twice is louder by 3 dB, however little the two are apart; what is loud is judged over 30 ms. */
const LOUD = 1.3;
const LOUD_WINDOWS = 3;
/** Steps in which the pilot's time is looked for. */
const STEP_MS = 2.5;
const PERIOD_MS = SWEEP.seconds * 1000;

const percentile = (values, share) => {
  const sorted = Float64Array.from(values).sort();
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0;
};

/** How loud each window is. */
const levelsOf = (samples) => {
  const size = (RATE * WINDOW_MS) / 1000;
  const levels = new Float64Array(Math.floor(samples.length / size));
  for (let window = 0; window < levels.length; window++) {
    let sum = 0;
    for (let at = window * size; at < (window + 1) * size; at++) sum += samples[at] ** 2;
    levels[window] = Math.sqrt(sum / size);
  }
  return levels;
};

/** The runs of windows for which `test` holds, as `{from, ms}`. */
const runsOf = (count, test) => {
  const runs = [];
  for (let window = 0; window < count; window++) {
    if (!test(window)) continue;
    const last = runs.at(-1);
    if (last && last.from + last.windows === window) last.windows++;
    else runs.push({ from: window, windows: 1 });
  }
  return runs.map(({ from, windows }) => ({ atMs: from * WINDOW_MS, ms: windows * WINDOW_MS }));
};

/** What has to be subtracted from a pilot that begins at `time` of the recording, so that its delay is a frequency. */
const phaseOf = (time) => {
  const turn = time % SWEEP.seconds;
  return SWEEP.from * turn + ((SWEEP.span / SWEEP.seconds) * turn * turn) / 2;
};

/** Half the length of the filter that leaves the pilot alone of all that is heard. */
const REACH = 128;

/** Passes what is between the pilot's lowest frequency and its highest, of positive frequencies: an analytic signal. */
const filter = () => {
  const middle = SWEEP.from + SWEEP.span / 2;
  const taps = { real: new Float64Array(2 * REACH + 1), imaginary: new Float64Array(2 * REACH + 1) };
  for (let tap = -REACH; tap <= REACH; tap++) {
    const width = SWEEP.span / RATE;
    const sinc = tap === 0 ? width : Math.sin(Math.PI * width * tap) / (Math.PI * tap);
    const weight = sinc * (0.5 + 0.5 * Math.cos((Math.PI * tap) / (REACH + 1)));
    taps.real[tap + REACH] = weight * Math.cos((2 * Math.PI * middle * tap) / RATE);
    taps.imaginary[tap + REACH] = weight * Math.sin((2 * Math.PI * middle * tap) / RATE);
  }
  return taps;
};

/** The pilot alone, with its present delay as a frequency. */
const pilotOf = (samples) => {
  const taps = filter();
  const pilot = { real: new Float64Array(samples.length), imaginary: new Float64Array(samples.length) };
  for (let at = REACH; at < samples.length - REACH; at++) {
    let [real, imaginary] = [0, 0];
    for (let tap = 0; tap <= 2 * REACH; tap++) {
      const sample = samples[at + REACH - tap];
      real += taps.real[tap] * sample;
      imaginary += taps.imaginary[tap] * sample;
    }
    const angle = -2 * Math.PI * phaseOf(at / RATE);
    const [cos, sin] = [Math.cos(angle), Math.sin(angle)];
    pilot.real[at] = real * cos - imaginary * sin;
    pilot.imaginary[at] = real * sin + imaginary * cos;
  }
  return pilot;
};

/** How loud the pilot is for each delay, in steps of STEP_MS, in the piece that begins at sample `from`. */
const delaysIn = (pilot, from) => {
  const size = (RATE * PIECE_MS) / 1000;
  const [real, imaginary] = [pilot.real, pilot.imaginary].map((part) =>
    part.slice(from, from + size).map((value, at) => value * (0.5 - 0.5 * Math.cos((2 * Math.PI * (at + 0.5)) / size))),
  );
  const steps = Math.round(PERIOD_MS / STEP_MS);
  const powers = new Float64Array(steps);
  for (let step = 0; step < steps; step++) {
    // A pilot that is late by that much is lower by so many hertz, or, where the next one has begun, higher.
    const lower = (-SWEEP.span * step) / steps;
    powers[step] = power(real, imaginary, lower) + power(real, imaginary, lower + SWEEP.span);
  }
  return powers;
};

/** How much of a complex signal is at `hz`. */
const power = (real, imaginary, hz) => {
  const turn = (-2 * Math.PI * hz) / RATE;
  const [turnCos, turnSin] = [Math.cos(turn), Math.sin(turn)];
  let [cos, sin, sumReal, sumImaginary] = [1, 0, 0, 0];
  for (let at = 0; at < real.length; at++) {
    sumReal += real[at] * cos - imaginary[at] * sin;
    sumImaginary += real[at] * sin + imaginary[at] * cos;
    [cos, sin] = [cos * turnCos - sin * turnSin, cos * turnSin + sin * turnCos];
  }
  return sumReal ** 2 + sumImaginary ** 2;
};

/** How far two delays are apart, around the period. */
const apart = (one, other) => {
  const distance = Math.abs(one - other) * STEP_MS;
  return Math.min(distance, PERIOD_MS - distance);
};

/** The pilot in each window: its delay, and how loud a second one is beside it. */
const pilotsIn = (samples, windows) => {
  const size = (RATE * WINDOW_MS) / 1000;
  const pilot = pilotOf(samples);
  return Array.from({ length: windows - 1 }, (_, window) => {
    const powers = delaysIn(pilot, window * size);
    const first = powers.indexOf(Math.max(...powers));
    const others = powers.map((value, step) => (apart(step, first) >= APART_MS ? value : 0));
    const second = others.indexOf(Math.max(...others));
    return { delayMs: first * STEP_MS, second: Math.sqrt(others[second] / powers[first]) };
  });
};

/** What of a recording is a tone, in steps of 5 ms: its frequency by the zero crossings, or 0 where nothing is. */
export function tonesIn(samples) {
  const size = RATE / 200;
  return Array.from({ length: Math.floor(samples.length / size) }, (_, step) => {
    const piece = samples.subarray(step * size, (step + 1) * size);
    if (!piece.some((sample) => Math.abs(sample) > 0.03)) return 0;
    return 100 * piece.filter((sample, at) => at > 0 && sample < 0 !== piece[at - 1] < 0).length;
  });
}

/**
 * @param {Float32Array} samples of a recording, at RATE
 * @param {{atMs: number, ms: number}[]} [spans] of it that matter; left out: all of it
 * @returns {{gapMs: number, echoMs: number, elsewhere: {gapMs: number, echoMs: number}, gaps: {atMs: number, ms: number}[],
 *   loudness: number}} how
 *   long nothing was heard at most in one go, and how long something was heard twice: in those spans, and elsewhere
 */
export function heardIn(samples, spans = [{ atMs: 0, ms: Infinity }]) {
  const levels = levelsOf(samples);
  const median = percentile(levels, 0.5);
  const pilots = pilotsIn(samples, levels.length);
  const loudFrom = (window) => {
    const of = levels.subarray(window, window + LOUD_WINDOWS);
    return Math.sqrt(of.reduce((sum, level) => sum + level ** 2, 0) / of.length);
  };
  const usual = percentile(Array.from(levels, (_, window) => loudFrom(window)), 0.5);
  const isTwice = (window) => {
    if (levels[window] < SILENT * median) return false;
    return (pilots[window]?.second ?? 0) > SECOND || loudFrom(window) > LOUD * usual;
  };
  const gaps = runsOf(levels.length, (window) => levels[window] < SILENT * median);
  const echoes = runsOf(levels.length, isTwice);
  const isIn = ({ atMs, ms }) => spans.some((span) => atMs + ms > span.atMs && atMs < span.atMs + span.ms);
  const longest = (runs) => Math.max(0, ...runs.map(({ ms }) => ms));
  const both = (test) => ({ gapMs: longest(gaps.filter(test)), echoMs: longest(echoes.filter(test)) });
  return { ...both(isIn), elsewhere: both((run) => !isIn(run)), gaps, loudness: usual };
}
