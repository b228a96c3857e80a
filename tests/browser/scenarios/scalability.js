// Layers inside one stream: whoever needs fewer pictures or smaller ones gets no others, and sees no break.
import assert from "node:assert/strict";
import { eventually } from "../harness/eventually.js";
import { scenario } from "../harness/scenario.js";

const WATCHER = { camera: null, microphone: null };

/** Ben publishes his camera, and the others watch it. */
async function watching(world, camera, names) {
  const ben = await world.enters("Ben", { camera, microphone: null });
  const watchers = [];
  for (const name of names) {
    const watcher = await world.enters(name, WATCHER);
    await watcher.isToldOfTrack(ben, "camera", { status: "live" });
    watchers.push(watcher);
  }
  return [ben, ...watchers];
}

for (const videoCodec of ["VP8", "VP9", "H264", "AV1"]) {
  scenario(`of ${videoCodec} in three temporal layers somebody gets seven pictures a second, or more`, async (world) => {
    const camera = { width: 640, height: 360, fps: 24, videoCodec, scalabilityMode: "L1T3" };
    const [ben, anna, cleo] = await watching(world, camera, ["Anna", "Cleo"]);
    const rates = async (others) => {
      const [few, all] = await Promise.all([anna.receptionOf(ben), cleo.receptionOf(ben)]);
      return others(few.framesPerSecond, all.framesPerSecond) || [few.framesPerSecond, all.framesPerSecond];
    };
    await eventually("everybody gets all pictures", () => rates((few, all) => few > 9 && all > 9));
    const before = await anna.receptionOf(ben);
    await anna.prefers(ben, { frameRate: 7 });
    await eventually("Anna gets a few", () => rates((few, all) => few > 0 && few <= 9 && all > 9));
    await anna.sees(ben);
    const after = await anna.receptionOf(ben);
    assert.equal(after.freezeCount, before.freezeCount, "without a freeze");
    assert.equal(after.nackCount, before.nackCount, "and nothing seems to be lost");
    await anna.prefers(ben, {});
    await eventually("and all again", () => rates((few, all) => few > 9 && all > 9));
    const last = await anna.receptionOf(ben);
    assert.deepEqual([last.freezeCount, last.pliCount], [after.freezeCount, after.pliCount], "without asking for a key frame");
  });
}

for (const [videoCodec, scalabilityMode] of [
  ["VP9", "L3T3_KEY"],
  ["VP9", "L3T3"],
  ["AV1", "L3T3"],
  ["AV1", "L3T3_KEY"],
]) {
  scenario(`of ${videoCodec} as ${scalabilityMode} everybody gets the size that fits their tile`, async (world) => {
    const camera = { width: 1280, height: 720, fps: 12, videoCodec, scalabilityMode, maxBitrate: 3_000_000 };
    const [ben, anna, cleo] = await watching(world, camera, ["Anna", "Cleo"]);
    await Promise.all([anna.showsInTile(ben, 180), cleo.showsInTile(ben, 720)]);
    const small = await anna.getsWidth(ben, 320);
    await cleo.getsWidth(ben, 1280);
    await Promise.all([anna.sees(ben), cleo.sees(ben)]);

    await anna.showsInTile(ben, 360);
    const medium = await anna.getsWidth(ben, 640);
    assert.equal(medium.freezeCount, small.freezeCount, "no freeze at the change");
    await anna.showsInTile(ben, 720);
    await anna.getsWidth(ben, 1280);
    await anna.showsInTile(ben, 180);
    await anna.getsWidth(ben, 320);
    await Promise.all([anna.sees(ben), cleo.sees(ben)]);
  });
}
