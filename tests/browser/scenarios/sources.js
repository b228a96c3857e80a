// What is sent: a screen beside the camera, every codec, simulcast layers.
import assert from "node:assert/strict";
import { test } from "node:test";
import { openPage } from "../harness/browsers.js";
import { eventually } from "../harness/eventually.js";
import { COLOURS, IDENTITIES } from "../harness/palette.js";
import { allSeeAndHearAll, scenario } from "../harness/scenario.js";

scenario("a shared screen is a source of its own beside the camera, and ends alone", async (world) => {
  const anna = await world.enters("Anna");
  const ben = await world.enters("Ben");
  await anna.seesAndHears(ben);

  await ben.sharesScreen("yellow");
  await Promise.all([anna.sees(ben, { source: "screen", colour: "yellow" }), anna.seesAndHears(ben)]);

  await ben.stopsSharingScreen();
  await anna.isToldOfTrack(ben, "screen", null);
  await anna.seesAndHears(ben);

  await ben.sharesScreen("purple");
  await anna.sees(ben, { source: "screen", colour: "purple" });
});

for (const codec of ["VP8", "VP9", "H264", "AV1"]) {
  scenario(`video in ${codec} is seen by who was there and by who comes later`, async (world) => {
    const camera = { videoCodec: codec };
    const anna = await world.enters("Anna", { camera });
    const ben = await world.enters("Ben", { camera });
    await allSeeAndHearAll([anna, ben]);
    const cleo = await world.enters("Cleo", { camera: null, microphone: null });
    for (const viewer of [ben, cleo]) {
      await viewer.sees(anna);
      assert.equal((await viewer.receptionOf(anna)).codec, `video/${codec}`);
    }
  });
}

test("this Chromium can encode every codec that is tried", { timeout: 60_000 }, async () => {
  const page = await openPage("chromium");
  try {
    const offered = await page.evaluate(() => RTCRtpSender.getCapabilities("video").codecs.map(({ mimeType }) => mimeType));
    for (const codec of ["VP8", "VP9", "H264", "AV1"]) assert.ok(offered.includes(`video/${codec}`), `${codec}: ${offered}`);
  } finally {
    await page.close();
  }
});

scenario("of a camera in three simulcast layers one steady picture is seen", async (world) => {
  const [{ colour }] = IDENTITIES;
  const lena = await world.arrives("Lena", { like: IDENTITIES[0] });
  await lena.page.evaluate((order) => lab.joinWithLayers(order), {
    name: lena.name,
    room: world.room,
    rgb: COLOURS[colour],
  });
  const ben = await world.enters("Ben", { like: IDENTITIES[1] });
  await ben.sees(lena);
  await eventually("Ben gets the middle layer", async () => {
    const { frameWidth, frameHeight } = await ben.receptionOf(lena);
    return (frameWidth === 320 && frameHeight === 180) || { frameWidth, frameHeight };
  });
  await ben.sees(lena);
});
