// Somebody's network carries less than the others send: they get what it carries, and sound before pictures.
import assert from "node:assert/strict";
import { eventually } from "../harness/eventually.js";
import { scenario } from "../harness/scenario.js";

const CAMERA = { simulcast: true, width: 1280, height: 720, fps: 12 };
/** A step up is tried before it is made, and the tries become rarer. */
const PATIENTLY = { within: 90_000 };

const isShown = (viewer, other, what, is) =>
  eventually(
    what,
    async () => {
      const { frameWidth, framesDecoded } = await viewer.receptionOf(other);
      return is(frameWidth) || { frameWidth, framesDecoded };
    },
    PATIENTLY,
  );

scenario(
  "on a narrow way the picture gets smaller and the sound stays, and on a wide one the large picture is back",
  async (world) => {
    const firewall = world.firewall();
    const ben = await world.enters("Ben", { camera: CAMERA });
    const anna = await world.entersBehind(firewall, "Anna", { camera: null, microphone: null });
    await anna.isToldOfTrack(ben, "camera", { status: "live" });
    await anna.showsInTile(ben, 720);
    await isShown(anna, ben, "the large picture is shown on a wide way", (width) => width === 1280);
    await anna.hears(ben);

    // The picture is made by a page, and so plain that the largest encoding takes less than a tenth of what a camera's would.
    firewall.narrowsTo(110);
    await isShown(anna, ben, "a smaller picture is shown on a narrow way", (width) => width < 1280);
    const concealed = await anna.concealmentOf(ben, 10_000);
    assert(concealed < 0.05, `${concealed} of what was played was made up`);
    await anna.hears(ben);

    firewall.widens();
    await isShown(anna, ben, "the large picture is back", (width) => width === 1280);
    await anna.sees(ben);
  },
  { host: "0.0.0.0" },
);
