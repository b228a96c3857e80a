// Somebody shares a slide that never moves: it is sharp, costs next to nothing, and is there for whoever comes later.
import { setTimeout as sleep } from "node:timers/promises";
import { eventually } from "../harness/eventually.js";
import { scenario } from "../harness/scenario.js";

const WATCHER = { camera: null, microphone: null };
const WIDTH = 1280;
/**
 * A browser sends the largest encoding once it has found out that the way up carries it, and a slide gives it little to find
 * that out with.
 */
const PATIENTLY = { within: 90_000 };
/** A slide that has been seen once takes less than this, bytes a second. */
const NEXT_TO_NOTHING = 10_000;

scenario("a slide is shared sharply, takes few bytes, and whoever joins later sees it at once", async (world) => {
  const ben = await world.visits("Ben", `${world.server.origin}/#room=${world.room}`);
  await ben.joins();
  await ben.isInCall();
  const anna = await world.enters("Anna", WATCHER);
  await ben.sharesSlide();
  await anna.isToldOfTrack(ben, "screen", { status: "live" });
  await anna.showsInTile(ben, 720, "screen");
  await anna.readsSlide(ben, WIDTH, PATIENTLY);
  await eventually("the slide takes few bytes", async () => {
    const before = await anna.receptionOf(ben, "screen");
    await sleep(1000);
    const after = await anna.receptionOf(ben, "screen");
    const bytes = after.bytesReceived - before.bytesReceived;
    return bytes < NEXT_TO_NOTHING || { bytes };
  });

  const cleo = await world.enters("Cleo", WATCHER);
  await cleo.isToldOfTrack(ben, "screen", { status: "live" });
  await cleo.showsInTile(ben, 720, "screen");
  await Promise.all([cleo, anna].map((viewer) => viewer.readsSlide(ben, WIDTH, PATIENTLY)));
});
