// The unmodified client of LiveKit in our rooms, alone and beside our own.
import assert from "node:assert/strict";
import { eventually } from "../harness/eventually.js";
import { allSeeAndHearAll, scenario } from "../harness/scenario.js";

const LIVEKIT = { sdk: "livekit" };
const FIREFOX = { sdk: "livekit", browser: "firefox" };
/** Firefox has no loopback candidates: the server must be reachable at an address of an interface too. */
const EVERYWHERE = { host: "[::]" };

scenario("two people on LiveKit's client hear and see each other", async (world) => {
  const anna = await world.enters("Anna", LIVEKIT);
  const ben = await world.enters("Ben", LIVEKIT);
  await allSeeAndHearAll([anna, ben]);
});

scenario("people on LiveKit's client and on ours hear and see each other, whoever comes first", async (world) => {
  const anna = await world.enters("Anna", LIVEKIT);
  const ben = await world.enters("Ben");
  const cleo = await world.enters("Cleo", LIVEKIT);
  await allSeeAndHearAll([anna, ben, cleo]);
});

scenario("who joins late on LiveKit's client gets picture and sound at once", async (world) => {
  const anna = await world.enters("Anna", LIVEKIT);
  const ben = await world.enters("Ben");
  await allSeeAndHearAll([anna, ben]);
  const cleo = await world.enters("Cleo", { ...LIVEKIT, camera: null, microphone: null });
  await Promise.all([anna, ben].map((other) => cleo.seesAndHears(other, { within: 10_000 })));
});

scenario("what is muted on LiveKit's client is silent and still for others, until it is unmuted", async (world) => {
  const anna = await world.enters("Anna", LIVEKIT);
  const ben = await world.enters("Ben", LIVEKIT);
  const cleo = await world.enters("Cleo");
  await allSeeAndHearAll([anna, ben, cleo]);
  await anna.mutes("microphone");
  await anna.mutes("camera");
  await Promise.all([ben, cleo].map((other) => other.isToldOfTrack(anna, "camera", { muted: true })));
  await Promise.all([ben, cleo].flatMap((other) => [other.hearsSilenceFrom(anna), other.seesNothingNewOf(anna)]));
  await cleo.mutes("microphone");
  await Promise.all([anna, ben].map((other) => other.hearsSilenceFrom(cleo)));
  await anna.unmutes("microphone");
  await anna.unmutes("camera");
  await cleo.unmutes("microphone");
  await allSeeAndHearAll([anna, ben, cleo]);
});

scenario("a track that is no longer published is gone for others, and one that is published later comes", async (world) => {
  const anna = await world.enters("Anna", LIVEKIT);
  const ben = await world.enters("Ben", LIVEKIT);
  const cleo = await world.enters("Cleo");
  await allSeeAndHearAll([anna, ben, cleo]);
  await anna.sharesScreen("white");
  await Promise.all([ben, cleo].map((other) => other.sees(anna, { source: "screen", colour: "white" })));
  await anna.stopsSharingScreen();
  await Promise.all([ben, cleo].map((other) => other.isToldOfTrack(anna, "screen", null)));
  await anna.sharesScreen("grey");
  await Promise.all([ben, cleo].map((other) => other.sees(anna, { source: "screen", colour: "grey" })));
  await allSeeAndHearAll([anna, ben, cleo]);
});

scenario("who leaves is gone, and who comes in their place is not taken for them", async (world) => {
  const anna = await world.enters("Anna", LIVEKIT);
  const ben = await world.enters("Ben", LIVEKIT);
  const cleo = await world.enters("Cleo");
  await allSeeAndHearAll([anna, ben, cleo]);
  await ben.leaves();
  await Promise.all([anna, cleo].map((other) => other.isToldOf(ben, null, { within: 10_000 })));
  const dan = await world.enters("Dan", LIVEKIT);
  await allSeeAndHearAll([anna, cleo, dan]);
  await cleo.leaves();
  await anna.isToldOf(cleo, null, { within: 10_000 });
  await anna.closesTab();
  await dan.isToldOf(anna, null);
});

scenario("more people than LiveKit's client has sections for at first hear and see each other", async (world) => {
  const camera = { fps: 10 };
  const people = [];
  for (const name of ["Anna", "Ben", "Cleo", "Dan", "Eva"]) {
    people.push(await world.enters(name, { camera, ...(name === "Eva" ? {} : LIVEKIT) }));
  }
  await allSeeAndHearAll(people);
});

scenario("who unsubscribes from a track sees it no more, until they subscribe again", async (world) => {
  const anna = await world.enters("Anna", LIVEKIT);
  const ben = await world.enters("Ben");
  await allSeeAndHearAll([anna, ben]);
  await anna.subscription(ben, "camera", "unsubscribe");
  await anna.isToldOfTrack(ben, "camera", { status: "waiting" });
  await anna.hears(ben);
  await anna.subscription(ben, "camera", "subscribe");
  await anna.sees(ben);
});

scenario("who comes in by the identity of somebody takes their place", async (world) => {
  const anna = await world.enters("Anna", LIVEKIT);
  const ben = await world.enters("Ben", LIVEKIT);
  await allSeeAndHearAll([anna, ben]);
  const again = await world.enters("Anna", { ...LIVEKIT, like: anna });
  await eventually("the older Anna is told why she is out", async () => {
    const told = await anna.page.evaluate(() => lab.disconnections());
    return told.includes("disconnected DUPLICATE_IDENTITY") || told;
  });
  await allSeeAndHearAll([again, ben]);
});

scenario(
  "a Firefox on LiveKit's client, a Chromium on it and one on ours hear and see each other",
  async (world) => {
    const fox = await world.enters("Fox", FIREFOX);
    const anna = await world.enters("Anna", LIVEKIT);
    const ben = await world.enters("Ben");
    await allSeeAndHearAll([fox, anna, ben]);
    await fox.mutes("camera");
    await Promise.all([anna, ben].map((other) => other.seesNothingNewOf(fox)));
    await fox.unmutes("camera");
    await ben.leaves();
    await Promise.all([fox, anna].map((other) => other.isToldOf(ben, null)));
    await allSeeAndHearAll([fox, anna]);
    assert.match(await fox.id(), /^PA_/);
  },
  EVERYWHERE,
);
