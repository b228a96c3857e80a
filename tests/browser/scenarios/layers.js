// Simulcast by the SDK: everybody gets the size that they show, and nothing is sent that nobody watches.
import assert from "node:assert/strict";
import { setTimeout as sleep } from "node:timers/promises";
import { eventually } from "../harness/eventually.js";
import { scenario } from "../harness/scenario.js";

const CAMERA = { simulcast: true, width: 1280, height: 720, fps: 12 };
const WATCHER = { camera: null, microphone: null };

for (const videoCodec of ["VP8", "VP9", "H264", "AV1"]) {
  scenario(`of a camera in three encodings of ${videoCodec} everybody gets the one that fits their tile`, async (world) => {
    const ben = await world.enters("Ben", { camera: { ...CAMERA, videoCodec }, microphone: null });
    const anna = await world.enters("Anna", WATCHER);
    const cleo = await world.enters("Cleo", WATCHER);
    for (const viewer of [anna, cleo]) await viewer.isToldOfTrack(ben, "camera", { status: "live" });
    await Promise.all([anna.showsInTile(ben, 180), cleo.showsInTile(ben, 720)]);
    await Promise.all([anna.getsWidth(ben, 320), cleo.getsWidth(ben, 1280)]);
    await Promise.all([anna.sees(ben), cleo.sees(ben)]);
  });
}

scenario("a tile that grows gets a larger picture without a stop, and what nobody watches is not sent", async (world) => {
  const ben = await world.enters("Ben", { camera: CAMERA, microphone: null });
  const anna = await world.enters("Anna", WATCHER);
  await anna.isToldOfTrack(ben, "camera", { status: "live" });
  await anna.showsInTile(ben, 180);
  const small = await anna.getsWidth(ben, 320);
  await anna.sees(ben);

  await anna.showsInTile(ben, 360);
  const medium = await anna.getsWidth(ben, 640);
  assert.equal(medium.freezeCount, small.freezeCount, "no freeze at the change");
  await ben.sendsEncodings("low", "medium");

  await anna.showsInTile(ben, 720);
  await ben.sendsEncodings("high", "low", "medium");
  const large = await anna.getsWidth(ben, 1280);
  assert.equal(large.freezeCount, medium.freezeCount, "nor where the larger one had to be switched on");

  const cleo = await world.enters("Cleo", WATCHER);
  await cleo.isToldOfTrack(ben, "camera", { status: "live" });
  await cleo.showsInTile(ben, 180);
  const late = await cleo.getsWidth(ben, 320);
  await cleo.sees(ben);
  assert.equal(late.freezeCount, 0, "who joins a running call sees it move at once");
  await cleo.leaves();
  await ben.sendsEncodings("high", "low");

  await anna.showsInTile(ben, 180);
  const again = await anna.getsWidth(ben, 320);
  assert.equal(again.freezeCount, large.freezeCount, "nor where it shrinks, or where somebody else comes and goes");
  await ben.sendsEncodings("low");
  await anna.sees(ben);

  await anna.showsInTile(ben, 0);
  await ben.sendsEncodings();
  await eventually("nothing comes any more", async () => {
    const before = await anna.receptionOf(ben);
    await sleep(1000);
    const after = await anna.receptionOf(ben);
    return after.bytesReceived === before.bytesReceived || after.bytesReceived - before.bytesReceived;
  });

  await anna.showsInTile(ben, 180);
  await ben.sendsEncodings("low");
  await anna.sees(ben);
});
