// The table of contents: every file of scenarios, and in which lane it runs. What is in one lane runs in one process, so
// that each browser is launched once. `STRAIT_LANE` names a lane; without it everything runs, one after the other.

import { readdirSync } from "node:fs";
import { resolve } from "node:path";

/**
 * The two first lanes run beside each other: most of what they take is waiting. What keeps the processors busy, or
 * measures what others would disturb, runs alone after them.
 */
export const LANES = {
  first: [
    "harness-itself",
    "meeting",
    "muting",
    "speaking",
    "subscribing",
    "sources",
    "going",
    "door",
    "demo-page",
    "accessibility",
    "dashboard",
    "whep",
    "mixed",
    "back-end",
    "firewall",
    "react",
    "slide",
  ],
  second: ["moderation", "data", "livekit", "mediasoup", "livekit-node", "dialects"],
  // The recording waits for a program that is compiled beside all of this.
  alone: ["layers", "loss", "bandwidth", "scalability", "mesh", "voice", "recording"],
};

const files = readdirSync(resolve(import.meta.dirname, "scenarios")).map((file) => file.replace(/\.js$/, ""));
const strays = files.filter((name) => !Object.values(LANES).flat().includes(name));
if (strays.length > 0) throw new Error(`in no lane: ${strays.join(", ")}`);

const lane = process.env.STRAIT_LANE;
const names = lane === undefined ? Object.values(LANES).flat() : LANES[lane];
if (names === undefined) {
  throw new Error(`STRAIT_LANE is ${JSON.stringify(lane)}; the lanes are ${Object.keys(LANES).join(", ")}`);
}
for (const name of names) await import(`./scenarios/${name}.js`);
