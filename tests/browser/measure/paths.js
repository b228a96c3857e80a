// What a firewall costs: how soon the first picture comes by each path, what the path adds to a picture's age, and how
// long pictures stand still when the network changes in mid-call. Prints Markdown tables. Needs root.
import { setTimeout as sleep } from "node:timers/promises";
import { closeBrowsers } from "../harness/browsers.js";
import { allSeeAndHearAll, closeShared, World } from "../harness/world.js";
import { median, percentile } from "./measures.js";

const ROUNDS = 5;
const SECONDS = 10;
const CAMERA = { width: 320, height: 180, fps: 12 };

const EVERYWHERE = { host: "0.0.0.0" };
const CASES = [
  { network: "everything", restrict: () => {} },
  { network: "all but UDP", restrict: (firewall) => firewall.dropsUdp() },
  {
    network: "only TCP to the port",
    restrict: (firewall, { port }) => firewall.letsOnlyTcpThrough(port),
  },
  {
    network: "only TLS to the port",
    options: { isCertified: true },
    restrict: (firewall, { port }) => firewall.letsOnlyTlsThrough(port),
  },
  { network: "only a proxy with CONNECT", restrict: (firewall) => firewall.letsOnlyProxyThrough() },
  { network: "everything; port 443 of a private address", options: { port: 443 }, restrict: () => {} },
];

const inWorld = async (options, story) => {
  const world = await World.open({ ...EVERYWHERE, ...options });
  try {
    return await story(world);
  } finally {
    await world.close();
  }
};

const path = ({ network, options, restrict }) =>
  inWorld(options, async (world) => {
    const firewall = world.firewall();
    await restrict(firewall, world.server);
    const ben = await world.enters("Ben", { camera: CAMERA });
    const opened = [];
    let anna;
    for (let round = 0; round < ROUNDS; round++) {
      if (anna) {
        await anna.leaves();
        await ben.isToldOf(anna, null);
        await anna.page.close();
      }
      const identity = { browser: await firewall.browser(), origin: firewall.origin };
      anna = await world.arrives("Anna", identity);
      opened.push((await anna.joinTimed({ room: world.room, camera: CAMERA }, [ben])).opened);
    }
    await allSeeAndHearAll([anna, ben]);
    await ben.notesFrameAges([anna]);
    const roundTrips = [];
    for (let second = 0; second < SECONDS; second++) {
      await sleep(1000);
      roundTrips.push(await anna.roundTrip());
    }
    const taken = await anna.page.evaluate(() => lab.path());
    const ages = await ben.frameAges();
    const trip = roundTrips.toSorted((a, b) => a - b)[SECONDS >> 1].toFixed(0);
    return `| ${network} | ${taken} | ${median(opened)} ms | ${trip} ms | ${median(ages)} ms | ${percentile(ages, 0.95)} ms |`;
  });

const change = (what, happens) =>
  inWorld({}, async (world) => {
    const gaps = [];
    for (let round = 0; round < 3; round++) {
      const firewall = world.firewall();
      const anna = await world.entersBehind(firewall, "Anna", { camera: CAMERA });
      const ben = await world.enters("Ben", { camera: CAMERA });
      await allSeeAndHearAll([anna, ben]);
      await Promise.all([anna.notesGaps(ben), ben.notesGaps(anna)]);
      happens(firewall);
      await sleep(1000 * SECONDS);
      await allSeeAndHearAll([anna, ben]);
      gaps.push(Math.max(...(await Promise.all([anna.longestGap(), ben.longestGap()]))));
      await Promise.all([anna.leaves(), ben.leaves()]);
    }
    return `| ${what} | ${median(gaps)} ms | ${Math.round(Math.max(...gaps))} ms |`;
  });

try {
  console.log(`| the network lets through | path | page opened to first picture | ICE round trip | age of a frame, p50 | p95 |
|---|---|---|---|---|---|`);
  for (const one of CASES) console.log(await path(one));
  console.log(`\n| in mid-call | longest time without a new picture, median of 3 | longest |
|---|---|---|`);
  console.log(await change("UDP begins to be dropped", (firewall) => firewall.dropsUdp()));
  console.log(await change("the client's address changes", (firewall) => firewall.movesGuest()));
} finally {
  await closeShared();
  await closeBrowsers();
}
