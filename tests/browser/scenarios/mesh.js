// Calls that go straight while they are small, and move to the server and back without anybody noticing.
import assert from "node:assert/strict";
import { scenario } from "../harness/scenario.js";

/** Four people are many, and two are few. */
const MESH = { mesh: { mode: "auto", up: 4, down: 2, warm: 4, cooldown: 1 } };
const SMALL = { width: 160, height: 90, fps: 8 };
/** How long a move may take in all: what R-TST-06 asks for, on a machine that also runs the browsers. */
const MOVES_WITHIN = 12_000;

/** A break in sound that nobody notices. */
const UNNOTICED_MS = 20;

const report = (...words) => console.log("#", ...words);
const everybody = (people, task) => Promise.all(people.map(task));

scenario(
  "three people go straight, a fourth brings the server, and when two are left they go straight again",
  async (world) => {
    const anna = await world.enters("Anna", { camera: SMALL });
    const ben = await world.enters("Ben", { camera: SMALL, microphone: { noise: true } });
    const cleo = await world.enters("Cleo", { camera: null });
    const three = [anna, ben, cleo];
    const allHearAndSee = (people) => {
      const pairs = people.flatMap((one) => people.filter((other) => other !== one).map((other) => [one, other]));
      const watching = pairs.filter(([, other]) => other === anna || other === ben).map(([one, other]) => one.sees(other));
      return Promise.all([...watching, ...pairs.map(([one, other]) => one.hears(other))]);
    };
    await everybody(three, (person) => person.goes("p2p"));
    await allHearAndSee(three);
    await everybody(three, (person) => person.hasConnections({ toServer: 0, straight: 2 }));
    await anna.listens();
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

    const heard = await anna.continuityOf(ben);
    report("Anna heard Ben:", JSON.stringify(heard));
    assert.ok(heard.ways >= 3, "straight, by the server, and straight again");
    assert.ok(heard.longestGapMs <= UNNOTICED_MS, `Anna missed ${heard.longestGapMs} ms of Ben`);
    const ofBen = (list) => list.filter((track) => track.startsWith("Ben"));
    assert.deepEqual(ofBen(await anna.trackNumbers()), ofBen(tracks), "the same tracks all along");
  },
  { config: MESH },
);

scenario(
  "a call that breaks before it makes is heard to do so",
  async (world) => {
    const anna = await world.enters("Anna", { camera: null });
    const ben = await world.enters("Ben", { camera: null, microphone: { noise: true } });
    await everybody([anna, ben], (person) => person.goes("p2p"));
    await anna.hears(ben);
    await anna.listens();
    await world.enters("Cleo", { camera: null, microphone: null });
    await everybody([anna, ben], (person) => person.goes("sfu", { every: 20 }));
    await anna.hears(ben);
    const heard = await anna.continuityOf(ben);
    report("with a hard cut Anna heard Ben:", JSON.stringify(heard));
    assert.ok(heard.longestGapMs > UNNOTICED_MS, "the ear is deaf to breaks");
  },
  { config: { mesh: { ...MESH.mesh, up: 3, warm: 3, strategy: "hard" } } },
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
  { config: { mesh: { ...MESH.mesh, up: 3, warm: 3 } } },
);
