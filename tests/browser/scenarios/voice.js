// When a microphone is heard: while somebody speaks, or while a key is held.
import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { launchChromium } from "../harness/browsers.js";
import { eventually } from "../harness/eventually.js";
import { scenario } from "../harness/scenario.js";
import { percentile } from "../measure/measures.js";

const report = (...words) => console.log("#", ...words);

scenario("a voice is let through from its first sound, and the noise of the room is not", async (world) => {
  const anna = await world.arrives("Anna");
  const { first, rest, silent, openings } = await anna.page.evaluate(() => lab.voiceThroughGate());
  assert.ok(first >= 90, `of the first 100 ms ${first} ms were heard`);
  assert.ok(rest >= 380, `of the 400 ms behind them ${rest} ms were heard`);
  assert.ok(silent > 0.4, `${silent} of the time nothing at all was let through`);
  assert.deepEqual(openings.slice(0, 2), [true, false]);
});

/** Recorded at the one who hears it. */
const LISTENS_MS = 7_000;
/** Decoders shorten and stretch what they play a little. */
const STRETCHED_MS = 15;

scenario("the first 100 ms of each word are heard by whoever listens, behind gate, encoder and network", async (world) => {
  const ben = await world.enters("Ben", { camera: null, microphone: null });
  const anna = await world.entersListening("Anna", { camera: null, microphone: null });
  await ben.page.evaluate(() => lab.speakThroughGate());
  await anna.receives(ben, 10);
  await anna.listens();
  await sleep(LISTENS_MS);
  const tones = await anna.heardTones();
  // A word is what is between two seconds of silence; of the first and the last one there may be only a part.
  const words = tones.map((hz) => (hz > 0 ? (hz < 1_500 ? "1" : "2") : " ")).join("").split(/ {100,}/).slice(1, -1);
  const lasts = (word, tone) => 5 * [...word].filter((step) => step === tone).length;
  const heard = words.map((word) => [lasts(word, "1"), lasts(word, "2")]);
  report("of the first 100 ms and the 400 ms behind them were heard, ms:", JSON.stringify(heard));
  assert.ok(words.length >= 2);
  for (const [first, rest] of heard) {
    assert.ok(first >= 100 - STRETCHED_MS, `of the first 100 ms ${first} ms were heard`);
    // A busy machine conceals some of it; what the gate itself lets through is measured above.
    assert.ok(rest >= 300, `of the 400 ms behind them ${rest} ms were heard`);
  }
});

scenario("who pushes to talk is heard while the key or the button is held, and no longer", async (world) => {
  const anna = await world.visits("Anna");
  const ben = await world.visits("Ben", await anna.createsRoom());
  await ben.joins();
  await Promise.all([anna.isInCall(), ben.isInCall()]);
  await ben.hearsBeep(anna);

  await anna.chooses("When you are heard", "While I hold a key (push to talk)");
  await anna.reads("You are not heard");
  await ben.hearsNoBeep(anna);
  const { keyboard } = anna.page.driver;
  await keyboard.down("Space");
  await anna.reads("You are heard");
  await ben.hearsBeep(anna);
  await keyboard.up("Space");
  await ben.hearsNoBeep(anna);

  // The microphone itself was on all the time.
  await ben.finds(ben.tileOf(anna).getByRole("img", { name: "microphone muted" }), false);
});

/** From a key that is pressed to sound in what is sent. */
const KEY_WITHIN_MS = 50;
const PRESSES = 9;
const QUICK = 0.25;

scenario("a key that is pressed is heard within 50 ms in what the page sends", async (world) => {
  const folder = mkdtempSync(join(tmpdir(), "strait-voice-"));
  const sound = join(folder, "noise.wav");
  writeFileSync(sound, noiseWav());
  const browser = await launchChromium({ flags: [`--use-file-for-fake-audio-capture=${sound}`] });
  try {
    const anna = await world.visits("Anna", undefined, { browser });
    await anna.createsRoom();
    await anna.chooses("When you are heard", "While I hold a key (push to talk)");
    await anna.reads("You are not heard");
    await anna.page.evaluate(() => void lab.noteKeys());
    const { keyboard } = anna.page.driver;
    for (let press = 1; press <= PRESSES; press++) {
      await keyboard.down("Space");
      await eventually("the key is heard", async () => {
        const delays = await anna.page.evaluate(() => lab.keyDelays());
        return delays.length === press || delays;
      });
      await keyboard.up("Space");
      await anna.reads("You are not heard");
    }
    const delays = await anna.page.evaluate(() => lab.keyDelays());
    report("from key to sound, ms:", delays.map(Math.round).join(", "));
    // What is more than the quickest ones take is what a busy machine adds.
    assert.ok(percentile(delays, QUICK) < KEY_WITHIN_MS, `${delays}`);
  } finally {
    await browser.close();
    rmSync(folder, { recursive: true });
  }
});

/** Two seconds of loud noise, 16 bits each of 48,000 samples a second. */
const noiseWav = () => {
  const rate = 48_000;
  const samples = Int16Array.from({ length: 2 * rate }, () => (Math.random() - 0.5) * 20_000);
  const header = Buffer.alloc(44);
  header.write("RIFF", 0);
  header.writeUInt32LE(36 + samples.byteLength, 4);
  header.write("WAVEfmt ", 8);
  header.writeUInt32LE(16, 16);
  header.writeUInt16LE(1, 20);
  header.writeUInt16LE(1, 22);
  header.writeUInt32LE(rate, 24);
  header.writeUInt32LE(2 * rate, 28);
  header.writeUInt16LE(2, 32);
  header.writeUInt16LE(16, 34);
  header.write("data", 36);
  header.writeUInt32LE(samples.byteLength, 40);
  return Buffer.concat([header, Buffer.from(samples.buffer)]);
};
