// Firefox and Chromium in one room.
import assert from "node:assert/strict";
import { allSeeAndHearAll, scenario } from "../harness/scenario.js";

/** Firefox has no loopback candidates: the server must be reachable at an address of an interface too. */
const EVERYWHERE = { host: "[::]" };

scenario(
  "a Firefox and a Chromium hear and see each other, whoever comes first",
  async (world) => {
    const fox = await world.enters("Fox", { browser: "firefox" });
    const anna = await world.enters("Anna");
    await allSeeAndHearAll([fox, anna]);
    await fox.leaves();
    await anna.isToldOf(fox, null);
    await fox.join({ room: world.room });
    await allSeeAndHearAll([fox, anna]);
  },
  EVERYWHERE,
);

scenario(
  "a Firefox and a Chromium send simulcast, and each gets from the other what fits its tile",
  async (world) => {
    const camera = { simulcast: true, width: 1280, height: 720, fps: 12 };
    const fox = await world.enters("Fox", { browser: "firefox", camera, microphone: null });
    const anna = await world.enters("Anna", { camera, microphone: null });
    const pairs = [
      [fox, anna],
      [anna, fox],
    ];
    const both = (task) => Promise.all(pairs.map(([viewer, other]) => task(viewer, other)));
    await both((viewer, other) => viewer.isToldOfTrack(other, "camera", { status: "live" }));
    for (const [height, width] of [
      [180, 320],
      [720, 1280],
      [360, 640],
    ]) {
      await both((viewer, other) => viewer.showsInTile(other, height));
      await both((viewer, other) => viewer.getsWidth(other, width));
      await both((viewer, other) => viewer.sees(other));
    }
  },
  EVERYWHERE,
);

scenario(
  "a Firefox mutes, unmutes, and sees a shared screen",
  async (world) => {
    const fox = await world.enters("Fox", { browser: "firefox" });
    const anna = await world.enters("Anna");
    await allSeeAndHearAll([fox, anna]);
    await fox.mutes("microphone");
    await fox.mutes("camera");
    await Promise.all([anna.hearsSilenceFrom(fox), anna.seesNothingNewOf(fox)]);
    await fox.unmutes("microphone");
    await fox.unmutes("camera");
    await anna.seesAndHears(fox);
    await anna.sharesScreen("yellow");
    await fox.sees(anna, { source: "screen", colour: "yellow" });
  },
  EVERYWHERE,
);

scenario(
  "a Firefox whose socket breaks resumes, and media never stops",
  async (world) => {
    const relay = await world.relay();
    const fox = await world.enters("Fox", { browser: "firefox", origin: relay.origin });
    const anna = await world.enters("Anna");
    await allSeeAndHearAll([fox, anna]);
    const before = await fox.id();
    relay.cut();
    await anna.isToldOf(fox, "reconnecting", { within: 10_000 });
    await allSeeAndHearAll([fox, anna], { within: 10_000 });
    relay.mend();
    await fox.isIn("connected");
    assert.equal(await fox.id(), before);
    await allSeeAndHearAll([fox, anna]);
  },
  EVERYWHERE,
);

scenario(
  "who cannot decode a track is told so, and gets the others",
  async (world) => {
    const fox = await world.enters("Fox", { browser: "firefox", camera: null });
    const offered = await fox.page.evaluate(() => RTCRtpReceiver.getCapabilities("video").codecs.map(({ mimeType }) => mimeType));
    assert.ok(!offered.includes("video/H264"), "this Firefox decodes H.264: the scenario needs another codec");
    const anna = await world.enters("Anna", { camera: { videoCodec: "H264" } });
    const ben = await world.enters("Ben", { camera: { videoCodec: "VP8" } });
    await fox.isToldOfTrack(anna, "camera", { status: "unsupported" });
    await Promise.all([fox.hears(anna), fox.seesAndHears(ben), ben.seesAndHears(anna)]);
  },
  EVERYWHERE,
);
