// What befalls a call while it moves between straight and the server, and what has to survive a move. These take longer than
// what is run with every change: `npm run test:moves`.
import assert from "node:assert/strict";
import { movingBy } from "../harness/moving.js";
import { allSeeAndHearAll, scenario } from "../harness/scenario.js";

const MESH = movingBy("gradual");
const SMALL = { width: 160, height: 90, fps: 8 };
const QUIET = { camera: null, microphone: null };
/** What is missing of a picture while its way changes: it stands still until the first frame of the new way is there. */
const PICTURE_STANDS_MS = 1_500;
/** How much the loudness of what is heard may differ. */
const ABOUT = 0.15;

const everybody = (people, task) => Promise.all(people.map(task));
const allGo = (people, way, options) => everybody(people, (person) => person.goes(way, options));

/** Two whose call goes straight, and a third who says nothing and brings it to the server by coming. */
const pair = async (world, { first = "enters", ...options } = {}) => {
  const anna = await world[first]("Anna", { camera: SMALL, ...options });
  const ben = await world.enters("Ben", { camera: SMALL });
  const comer = await world.arrives("Cleo");
  await allGo([anna, ben], "p2p");
  await allSeeAndHearAll([anna, ben]);
  return { anna, ben, comer, comes: () => comer.join({ room: world.room, ...QUIET }) };
};

scenario(
  "a network that is cut in mid-move, to the server and back, and mended",
  async (world) => {
    const firewall = world.firewall();
    const anna = await world.entersBehind(firewall, "Anna", { camera: null });
    const ben = await world.enters("Ben", { camera: null });
    const both = [anna, ben];
    const comer = await world.arrives("Cleo");
    const hear = () => Promise.all([anna.hears(ben), ben.hears(anna)]);
    await allGo(both, "p2p");
    await hear();

    const coming = comer.join({ room: world.room, ...QUIET });
    await anna.goes("moving", { every: 10 });
    firewall.dropsAll();
    await coming;
    await ben.hearsSilenceFrom(anna);
    firewall.letsAllThrough();
    await allGo(both, "sfu");
    await hear();

    await comer.leaves();
    await ben.goes("moving", { every: 10 });
    firewall.dropsAll();
    await ben.hearsSilenceFrom(anna);
    firewall.letsAllThrough();
    await allGo(both, "p2p");
    await hear();
  },
  { config: MESH, host: "0.0.0.0" },
);

scenario(
  "a phone that falls asleep in mid-move, and wakes",
  async (world) => {
    const { anna, ben, comes, comer } = await pair(world, { first: "entersListening" });
    const coming = comes();
    await anna.goes("moving", { every: 10 });
    await anna.sleeps();
    await coming;
    await ben.hearsSilenceFrom(anna);
    await anna.sleeps(false);
    await allGo([anna, ben, comer], "sfu");
    await allSeeAndHearAll([anna, ben]);
    // And over a whole move: the others wait for no one who is away.
    await anna.sleeps();
    await ben.hearsSilenceFrom(anna);
    await comer.leaves();
    await ben.isToldOf(anna, "reconnecting", { within: 60_000 });
    await ben.goes("p2p", { within: 60_000 });
    await anna.sleeps(false);
    await allGo([anna, ben], "p2p");
    await allSeeAndHearAll([anna, ben]);
  },
  // A phone is missed sooner than by the usual settings.
  { config: { ...MESH, signalling: { idle_timeout: 6, ping_interval: 2 } } },
);

scenario(
  "whoever leaves in mid-move ends both ways, and one of two tabs takes nothing from the other",
  async (world) => {
    const { anna, ben, comes } = await pair(world);
    // The same person once more, in another tab.
    const tab = await world.arrives("Anna's tab");
    const coming = comes();
    await anna.goes("moving", { every: 10 });
    const inTab = tab.join({ room: world.room, camera: null });
    await anna.leaves();
    await anna.hasConnections({ toServer: 0, straight: 0 });
    await Promise.all([coming, inTab]);
    await ben.isToldOf(anna, null);
    await allGo([ben, tab], "sfu");
    await Promise.all([ben.hears(tab), tab.hears(ben)]);
    assert.deepEqual((await ben.trackNumbers()).filter((track) => track.startsWith("Anna ")), []);
  },
  { config: MESH },
);

