// What is seen and heard, asked of a page until it is so. A `key` is
// the name by which the page's code finds a track: see page/senses.js.
import { setTimeout as sleep } from "node:timers/promises";
import { eventually, PATIENCE_MS } from "./eventually.js";
import { AUDIBLE, nameOf, TONE_TOLERANCE_HZ } from "./palette.js";

/** Different frames that must be seen: one could be left from before. */
const FRESH_FRAMES = 3;
/** How long nothing must happen before it counts as nothing. */
const QUIET_MS = 1_500;

const look = (page, key) => page.evaluate((key) => lab.look(key), key);
const hear = (page, key) => page.evaluate((key) => lab.hear(key), key);

/** A moving picture of `colour`: different frames of it keep coming. */
export async function seesColour(page, key, colour, options) {
  const frames = new Set();
  await eventually(
    `sees ${colour} in ${key}`,
    async () => {
      const view = await look(page, key);
      if (!view) return "no such picture";
      const seen = view.covered ? "a cover" : nameOf(view.rgb);
      if (seen === colour) frames.add(view.code);
      else frames.clear();
      return frames.size >= FRESH_FRAMES || { seen, frames: frames.size, ...view };
    },
    options,
  );
}

/** The peak of what is heard is the tone of `hz`. */
export async function hearsTone(page, key, hz, options) {
  await eventually(
    `hears ${hz} Hz in ${key}`,
    async () => {
      const sound = await hear(page, key);
      if (!sound) return "no such sound";
      return (sound.loudest > AUDIBLE && Math.abs(sound.hz - hz) <= TONE_TOLERANCE_HZ) || sound;
    },
    options,
  );
}

/** How much of what is played in that time is made up, from 0 to 1; `counters` answers the inbound-rtp statistics. */
export async function concealment(counters, milliseconds) {
  const before = await counters();
  await sleep(milliseconds);
  const after = await counters();
  const since = (field) => after[field] - before[field];
  return since("concealedSamples") / since("totalSamplesReceived");
}

/** Asks until `isQuiet(first, now)` has held for a while; what comes instead starts it afresh. */
async function staysQuiet(what, sample, isQuiet, options) {
  let first;
  let since;
  await eventually(
    what,
    async () => {
      const now = await sample();
      if (first === undefined || !isQuiet(first, now)) {
        first = now;
        since = Date.now();
      }
      return Date.now() - since >= QUIET_MS || { now };
    },
    options,
  );
}

/** The picture stands still, or there is no such picture at all. */
export const seesNothingNew = (page, key, options) =>
  staysQuiet(
    `sees nothing new in ${key}`,
    () => look(page, key),
    (first, now) => first?.code === now?.code,
    options,
  );

/** Nothing audible comes, while the page's audio clock runs, or there is no such sound at all. */
export const hearsSilence = (page, key, options) =>
  staysQuiet(
    `hears silence in ${key}`,
    () => hear(page, key),
    (first, now) => now === null || (first !== null && first.loudest <= AUDIBLE && now.loudest <= AUDIBLE),
    options,
  );

/** The names of the colours that the first frames show, each once. */
export async function firstColours(page, key) {
  const count = 20;
  const frames = await page.evaluate((order) => lab.firstFrames(order), { key, count, within: PATIENCE_MS });
  if (frames.length < count) throw new Error(`sees only ${frames.length} frames in ${key}`);
  return [...new Set(frames.map(nameOf))];
}
