// A fifth of everything towards somebody is lost, and they hear the others all the same.
import assert from "node:assert/strict";
import { setTimeout as sleep } from "node:timers/promises";
import { eventually } from "../harness/eventually.js";
import { scenario } from "../harness/scenario.js";

const LOST = 20;
/** How long is listened, and from when on copies have filled the player's buffer. */
const LISTENS_MS = 20_000;
const SETTLES_MS = 3_000;

const participant = async (world, name) => {
  const { participants } = await world.server.room(world.room);
  return participants.find((other) => other.name === name);
};

scenario(
  "of audio of which a fifth is lost on the way to a listener, nearly all is heard, by two copies of each packet",
  async (world) => {
    const firewall = world.firewall();
    const ben = await world.enters("Ben", { camera: null });
    const anna = await world.entersBehind(firewall, "Anna", { camera: null, microphone: null });
    await anna.hears(ben);
    assert.equal((await participant(world, "Anna")).redundancy, null, "nothing is lost, and nothing sent twice");

    firewall.losesFrom(world.server.port, LOST);
    const begin = Date.now();
    const whole = anna.concealmentOf(ben, LISTENS_MS + SETTLES_MS);
    await eventually("two copies are sent", async () => {
      const { redundancy } = await participant(world, "Anna");
      return redundancy?.copies === 2 || { redundancy };
    });
    const decided = Date.now() - begin;
    await sleep(SETTLES_MS);
    const settled = await anna.concealmentOf(ben, LISTENS_MS);
    console.log(`two copies after ${decided} ms; concealed from the beginning ${await whole}, then ${settled}`);
    assert(settled < 0.02, `${settled} of what was played was made up`);
    await anna.hears(ben);
    const { quality, slots } = await participant(world, "Anna");
    assert(quality.score < 100 && slots[0].quality.loss > 0.1, JSON.stringify({ quality, slots }));

    firewall.letsAllThrough();
    await eventually(
      "no copies are sent any more",
      async () => {
        const { redundancy } = await participant(world, "Anna");
        return redundancy?.copies === 0 || { redundancy };
      },
      { within: 90_000 },
    );
    await anna.hears(ben);
  },
  { host: "0.0.0.0" },
);

scenario(
  "a publisher who sends copies itself is heard by those who take them and by those who do not",
  async (world) => {
    const ben = await world.enters("Ben", { camera: null, microphone: { red: true } });
    const anna = await world.enters("Anna", { camera: null, microphone: null });
    const cleo = await world.enters("Cleo", { browser: "firefox", camera: null, microphone: null });
    await Promise.all([anna.hears(ben), cleo.hears(ben)]);
    const { publications } = await participant(world, "Ben");
    assert.equal(publications[0].codec, "opus");
  },
  // Firefox has no loopback candidates: the server must be reachable at an address of an interface too.
  { host: "[::]" },
);
