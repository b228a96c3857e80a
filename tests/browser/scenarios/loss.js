// A part of everything towards somebody is lost, and they hear and see the others all the same.
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

const copiesAre = (world, name, count, options) =>
  eventually(
    `${count} copies are sent to ${name}`,
    async () => {
      const { redundancy } = await participant(world, name);
      return redundancy?.copies === count || { redundancy };
    },
    options,
  );

/** Dora sends copies herself: Anna, who takes them, and a Firefox, which does not, hear her. */
const hearsWhoSendsCopies = async (world, anna) => {
  const dora = await world.enters("Dora", { camera: null, microphone: { red: true } });
  const fox = await world.enters("Fox", { browser: "firefox", camera: null, microphone: null });
  await Promise.all([anna.hears(dora), fox.hears(dora)]);
  const { publications } = await participant(world, "Dora");
  assert.equal(publications[0].codec, "opus");
};

scenario(
  "of audio of which a fifth is lost nearly all is heard: two copies of each packet come within seconds, and go when it is over",
  async (world) => {
    const firewall = world.firewall();
    const ben = await world.enters("Ben", { camera: null });
    const anna = await world.entersBehind(firewall, "Anna", { camera: null, microphone: null });
    await anna.hears(ben);
    assert.equal((await participant(world, "Anna")).redundancy, null, "nothing is lost, and nothing sent twice");

    firewall.losesFrom(world.server.port, LOST);
    const begin = Date.now();
    const counting = anna.concealmentOf(ben, LISTENS_MS + 2 * SETTLES_MS);
    await copiesAre(world, "Anna", 2);
    const decided = Date.now() - begin;
    await sleep(SETTLES_MS);
    const settled = await anna.concealmentOf(ben, LISTENS_MS);
    const whole = await counting;
    console.log(`two copies after ${decided} ms; concealed from the beginning ${whole}, then ${settled}`);
    assert(whole < 0.05, `${whole} of what was played from the first loss on was made up`);
    assert(settled < 0.02, `${settled} of what was played was made up`);
    await anna.hears(ben);
    const { quality, slots } = await participant(world, "Anna");
    assert(quality.score < 100 && slots[0].quality.loss > 0.1, JSON.stringify({ quality, slots }));

    firewall.letsAllThrough();
    // It takes half a minute, in which somebody else comes.
    await hearsWhoSendsCopies(world, anna);
    await copiesAre(world, "Anna", 0, { within: 90_000 });
    await anna.hears(ben);
  },
  // Firefox has no loopback candidates: the server must be reachable at an address of an interface too.
  { host: "[::]" },
);

for (const videoCodec of ["AV1", "VP9"])
  scenario(
    `layers of ${videoCodec} of which some packets are lost are repaired: pictures go on, as large as before`,
    async (world) => {
      const firewall = world.firewall();
      const camera = { width: 640, height: 360, fps: 12, videoCodec, scalabilityMode: "L3T3_KEY" };
      const ben = await world.enters("Ben", { camera, microphone: null });
      const anna = await world.entersBehind(firewall, "Anna", { camera: null, microphone: null });
      await anna.isToldOfTrack(ben, "camera", { status: "live" });
      await anna.showsInTile(ben, 360);
      const before = await anna.getsWidth(ben, 640);

      firewall.losesFrom(world.server.port, 10);
      await eventually("packets are lost and come again", async () => {
        const { nackCount, retransmittedPacketsReceived: repaired } = await anna.receptionOf(ben);
        return repaired - (before.retransmittedPacketsReceived ?? 0) >= 20 || { nackCount, repaired };
      });
      await anna.sees(ben);
      const after = await anna.getsWidth(ben, 640);
      const since = (field) => after[field] - before[field];
      assert(since("keyFramesDecoded") <= 2, `${since("keyFramesDecoded")} key frames were needed`);
      assert(since("framesDecoded") > 0.9 * since("framesReceived") - 5, JSON.stringify(after));
      const counts = ["framesReceived", "framesDecoded", "pliCount", "freezeCount"].map(
        (name) => `${name} ${since(name)}`,
      );
      console.log(counts.join(", "));
    },
    { host: "0.0.0.0" },
  );
