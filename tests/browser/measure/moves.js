// What a move of a call costs those who are in it, by how it is made: how long sound is missing or doubled, as it is played, how
// long the move takes, and how many bytes one of them sends meanwhile. Prints each move and then a table in Markdown. It fails if
// something is heard of a move that nobody should notice, or nothing of a cut that everybody must.
//
//   node measure/moves.js [rounds] [strategies] [browser of the one who hears] [browser of the others]
import { closeBrowsers } from "../harness/browsers.js";
import { faultsOf, Moving, movingBy, told, UNNOTICED_MS } from "../harness/moving.js";
import { closeShared, World } from "../harness/world.js";
import { median } from "./measures.js";

const [rounds = "5", strategies = "gradual,opportunistic,hard", browser = "chromium", others = browser] =
  process.argv.slice(2);
const CAMERA = { width: 320, height: 180, fps: 10 };

let isGood = true;
const rows = [];

for (const strategy of strategies.split(",")) {
  const moves = { up: [], back: [] };
  for (let round = 1; round <= Number(rounds); round++) {
    // Firefox has no loopback candidates.
    const world = await World.open({ config: movingBy(strategy), host: "[::]" });
    try {
      const moving = await Moving.begins(world, strategy, { camera: CAMERA, browser, others });
      for (const way of ["up", "back"]) {
        const move = await moving[way]();
        moves[way].push(move);
        const faults = faultsOf(move);
        // What breaks before it makes has to be heard to do so, or the ear is deaf.
        const isAsItShould = strategy === "hard" ? move.gapMs > UNNOTICED_MS : faults.length === 0;
        isGood &&= isAsItShould;
        console.log(`${strategy} ${way} ${round}: ${told(move)}${isAsItShould ? "" : `: FAULT: ${faults.join("; ")}`}`);
      }
    } catch (error) {
      console.error(world.report());
      throw error;
    } finally {
      await world.close();
    }
  }
  for (const [way, name] of [["up", "to the server"], ["back", "back"]]) {
    const of = (field) => moves[way].map((move) => move[field]);
    const spread = (values) => `${Math.round(median(values))} | ${Math.round(Math.max(...values))}`;
    const sent = `${Math.round(median(of("sent")) / 1000)} | ${Math.round((median(of("bytesPerSecond")) * 8) / 1000)}`;
    const echo = Math.max(...of("echoMs"));
    const load = `${Math.min(...of("load")).toFixed(0)}–${Math.max(...of("load")).toFixed(0)}`;
    rows.push(`| ${strategy} | ${name} | ${spread(of("gapMs"))} | ${echo} | ${spread(of("tookMs"))} | ${sent} | ${load} |`);
  }
}

console.log(`
| strategy | move | missing, ms: median | most | twice, ms: most | over after, ms: median | most | one sends, kB | kbit/s | load |
|---|---|--:|--:|--:|--:|--:|--:|--:|--:|
${rows.join("\n")}`);
await closeShared();
await closeBrowsers();
process.exitCode = isGood ? 0 : 1;
