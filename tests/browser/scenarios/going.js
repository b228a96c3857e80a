// People go without saying so, and connections break.
import assert from "node:assert/strict";
import { allSeeAndHearAll, scenario } from "../harness/scenario.js";

scenario("who closes the tab is gone at once", async (world) => {
  const anna = await world.enters("Anna");
  const ben = await world.enters("Ben");
  await allSeeAndHearAll([anna, ben]);
  await ben.closesTab();
  await anna.isToldOf(ben, null, { within: 10_000 });
});

scenario("whose tab is killed is gone in time", async (world) => {
  const anna = await world.enters("Anna");
  const ben = await world.enters("Ben");
  await allSeeAndHearAll([anna, ben]);
  await ben.crashes();
  await anna.isToldOf(ben, null, { within: 45_000 });
});

scenario(
  "whose computer loses power is shown as reconnecting at once and gone in time",
  async (world) => {
    const relay = await world.relay();
    const anna = await world.enters("Anna");
    const ben = await world.enters("Ben", { origin: relay.origin });
    await allSeeAndHearAll([anna, ben]);
    relay.cut();
    await ben.crashes();
    await anna.isToldOf(ben, "reconnecting", { within: 10_000 });
    await anna.isToldOf(ben, null);
  },
  { config: { signalling: { resume_timeout: 8 } } },
);

scenario("a broken socket is resumed, and media never stops", async (world) => {
  const relay = await world.relay();
  const anna = await world.enters("Anna");
  const ben = await world.enters("Ben", { origin: relay.origin });
  await allSeeAndHearAll([anna, ben]);
  const before = await ben.id();

  relay.cut();
  await anna.isToldOf(ben, "reconnecting", { within: 10_000 });
  await ben.isIn("reconnecting", { within: 10_000 });
  await allSeeAndHearAll([anna, ben], { within: 10_000 });

  relay.mend();
  await ben.isIn("connected");
  await anna.isToldOf(ben, "connected");
  assert.equal(await ben.id(), before);
  await allSeeAndHearAll([anna, ben]);

  await anna.mutes("microphone");
  await ben.isToldOfTrack(anna, "microphone", { muted: true });
  const news = (await anna.news()).filter((line) => line.endsWith("Ben"));
  assert.deepEqual(news, ["connected Ben", "reconnecting Ben", "connected Ben"]);
});

scenario("what happened while the socket was broken is known after resuming", async (world) => {
  const relay = await world.relay();
  const anna = await world.enters("Anna");
  const ben = await world.enters("Ben", { origin: relay.origin });
  await allSeeAndHearAll([anna, ben]);

  relay.cut();
  await anna.isToldOf(ben, "reconnecting");
  await anna.mutes("camera");
  const cleo = await world.enters("Cleo");
  relay.mend();

  await ben.isToldOfTrack(anna, "camera", { muted: true });
  await ben.seesAndHears(cleo);
  await cleo.seesAndHears(ben);
  await ben.seesNothingNewOf(anna);
});

scenario("when the server is killed and started again, everyone comes back alone", async (world) => {
  const anna = await world.enters("Anna");
  const ben = await world.enters("Ben");
  await allSeeAndHearAll([anna, ben]);
  await world.server.kill("SIGKILL");
  await Promise.all([anna, ben].map((person) => person.isIn("reconnecting")));
  await world.server.start();
  await Promise.all([anna, ben].map((person) => person.isIn("connected")));
  await allSeeAndHearAll([anna, ben]);
});

scenario("a server that is told to stop says goodbye, and its clients rejoin the next", async (world) => {
  const anna = await world.enters("Anna");
  const ben = await world.enters("Ben");
  await allSeeAndHearAll([anna, ben]);
  const begun = Date.now();
  assert.equal(await world.server.kill("SIGTERM"), 0);
  assert.ok(Date.now() - begun < 4_000, `it took ${Date.now() - begun} ms to stop`);
  await world.server.start();
  await Promise.all([anna, ben].map((person) => person.isIn("connected")));
  await allSeeAndHearAll([anna, ben]);
});
