// Messages between pages on data channels, and by signalling where there are none.
import assert from "node:assert/strict";
import { eventually } from "../harness/eventually.js";
import { scenario } from "../harness/scenario.js";

/** Firefox has no loopback candidates: the server must be reachable at an address of an interface too. */
const EVERYWHERE = { host: "[::]" };
const SILENT = { camera: null, microphone: null };
const OPEN = ["reliable open", "lossy open"];
/** More than signalling takes, and less than a data channel. */
const LARGE = 200_000;

for (const browser of ["chromium", "firefox"]) {
  scenario(`text, bytes and what may be lost go between Chromium and ${browser}, also to who comes later`, async (world) => {
    const anna = await world.enters("Anna", SILENT);
    const ben = await world.enters("Ben", { browser, ...SILENT });
    for (const person of [anna, ben]) await person.hasChannels(...OPEN);

    await anna.says("chat", { text: "hello" });
    await ben.isTold({ from: "Anna", topic: "chat", payload: { text: "hello" } });
    await ben.says("chat", "welcome", { to: ["Anna"] });
    await anna.isTold({ from: "Ben", topic: "chat", payload: "welcome" });

    for (const [from, to] of [[anna, ben], [ben, anna]]) {
      const payload = await from.says("file", null, { bytes: LARGE });
      await to.isTold({ from: from.name, topic: "file", payload });
    }

    for (let number = 0; number < 50; number++) await ben.says("points", { number }, { lossy: true });
    await eventually("most of the points come", async () => {
      const { length } = await anna.messages("points");
      return length >= 40 || length;
    });

    const cleo = await world.enters("Cleo", SILENT);
    await cleo.hasChannels(...OPEN);
    await anna.says("chat", "to all");
    for (const person of [ben, cleo]) await person.isTold({ from: "Anna", topic: "chat", payload: "to all" });
    await cleo.says("chat", "to Ben", { to: ["Ben"] });
    await ben.isTold({ from: "Cleo", topic: "chat", payload: "to Ben" });
    assert.deepEqual((await anna.messages("chat")).map(({ payload }) => payload), ["welcome"]);
  }, EVERYWHERE);
}

scenario("a page's own channel leads to the channels of that label, in Chromium and Firefox", async (world) => {
  const anna = await world.enters("Anna", SILENT);
  const ben = await world.enters("Ben", { browser: "firefox", ...SILENT });
  const cleo = await world.enters("Cleo", SILENT);
  for (const person of [anna, ben, cleo]) await person.hasChannels(...OPEN);
  for (const person of [anna, ben]) await person.opensChannel("board", { ordered: false, maxPacketLifeTime: 500 });
  await anna.saysOn("board", "a line");
  await ben.isTold({ topic: "board", payload: "a line" });
  await ben.saysOn("board", "a circle");
  await anna.isTold({ topic: "board", payload: "a circle" });
  assert.deepEqual(await cleo.messages("board"), []);
}, EVERYWHERE);

scenario(
  "where the operator wants no data channels messages go by signalling",
  async (world) => {
    const anna = await world.enters("Anna", SILENT);
    const ben = await world.enters("Ben", SILENT);
    await anna.says("chat", "hello");
    await ben.isTold({ from: "Anna", topic: "chat", payload: "hello" });
    const payload = await ben.says("file", null, { bytes: 10_000, lossy: true });
    await anna.isTold({ from: "Ben", topic: "file", payload });
    await assert.rejects(anna.says("file", null, { bytes: LARGE }), /16384/);
  },
  { config: { media: { data_channels: false } } },
);
