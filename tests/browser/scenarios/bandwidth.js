// Somebody's network carries less than the others send: they get what it carries, and sound before pictures.
import assert from "node:assert/strict";
import { eventually } from "../harness/eventually.js";
import { scenario } from "../harness/scenario.js";

/** A part of the picture is noise: otherwise the largest encoding would take less than a tenth of what a camera's does. */
const CAMERA = { simulcast: true, width: 1280, height: 720, fps: 12, grain: 0.12 };
const WATCHER = { camera: null, microphone: null };
const EVERYWHERE = { host: "0.0.0.0" };
/** A step up is tried before it is made, and the tries become rarer. */
const PATIENTLY = { within: 90_000 };

const isShown = (viewer, other, what, is) =>
  eventually(
    `${viewer.name}: ${what}`,
    async () => {
      const { frameWidth, framesDecoded } = await viewer.receptionOf(other);
      return is(frameWidth) || { frameWidth, framesDecoded };
    },
    PATIENTLY,
  );

scenario(
  "two behind one narrow line get smaller pictures and keep the sound, and on a wide line both get large ones again",
  async (world) => {
    const firewall = world.firewall();
    const ben = await world.enters("Ben", { camera: CAMERA });
    const both = [];
    for (const name of ["Anna", "Cleo"]) both.push(await world.entersBehind(firewall, name, WATCHER));
    const each = (task) => Promise.all(both.map(task));
    await each((viewer) => viewer.isToldOfTrack(ben, "camera", { status: "live" }));
    await each((viewer) => viewer.showsInTile(ben, 720));
    await each((viewer) => isShown(viewer, ben, "the large picture is shown on a wide line", (width) => width === 1280));
    await each((viewer) => viewer.hears(ben));

    // Twice the sound and the smallest picture, and not twice the next one.
    firewall.narrowsTo(900);
    await each((viewer) => isShown(viewer, ben, "a smaller picture is shown on a narrow line", (width) => width < 1280));
    for (const concealed of await each((viewer) => viewer.concealmentOf(ben, 8_000)))
      assert(concealed < 0.05, `${concealed} of what was played was made up`);
    await each((viewer) => viewer.seesAndHears(ben, PATIENTLY));

    firewall.widens();
    await each((viewer) => isShown(viewer, ben, "the large picture is back", (width) => width === 1280));
    await each((viewer) => viewer.sees(ben));
  },
  EVERYWHERE,
);

scenario(
  "on a line that carries sound alone the page says why there is no picture, and shows it again when it can",
  async (world) => {
    const firewall = world.firewall();
    const ben = await world.enters("Ben", { camera: { ...CAMERA, width: 640, height: 360 } });
    const browser = await firewall.browser();
    const anna = await world.visits("Anna", `${firewall.origin}/#room=${world.room}`, { browser });
    await anna.button("Join without camera").click();
    await anna.joins();
    await anna.isInCall();
    await anna.seesTileMove(ben);
    await anna.hears(ben);

    // The smallest picture takes about twice that.
    firewall.narrowsTo(150);
    await anna.reads("Your network is too slow for this picture just now", PATIENTLY);
    await anna.hears(ben);
    const concealed = await anna.concealmentOf(ben, 5_000);
    assert(concealed < 0.05, `${concealed} of what was played was made up`);

    firewall.widens();
    await anna.seesTileMove(ben, PATIENTLY);
    await anna.hears(ben);
  },
  EVERYWHERE,
);
