// Eight people with sound in packets of 60 ms, all in one machine's browsers: seven go straight, the eighth brings the call to
// the server, and it breaks before it makes, because eight that go both ways at once are more than a small machine can do.
// Prints how long that is heard, when everybody has heard everybody again, and how much of the sound is made up before and
// afterwards.
import { loadavg } from "node:os";
import { setTimeout as sleep } from "node:timers/promises";
import { closeBrowsers } from "../harness/browsers.js";
import { eventually } from "../harness/eventually.js";
import { closeShared, World } from "../harness/world.js";

const NAMES = ["Ben", "Cleo", "Dan", "Eva", "Finn", "Gina", "Hugo"];
const PACKET_MS = 60;
/** Of each, so that nobody is heard by what was left over. */
const PACKETS = 5;
const WATCHED_MS = 5_000;
const PATIENCE = { within: 90_000, every: 50 };

const sound = { camera: null, packetMs: PACKET_MS };
const world = await World.open({
  config: { mesh: { mode: "auto", up: 8, down: 5, warm: 8, strategy: "hard" }, media: { layer_policy: "wishes" } },
});

/** How much of the sound of all others is made up, from 0 to 1, at the worst of the listeners and on average. */
const madeUp = async (people) => {
  const shares = await Promise.all(
    people.map(async (person) => {
      const others = people.filter((other) => other !== person);
      const of = await Promise.all(others.map((other) => person.concealmentOf(other, WATCHED_MS)));
      return of.reduce((sum, share) => sum + share, 0) / of.length;
    }),
  );
  const percent = (share) => `${(100 * share).toFixed(2)} %`;
  return `${percent(shares.reduce((sum, share) => sum + share, 0) / shares.length)} | ${percent(Math.max(...shares))}`;
};

/** Until so many packets of everybody have come to everybody. */
const allReceiveAll = (people) =>
  Promise.all(
    people.map((person) =>
      eventually(`${person.name} hears everybody`, async () => {
        const packets = Object.values(await person.packets());
        return (packets.length === people.length - 1 && packets.every((count) => count >= PACKETS)) || packets;
      }, PATIENCE),
    ),
  );

const hearEachOther = async (people) => {
  for (const person of people) for (const other of people) if (person !== other) await person.hears(other);
};

try {
  const people = [await world.entersListening("Anna", sound)];
  for (const name of NAMES.slice(0, -1)) people.push(await world.enters(name, sound));
  await Promise.all(people.map((person) => person.goes("p2p", PATIENCE)));
  await allReceiveAll(people);
  await hearEachOther(people);
  const before = await madeUp(people);

  const last = await world.arrives(NAMES.at(-1));
  const [anna] = people;
  await anna.listens();
  const began = Date.now();
  await last.join({ room: world.room, ...sound });
  people.push(last);
  await Promise.all(people.map((person) => person.goes("sfu", PATIENCE)));
  const told = Date.now() - began;
  await allReceiveAll(people);
  const heardAll = Date.now() - began;
  await sleep(500);
  const { gapMs } = await anna.heard();
  await hearEachOther(people);
  const after = await madeUp(people);

  console.log(`Load ${loadavg().map((load) => load.toFixed(1)).join(", ")}.

| eight people, a hard cut to the server | |
|---|--:|
| nothing at all is heard for | ${gapMs} ms |
| all are told that it is over, from when the eighth begins to join | ${told} ms |
| everybody has received ${PACKETS} packets of everybody by the server | ${heardAll} ms |

| sound that is made up | on average | the one with most |
|---|--:|--:|
| seven straight | ${before} |
| eight by the server | ${after} |`);
} catch (error) {
  console.error(world.report());
  throw error;
} finally {
  await world.close();
  await closeShared();
  await closeBrowsers();
}
