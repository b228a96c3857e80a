// Five Chromium participants with sound and picture, measured: how soon a newcomer sees and hears, how
// old a frame is when it is shown, and what the server spends on it. Prints a Markdown table.
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { closeBrowsers } from "../harness/browsers.js";
import { allSeeAndHearAll, World } from "../harness/world.js";
import { percentile } from "./measures.js";

const NAMES = ["Anna", "Ben", "Cleo", "Dan", "Eva"];
const ROUNDS = 5;
const SECONDS = 20;
const CAMERA = { width: 320, height: 180, fps: 12 };

const spread = (values) => `${percentile(values, 0.5)} ms | ${percentile(values, 0.95)} ms`;

const ticksPerSecond = Number(execFileSync("getconf", ["CLK_TCK"], { encoding: "utf8" }));

/** Seconds of processor time that the process has used. */
const cpuSeconds = (pid) => {
  const fields = readFileSync(`/proc/${pid}/stat`, "utf8").split(") ")[1].split(" ");
  return (Number(fields[11]) + Number(fields[12])) / ticksPerSecond;
};

const residentMebibytes = (pid) => {
  const [, kibibytes] = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"));
  return Number(kibibytes) / 1024;
};

const world = await World.open();
const { pid } = world.server;
const idle = residentMebibytes(pid);
const pictures = [];
const sounds = [];

try {
  const people = [];
  for (const name of NAMES.slice(0, -1)) people.push(await world.enters(name, { camera: CAMERA }));
  await allSeeAndHearAll(people);

  const newcomer = await world.arrives(NAMES.at(-1));
  for (let round = 0; round < ROUNDS; round++) {
    if (round > 0) {
      await newcomer.leaves();
      await people[0].isToldOf(newcomer, null);
    }
    const { picture, sound } = await newcomer.joinTimed({ room: world.room, camera: CAMERA }, people);
    pictures.push(picture);
    sounds.push(sound);
  }
  people.push(newcomer);
  await allSeeAndHearAll(people);

  for (const person of people) await person.notesFrameAges(people.filter((other) => other !== person));
  const [cpuBefore, begun] = [cpuSeconds(pid), performance.now()];
  await sleep(SECONDS * 1000);
  const seconds = (performance.now() - begun) / 1000;
  const share = ((cpuSeconds(pid) - cpuBefore) / seconds) * 100;
  const ages = (await Promise.all(people.map((person) => person.frameAges()))).flat();

  console.log(`Five Chromium participants, each sending Opus and VP8 at ${CAMERA.width}×${CAMERA.height} and
${CAMERA.fps} frames a second, all on one machine with the server; ${ROUNDS} joins, then ${SECONDS} s. The times hold the
machine's encoders and decoders (in software, all on the same cores) and the polling of the page.

| | p50 | p95 |
|---|---|---|
| from join to the first picture | ${spread(pictures)} |
| from join to the first sound | ${spread(sounds)} |
| age of a frame when it is shown (${ages.length} frames) | ${spread(ages)} |

| the server | |
|---|---|
| processor | ${share.toFixed(1)} % of one core |
| resident memory | ${residentMebibytes(pid).toFixed(1)} MiB (${idle.toFixed(1)} MiB before anyone came) |`);
} finally {
  await world.close();
  await closeBrowsers();
}
