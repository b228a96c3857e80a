// Who is let in, and how many: a foreign page, a full room, more people than slots.
import assert from "node:assert/strict";
import { createServer } from "node:http";
import { once } from "node:events";
import { launchChromium } from "../harness/browsers.js";
import { allSeeAndHearAll, scenario } from "../harness/scenario.js";

/** Opens a WebSocket to the server from whatever page it is; answers whether it opened. */
const knocks = (person, port) =>
  person.page.evaluate(
    (url) =>
      new Promise((resolve) => {
        const socket = new WebSocket(url);
        socket.onopen = () => (socket.close(), resolve("opened"));
        socket.onerror = () => resolve("refused");
      }),
    `ws://127.0.0.1:${port}/ws`,
  );

scenario("a page of another origin is refused a socket, the own page is not", async (world) => {
  const { port } = world.server;
  const foreign = createServer((_, response) => response.end("<!doctype html><title>foreign</title>"));
  foreign.listen(0, "127.0.0.1");
  await once(foreign, "listening");
  try {
    const mallory = await world.arrives("Mallory", { origin: `http://127.0.0.1:${foreign.address().port}` });
    assert.equal(await knocks(mallory, port), "refused");
    const anna = await world.arrives("Anna");
    assert.equal(await knocks(anna, port), "opened");
  } finally {
    foreign.closeAllConnections();
    foreign.close();
  }
});

scenario(
  "into a full room nobody else comes, until somebody leaves",
  async (world) => {
    const anna = await world.enters("Anna");
    const ben = await world.enters("Ben");
    await allSeeAndHearAll([anna, ben]);
    const cleo = await world.arrives("Cleo");
    assert.equal(await cleo.isRefused({ room: world.room }), "room-full");
    await ben.leaves();
    await anna.isToldOf(ben, null);
    await cleo.join({ room: world.room });
    await allSeeAndHearAll([anna, cleo]);
  },
  { config: { rooms: { max_participants: 2 } } },
);

scenario(
  "with more people than slots, the server asks for more slots and all are seen and heard",
  async (world) => {
    const people = [];
    for (const name of ["Anna", "Ben", "Cleo", "Dan"]) people.push(await world.enters(name, { camera: { fps: 10 } }));
    await allSeeAndHearAll(people);
  },
  { config: { media: { audio_slots: 1, video_slots: 1 } } },
);

scenario(
  "when there are no more slots, a picture waits until one is free",
  async (world) => {
    const anna = await world.enters("Anna");
    const ben = await world.enters("Ben");
    const cleo = await world.enters("Cleo", { camera: null, microphone: null });
    await Promise.all([cleo.seesAndHears(anna), cleo.hears(ben)]);
    await cleo.isToldOfTrack(ben, "camera", { status: "waiting" });
    await anna.leaves();
    await cleo.seesAndHears(ben);
  },
  { config: { media: { video_slots: 1, max_video_slots: 1 } } },
);

scenario(
  "whoever comes to an open server by a public name reads in bold that anybody can join, before the call and in it",
  async (world) => {
    const browser = await launchChromium({ flags: ["--host-resolver-rules=MAP call.example 127.0.0.1"] });
    try {
      const warning = (visitor, screen) => visitor.page.driver.getByTestId(screen).locator("strong");
      const home = await world.visits("Anna", `${world.server.origin}/`);
      await home.reads("Join a call");
      await home.finds(warning(home, "lobby-open-warning"), false);

      const anna = await world.visits("Anna", `http://call.example:${world.server.port}/`, { browser });
      await anna.finds(warning(anna, "lobby-open-warning"));
      await anna.reads("Anybody who finds this address can join every call here");
      const weight = await warning(anna, "lobby-open-warning").evaluate((element) => getComputedStyle(element).fontWeight);
      assert.ok(Number(weight) >= 700, `it is shown in ${weight}`);
      // Browsers give no devices to a page that came without TLS.
      for (const device of ["lobby-microphone", "lobby-camera"]) await anna.page.driver.getByTestId(device).click();
      await anna.createsRoom();
      await anna.finds(warning(anna, "open-warning"));
    } finally {
      await browser.close();
    }
  },
  { config: { server: { hosts: "call.example" }, tls: { allow_plain_http: true } } },
);
