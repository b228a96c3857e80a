// What a move of a call costs those who are in it, by how it is made: how long sound is missing, how long the move takes, and
// how many bytes one of them sends meanwhile. Prints Markdown.
import { setTimeout as sleep } from "node:timers/promises";
import { closeBrowsers } from "../harness/browsers.js";
import { World } from "../harness/world.js";
import { median } from "./measures.js";

const ROUNDS = 3;
const SMALL = { width: 320, height: 180, fps: 10 };
/** From when a move is asked for. */
const WATCHED_MS = 6_000;

/** One move to the server, and one back, by a third person who comes and goes. */
async function round(strategy) {
  const world = await World.open({ config: { mesh: { mode: "auto", up: 3, down: 2, warm: 3, cooldown: 1, strategy } } });
  try {
    const anna = await world.enters("Anna", { camera: SMALL });
    const ben = await world.enters("Ben", { camera: SMALL, microphone: { noise: true } });
    await Promise.all([anna, ben].map((person) => person.goes("p2p")));
    await Promise.all([anna.hears(ben), ben.hears(anna)]);
    const cleo = await world.arrives("Cleo");
    const results = {};
    const moves = [
      ["sfu", () => cleo.join({ room: world.room, camera: null, microphone: null })],
      // With a connection kept ready a call goes back only when fewer are left than `down`.
      ...(strategy === "opportunistic" ? [] : [["p2p", () => cleo.leaves()]]),
    ];
    for (const [way, act] of moves) {
      await anna.listens();
      const before = await anna.sentBytes();
      const began = Date.now();
      await act();
      await anna.goes(way, { every: 10 });
      const took = Date.now() - began;
      await sleep(WATCHED_MS - took);
      const { longestGapMs } = await anna.continuityOf(ben);
      results[way] = { gap: longestGapMs, took, sent: (await anna.sentBytes()) - before };
    }
    return results;
  } finally {
    await world.close();
  }
}

console.log("| strategy | move | sound missing, ms | until it is over, ms | one sends in 6 s, kB |");
console.log("|---|---|--:|--:|--:|");
for (const strategy of ["gradual", "opportunistic", "hard"]) {
  const rounds = [];
  for (let number = 0; number < ROUNDS; number++) rounds.push(await round(strategy));
  for (const [way, name] of [["sfu", "to the server"], ["p2p", "back"]]) {
    if (!rounds[0][way]) continue;
    const of = (field) => median(rounds.map((results) => results[way][field]));
    console.log(`| ${strategy} | ${name} | ${of("gap")} | ${of("took")} | ${Math.round(of("sent") / 1000)} |`);
  }
}
await closeBrowsers();
