// What a call that goes straight costs the server, beside what the same call costs that goes through it: processor time, by the
// kernel's account of each of its threads, and bytes of its port, by a counter of the kernel's packet filter (needs root). And
// what either costs the browsers of those who are in it. Prints Markdown; fails if the straight call costs the server a hundredth
// or more.
//
//   node measure/mesh-cost.js [people] [seconds]
import { execFileSync } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { loadavg } from "node:os";
import { setTimeout as sleep } from "node:timers/promises";
import { launchChromium } from "../harness/browsers.js";
import { nftPath } from "../harness/programs.js";
import { allSeeAndHearAll, World } from "../harness/world.js";

const [people = "4", seconds = "30"] = process.argv.slice(2);
const NAMES = ["Anna", "Ben", "Cleo", "Dan", "Eva", "Finn"].slice(0, Number(people));
/** With as many bits as a camera: a synthetic picture alone takes next to none. */
const CAMERA = { width: 320, height: 180, fps: 12, grain: 0.3 };
/** What browsers find out about each other at first is over. */
const SETTLES_MS = 5_000;
/** The part of the call through the server that a straight one may cost it. */
const MOST = 0.01;

const straight = { mode: "auto", up: 8, down: 5, warm: 8 };
const CALLS = [
  { name: "nobody there", people: 0, mesh: straight },
  { name: "straight", people: NAMES.length, mesh: straight },
  { name: "straight, with connections kept ready", people: NAMES.length, mesh: { ...straight, strategy: "opportunistic" } },
  { name: "through the server", people: NAMES.length, mesh: { mode: "off" } },
];

/** Milliseconds that each thread of a process has had a processor. */
const threadTimes = (pid) => {
  const times = new Map();
  for (const id of readdirSync(`/proc/${pid}/task`))
    times.set(id, Number(readFileSync(`/proc/${pid}/task/${id}/schedstat`, "utf8").split(" ")[0]) / 1e6);
  return times;
};

const nft = (...lines) => execFileSync(nftPath(), ["-f", "-"], { input: `${lines.join("\n")}\n`, encoding: "utf8" });
const TABLE = `strait-cost-${process.pid}`;

/** Counts what goes to a port of this machine and comes from it. */
const counts = (port) =>
  nft(
    `add table inet ${TABLE}`,
    `add chain inet ${TABLE} input { type filter hook input priority 0; policy accept; }`,
    ...["tcp", "udp"].flatMap((protocol) =>
      ["dport", "sport"].map((end) => `add rule inet ${TABLE} input ${protocol} ${end} ${port} counter`),
    ),
  );
const counted = () => {
  const list = execFileSync(nftPath(), ["list", "table", "inet", TABLE], { encoding: "utf8" });
  return [...list.matchAll(/bytes (\d+)/g)].reduce((sum, [, bytes]) => sum + Number(bytes), 0);
};

/** Seconds that the pages' processes have had a processor, and their memory in MiB, without what they share. */
const pagesOf = async (browser) => {
  const renderers = (await browser.processes()).filter(({ type }) => type === "renderer");
  const memory = ({ id }) => Number(/^Pss:\s+(\d+)/m.exec(readFileSync(`/proc/${id}/smaps_rollup`, "utf8"))[1]) / 1024;
  return {
    times: new Map(renderers.map(({ id, cpuTime }) => [id, cpuTime])),
    memory: renderers.map(memory).reduce((sum, one) => sum + one, 0),
  };
};

const since = (after, before) => [...after].reduce((sum, [id, time]) => sum + time - (before.get(id) ?? 0), 0);

async function costOf({ people, mesh }) {
  const world = await World.open({ config: { mesh, media: { layer_policy: "wishes" } } });
  const browser = await launchChromium();
  try {
    const there = [];
    for (const name of NAMES.slice(0, people)) there.push(await world.enters(name, { browser, camera: CAMERA }));
    await allSeeAndHearAll(there);
    if (mesh.mode !== "off") await Promise.all(there.map((person) => person.goes("p2p")));
    await sleep(SETTLES_MS);
    counts(world.server.port);
    const [server, pages, began] = [threadTimes(world.server.pid), await pagesOf(browser), performance.now()];
    const bytesBefore = counted();
    await sleep(1000 * Number(seconds));
    const bytes = counted() - bytesBefore;
    const took = (performance.now() - began) / 1000;
    const serverMs = since(threadTimes(world.server.pid), server) / took;
    const now = await pagesOf(browser);
    return {
      serverMs,
      bytes: bytes / took,
      pagesPercent: (100 * since(now.times, pages.times)) / took / Math.max(1, people),
      memory: now.memory / Math.max(1, people),
      load: loadavg()[0],
    };
  } finally {
    nft(`add table inet ${TABLE}`, `delete table inet ${TABLE}`);
    await world.close();
    await browser.close();
  }
}

const costs = [];
for (const call of CALLS) costs.push(await costOf(call));

console.log(`${NAMES.length} people, each with sound and a picture of ${CAMERA.width}×${CAMERA.height}; ${seconds} s each.

| the call goes | server: processor, ms/s | of that through it | kbit/s | of that through it | a page: processor | MiB | load |
|---|--:|--:|--:|--:|--:|--:|--:|`);
const [, mesh, , through] = costs;
const part = (one, whole) => `${((100 * one) / whole).toFixed(2)} %`;
for (const [index, { name, people }] of CALLS.entries()) {
  const { serverMs, bytes, pagesPercent, memory, load } = costs[index];
  const page = people > 0 ? `${pagesPercent.toFixed(0)} % | ${memory.toFixed(0)}` : "| ";
  console.log(
    `| ${name} | ${serverMs.toFixed(2)} | ${part(serverMs, through.serverMs)} | ${((bytes * 8) / 1000).toFixed(1)} | ` +
      `${part(bytes, through.bytes)} | ${page} | ${load.toFixed(0)} |`,
  );
}
const isCheap = mesh.serverMs < MOST * through.serverMs && mesh.bytes < MOST * through.bytes;
if (!isCheap) console.log("\nThe straight call costs the server a hundredth or more.");
process.exitCode = isCheap ? 0 : 1;