scenario(
  "mute, another microphone and camera, a screen and volumes hold across moves, and pictures never vanish",
  async (world) => {
    const { anna, ben, comer, comes } = await pair(world, { first: "entersListening" });
    const loudness = async () => {
      await anna.listens();
      const { Ben: so } = await anna.packets();
      await anna.receives(ben, so + 150);
      return (await anna.heard()).loudness;
    };
    const plain = await loudness();
    await anna.setsVolume(ben, 2);
    const before = await loudness();
    assert.ok(Math.abs(before / plain / 2 - 1) < ABOUT, `${plain}, and ${before} when it is to be twice as loud`);
    await anna.notesGaps(ben);

    const coming = comes();
    await anna.goes("moving", { every: 10 });
    await ben.takesAnother("microphone", { hz: 1_540 });
    await anna.mutes("camera");
    await coming;
    await allGo([anna, ben], "sfu");
    await anna.seesAndHears(ben);
    await ben.isToldOfTrack(anna, "camera", { muted: true });
    assert.ok((await anna.longestGap()) < PICTURE_STANDS_MS, `the picture stood still for ${await anna.longestGap()} ms`);
    await anna.hasConnections({ toServer: 1, straight: 0 });
    const onServer = await loudness();
    assert.ok(Math.abs(onServer / before - 1) < ABOUT, `${before} before, ${onServer} by the server`);

    await comer.leaves();
    await anna.goes("moving", { every: 10 });
    await ben.takesAnother("camera", { colour: "purple" });
    await ben.sharesScreen("white");
    await anna.unmutes("camera");
    await allGo([anna, ben], "p2p");
    await Promise.all([anna.seesAndHears(ben), anna.sees(ben, { source: "screen", colour: "white" }), ben.sees(anna)]);
    assert.ok((await anna.longestGap()) < PICTURE_STANDS_MS, `the picture stood still for ${await anna.longestGap()} ms`);
    await anna.hasConnections({ toServer: 0, straight: 1 });
    const back = await loudness();
    assert.ok(Math.abs(back / before - 1) < ABOUT, `${before} before, ${back} straight again`);

    await ben.mutes("microphone");
    await anna.hearsSilenceFrom(ben);
    await ben.stopsSharingScreen();
    await comes();
    await allGo([anna, ben], "sfu");
    await anna.hearsSilenceFrom(ben);
    await ben.unmutes("microphone");
    await anna.seesAndHears(ben);
  },
  { config: MESH },
);

scenario(
  "a key that is held is heard through moves, and no longer when it is let go; a voice opens the microphone after them",
  async (world) => {
    const anna = await world.visits("Anna");
    const link = await anna.createsRoom();
    const ben = await world.visits("Ben", link);
    await ben.joins();
    world.room = new URL(link).hash.replace("#room=", "");
    const comer = await world.arrives("Cleo");
    await everybody([anna, ben], (visitor) => visitor.isMarked("Direct"));
    await anna.chooses("When you are heard", "While I hold a key (push to talk)");
    await ben.hearsNoBeep(anna);
    const { keyboard } = anna.page.driver;

    await keyboard.down("Space");
    await ben.hearsBeep(anna);
    await comer.join({ room: world.room, ...QUIET });
    await ben.isMarked("Server");
    await ben.hearsBeep(anna);
    await keyboard.up("Space");
    await ben.hearsNoBeep(anna);
    await keyboard.down("Space");
    await ben.hearsBeep(anna);
    await comer.leaves();
    await anna.reads("Optimizing connection...", { every: 20 });
    await keyboard.up("Space");
    await ben.isMarked("Direct");
    await ben.hearsNoBeep(anna);

    // The fake microphone's beeps are loud enough for a voice.
    await anna.chooses("When you are heard", "When I speak");
    await ben.hearsBeep(anna);
    await comer.join({ room: world.room, ...QUIET });
    await ben.isMarked("Server");
    await ben.hearsBeep(anna);
  },
  { config: MESH },
);
