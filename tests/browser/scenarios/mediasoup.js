// The unmodified client of mediasoup in our rooms, alone and beside others.
import assert from "node:assert/strict";
import { eventually } from "../harness/eventually.js";
import { allSeeAndHearAll, scenario } from "../harness/scenario.js";

/** An app whose calls go by a WebSocket. */
const SOCKET = { sdk: "mediasoup" };
/** And one whose calls go by REST. */
const REST = { sdk: "mediasoup", options: { by: "rest" } };
/** Firefox has no loopback candidates: the server must be reachable at an address of an interface too. */
const EVERYWHERE = { host: "[::]" };

const isAlone = (world) =>
  eventually("nobody is left behind", async () => {
    const rooms = await world.server.rooms();
    return rooms.every(({ participants }) => participants === 0) || rooms;
  });

scenario("two people on mediasoup's client hear and see each other", async (world) => {
  const anna = await world.enters("Anna", SOCKET);
  const ben = await world.enters("Ben", SOCKET);
  await allSeeAndHearAll([anna, ben]);
});

scenario("by REST, by a WebSocket and on our own SDK people hear and see each other, whoever comes first", async (world) => {
  const anna = await world.enters("Anna", REST);
  const ben = await world.enters("Ben");
  const cleo = await world.enters("Cleo", SOCKET);
  const dan = await world.enters("Dan", { sdk: "livekit-client" });
  await allSeeAndHearAll([anna, ben, cleo, dan]);
});

scenario("who joins late gets picture and sound at once", async (world) => {
  const anna = await world.enters("Anna", SOCKET);
  const ben = await world.enters("Ben");
  await allSeeAndHearAll([anna, ben]);
  const cleo = await world.enters("Cleo", { ...SOCKET, camera: null, microphone: null });
  await Promise.all([anna, ben].map((other) => cleo.seesAndHears(other, { within: 10_000 })));
});

scenario("what is paused is silent and still for others, until it is resumed", async (world) => {
  const anna = await world.enters("Anna", REST);
  const ben = await world.enters("Ben");
  const cleo = await world.enters("Cleo", SOCKET);
  await allSeeAndHearAll([anna, ben, cleo]);
  await anna.mutes("microphone");
  await anna.mutes("camera");
  await Promise.all([ben, cleo].map((other) => other.isToldOfTrack(anna, "camera", { muted: true })));
  await Promise.all([ben, cleo].flatMap((other) => [other.hearsSilenceFrom(anna), other.seesNothingNewOf(anna)]));
  await ben.mutes("microphone");
  await Promise.all([anna, cleo].map((other) => other.hearsSilenceFrom(ben)));
  await anna.unmutes("microphone");
  await anna.unmutes("camera");
  await ben.unmutes("microphone");
  await allSeeAndHearAll([anna, ben, cleo]);
  await cleo.subscription(anna, "camera", "pause");
  await cleo.seesNothingNewOf(anna);
  await ben.sees(anna);
  await cleo.subscription(anna, "camera", "resume");
  await cleo.sees(anna);
});

scenario("what is closed is gone, and what is produced or consumed later comes", async (world) => {
  const anna = await world.enters("Anna", SOCKET);
  const ben = await world.enters("Ben", SOCKET);
  const cleo = await world.enters("Cleo");
  await allSeeAndHearAll([anna, ben, cleo]);
  await anna.sharesScreen("white");
  await Promise.all([ben, cleo].map((other) => other.sees(anna, { source: "screen", colour: "white" })));
  await anna.stopsSharingScreen();
  await Promise.all([ben, cleo].map((other) => other.isToldOfTrack(anna, "screen", null)));
  await anna.sharesScreen("grey");
  await Promise.all([ben, cleo].map((other) => other.sees(anna, { source: "screen", colour: "grey" })));
  await ben.subscription(cleo, "camera", "unsubscribe");
  await ben.hears(cleo);
  await ben.page.evaluate(() => lab.consumeAgain("Cleo/camera"));
  await allSeeAndHearAll([anna, ben, cleo]);
});

scenario("who leaves leaves nothing behind, by whichever way they came", async (world) => {
  const anna = await world.enters("Anna", SOCKET);
  const ben = await world.enters("Ben", REST);
  const cleo = await world.enters("Cleo");
  await allSeeAndHearAll([anna, ben, cleo]);
  await ben.leaves();
  await Promise.all([anna, cleo].map((other) => other.isToldOf(ben, null)));
  const dan = await world.enters("Dan", REST);
  await allSeeAndHearAll([anna, cleo, dan]);
  await anna.closesTab();
  await Promise.all([cleo, dan].map((other) => other.isToldOf(anna, null)));
  await cleo.leaves();
  await dan.isToldOf(cleo, null);
  await dan.closesTab();
  await isAlone(world);
});

scenario("media goes on when ICE is restarted, and ends with its transport", async (world) => {
  const anna = await world.enters("Anna", SOCKET);
  const ben = await world.enters("Ben", REST);
  await allSeeAndHearAll([anna, ben]);
  await Promise.all([anna, ben].map((person) => person.page.evaluate(() => lab.restartIce())));
  await allSeeAndHearAll([anna, ben]);
  await anna.page.evaluate(() => lab.closeTransport("send"));
  await ben.isToldOfTrack(anna, "camera", null);
  await anna.seesAndHears(ben);
});

scenario("a simulcast of mediasoup's client is shown in the size that is wanted", async (world) => {
  const camera = { simulcast: true, width: 1280, height: 720, fps: 12 };
  const anna = await world.enters("Anna", { ...SOCKET, camera, microphone: null });
  const ben = await world.enters("Ben", { camera: null, microphone: null });
  const cleo = await world.enters("Cleo", { ...SOCKET, camera: null, microphone: null });
  await Promise.all([ben, cleo].map((other) => other.isToldOfTrack(anna, "camera", { status: "live" })));
  for (const [height, width] of [
    [720, 1280],
    [180, 320],
  ]) {
    await ben.showsInTile(anna, height);
    await cleo.prefers(anna, { height, width });
    await Promise.all([ben, cleo].map((other) => other.getsWidth(anna, width)));
    await Promise.all([ben, cleo].map((other) => other.sees(anna)));
  }
});

scenario("codecs that both sides know are taken, and who knows none of them is told", async (world) => {
  const anna = await world.enters("Anna", { ...SOCKET, camera: { codec: "video/VP9" }, microphone: null });
  const ben = await world.enters("Ben");
  const cleo = await world.enters("Cleo", { ...SOCKET, camera: null, microphone: null });
  await Promise.all([ben, cleo].map((other) => other.sees(anna)));
  assert.equal((await cleo.receptionOf(anna)).codec, "video/VP9");
  const refused = await cleo.page.evaluate((id) => lab.cannotConsume(id), await anna.id());
  assert.equal(refused, "Cannot consume");
});

scenario(
  "a Firefox and a Chromium on mediasoup's client and one on ours hear and see each other",
  async (world) => {
    const fox = await world.enters("Fox", { ...SOCKET, browser: "firefox" });
    const anna = await world.enters("Anna", REST);
    const ben = await world.enters("Ben");
    await allSeeAndHearAll([fox, anna, ben]);
    await fox.mutes("camera");
    await Promise.all([anna, ben].map((other) => other.seesNothingNewOf(fox)));
    await fox.unmutes("camera");
    await anna.leaves();
    await Promise.all([fox, ben].map((other) => other.isToldOf(anna, null)));
    await allSeeAndHearAll([fox, ben]);
  },
  EVERYWHERE,
);
