// Every browser test: the lanes of `all.js`, of which two run beside each other. Each line of theirs is shown as it comes,
// with the lane in front, and what fails is said once more at the end. Options are those of `node --test`, such as
// `--test-name-pattern`.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { endWithUs } from "./harness/children.js";

// A signal that ends us ends the lanes, too.
for (const signal of ["SIGINT", "SIGTERM"]) process.once(signal, () => process.exit(1));

/** Runs a lane to its end. Returns whether everything in it has passed. */
async function passes(lane) {
  const words = ["--test", "--test-concurrency=1", "--test-reporter=spec", ...process.argv.slice(2), "all.js"];
  const run = spawn(process.execPath, words, {
    cwd: import.meta.dirname,
    env: { ...process.env, STRAIT_LANE: lane },
    stdio: ["ignore", "pipe", "pipe"],
  });
  endWithUs(run);
  for (const stream of [run.stdout, run.stderr]) {
    createInterface({ input: stream }).on("line", (line) => console.log(`${lane.padEnd(6)} ${line}`));
  }
  const [code] = await once(run, "close");
  return code === 0;
}

const results = await Promise.all(["first", "second"].map(passes));
results.push(await passes("alone"));
const failed = ["first", "second", "alone"].filter((_, place) => !results[place]);
if (failed.length > 0) {
  console.error(`browser tests failed in: ${failed.join(", ")}; look for "failing tests" above`);
  process.exit(1);
}
