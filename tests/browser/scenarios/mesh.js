// Calls that go straight while they are small, and move to the server and back without anybody noticing.
import assert from "node:assert/strict";
import { scenario } from "../harness/scenario.js";

/** Four people are many, and two are few. A machine that is busy looks like a network that is full, which is no matter here. */
const MESH = {
  mesh: { mode: "auto", up: 4, down: 2, warm: 4, cooldown: 1 },
  media: { layer_policy: "wishes" },
};
const SMALL = { width: 160, height: 90, fps: 8 };
/** How long a move may take: two seconds (R-TST-06), and as much again for the browsers of four people on one machine. */
const MOVES_WITHIN = 4_000;
/** A break in sound that nobody notices. */
const UNNOTICED_MS = 20;

const report = (...words) => console.log("#", ...words);
const everybody = (people, task) => Promise.all(people.map(task));

scenario(
  "three people go straight, a fourth brings the server, and when two are left they go straight again",
  async (world) => {
    const anna = await world.enters("Anna", { camera: SMALL });
    const ben = await world.enters("Ben", { camera: null, microphone: { noise: true } });
    const cleo = await world.enters("Cleo", { camera: null });
    const three = [anna, ben, cleo];
    // Each is heard by all, and Anna is seen.
    const allHearAndSee = (people) =>
      everybody(people, async (one) => {
        for (const other of people) if (other !== one) await one.hears(other);
        if (one !== anna) await one.sees(anna);
      });
    await everybody(three, (person) => person.goes("p2p"));
    await allHearAndSee(three);
    await everybody(three, (person) => person.hasConnections({ toServer: 0, straight: 2 }));
    const tracks = await anna.trackNumbers();

    const dan = await world.enters("Dan", { camera: null });
    const joined = Date.now();
    await everybody([...three, dan], (person) => person.goes("sfu", { every: 20, within: MOVES_WITHIN }));
    report("to the server after", Date.now() - joined, "ms");
    await allHearAndSee([...three, dan]);
    await anna.mutes("microphone");
    await ben.isToldOfTrack(anna, "microphone", { muted: true });

    await dan.leaves();
    await cleo.leaves();
    const left = Date.now();
    await everybody([anna, ben], (person) => person.goes("p2p", { every: 20 }));
    report("and back after", Date.now() - left, "ms");
    await ben.isToldOfTrack(anna, "microphone", { muted: true });
    await anna.unmutes("microphone");
    await allHearAndSee([anna, ben]);
    await everybody([anna, ben], (person) => person.hasConnections({ toServer: 0, straight: 1 }));
    await allHearAndSee([anna, ben]);

    const ofBen = (list) => list.filter((track) => track.startsWith("Ben"));
    assert.deepEqual(ofBen(await anna.trackNumbers()), ofBen(tracks), "the same tracks all along");
  },
  { config: MESH },
);

/** Anna hears Ben while a third person, who says nothing, brings the call to the server and leaves it again. */
const hearsThrough = async (world) => {
  const anna = await world.enters("Anna", { camera: null });
  const ben = await world.enters("Ben", { camera: null, microphone: { noise: true } });
  await everybody([anna, ben], (person) => person.goes("p2p"));
  await anna.hears(ben);
  await anna.listens();
  const cleo = await world.enters("Cleo", { camera: null, microphone: null });
  await everybody([anna, ben], (person) => person.goes("sfu", { every: 20 }));
  await anna.hears(ben);
  await cleo.leaves();
  await everybody([anna, ben], (person) => person.goes("p2p", { every: 20 }));
  await anna.hasConnections({ toServer: 0, straight: 1 });
  await anna.hears(ben);
  return anna.continuityOf(ben);
};
const SMALLER = { ...MESH, mesh: { ...MESH.mesh, up: 3, warm: 3 } };

scenario(
  "in every hundredth of a second somebody is heard, while the call moves to the server and back",
  async (world) => {
    const heard = await hearsThrough(world);
    report("Anna heard Ben:", JSON.stringify(heard));
    assert.ok(heard.changes >= 2, "straight, by the server, and straight again");
    // A machine that drops as much without any move has no part of it from the move.
    const most = Math.max(UNNOTICED_MS, heard.elsewhereMs);
    assert.ok(heard.longestGapMs <= most, `Anna missed ${heard.longestGapMs} ms of Ben`);
  },
  { config: SMALLER },
);

scenario(
  "a call that breaks before it makes is heard to do so",
  async (world) => {
    const heard = await hearsThrough(world);
    report("with a hard cut Anna heard Ben:", JSON.stringify(heard));
    assert.ok(heard.longestGapMs > UNNOTICED_MS, "the ear is deaf to breaks");
  },
  { config: { ...SMALLER, mesh: { ...SMALLER.mesh, strategy: "hard" } } },
);

scenario(
  "whoever cannot be reached straight is heard by the server, and so is everybody else",
  async (world) => {
    const anna = await world.enters("Anna", { camera: null });
    await anna.goes("p2p");
    const ben = await world.enters("Ben", { camera: null, isUnreachable: true });
    await everybody([anna, ben], (person) => person.goes("sfu", { within: 20_000 }));
    await Promise.all([anna.hears(ben), ben.hears(anna)]);
  },
  { config: MESH },
);

scenario(
  "a tab that dies and a server that is killed in mid-move: who is left hears each other",
  async (world) => {
    const quiet = { camera: null };
    const people = [];
    for (const name of ["Anna", "Ben", "Cleo"]) people.push(await world.enters(name, quiet));
    const [anna, ben, cleo] = people;
    await everybody(people, (person) => person.goes("p2p"));
    await Promise.all([anna.hears(ben), ben.hears(anna)]);

    const arriving = world.enters("Dan", quiet);
    await anna.goes("moving", { every: 10 });
    await cleo.crashes();
    const dan = await arriving;
    await everybody([anna, ben, dan], (person) => person.goes("sfu"));
    await Promise.all([anna.hears(ben), ben.hears(anna), dan.hears(anna), anna.hears(dan)]);

    await world.server.kill("SIGKILL");
    await everybody([anna, ben, dan], (person) => person.isIn("reconnecting"));
    await world.server.start();
    await everybody([anna, ben, dan], (person) => person.isIn("connected"));
    await Promise.all([anna.hears(ben), ben.hears(anna), dan.hears(anna), anna.hears(dan)]);
  },
  { config: MESH },
);

scenario(
  "the page says how the call travels, before and while it moves",
  async (world) => {
    const anna = await world.visits("Anna");
    await anna.reads("the others in the call can see your network address");
    const link = await anna.createsRoom();
    await anna.isMarked("Direct");
    world.room = new URL(link).hash.replace("#room=", "");
    const ben = await world.enters("Ben", { camera: null });
    await anna.hears(ben);
    await anna.isMarked("Direct");
    const cleo = await world.enters("Cleo", { camera: null, microphone: null });
    await anna.reads("Upgrading connection...", { every: 20 });
    await anna.isMarked("Server");
    await anna.hears(ben);
    await cleo.leaves();
    await anna.reads("Optimizing connection...", { every: 20 });
    await anna.isMarked("Direct");
    await anna.hears(ben);
  },
  { config: SMALLER },
);
