// Calls that go straight while they are small, and move to the server and back without anybody noticing.
import assert from "node:assert/strict";
import { loadavg } from "node:os";
import { faultsOf, Moving, movingBy, told, UNNOTICED_MS } from "../harness/moving.js";
import { allSeeAndHearAll, scenario } from "../harness/scenario.js";

/** Four people are many, and two are few. A machine that is busy looks like a network that is full, which is no matter here. */
const MESH = {
  mesh: { mode: "auto", up: 4, down: 2, warm: 4, cooldown: 1 },
  media: { layer_policy: "wishes" },
};
const SMALL = { width: 160, height: 90, fps: 8 };
/** How soon everybody is told that a move is over (R-TST-06). */
const MOVES_WITHIN = 2_000;

const report = (...words) => console.log("#", ...words);
const everybody = (people, task) => Promise.all(people.map(task));

const allHearAll = (people) =>
  everybody(people, async (one) => {
    for (const other of people) if (other !== one) await one.hears(other);
  });

/** All are told soon that the call goes that way. */
const allAreTold = async (people, way) => {
  const began = Date.now();
  await everybody(people, (person) => person.goes(way, { every: 20, within: MOVES_WITHIN }));
  report(`${way} after ${Date.now() - began} ms; load ${loadavg()[0]}`);
};

scenario(
  "three people go straight, a fourth brings the server, two go straight again, and four by the server: all are told in 2 s",
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

    const dan = await world.arrives("Dan");
    const comes = (person) => person.join({ room: world.room, camera: null });
    await comes(dan);
    await allAreTold([...three, dan], "sfu");
    await allHearAndSee([...three, dan]);
    await anna.mutes("microphone");
    await ben.isToldOfTrack(anna, "microphone", { muted: true });

    await everybody([dan, cleo], (person) => person.leaves());
    await allAreTold([anna, ben], "p2p");
    await ben.isToldOfTrack(anna, "microphone", { muted: true });
    await anna.unmutes("microphone");
    await everybody([anna, ben], (person) => person.hasConnections({ toServer: 0, straight: 1 }));
    await allHearAndSee([anna, ben]);

    await comes(cleo);
    await everybody([anna, ben, cleo], (person) => person.goes("p2p"));
    await comes(dan);
    await allAreTold([...three, dan], "sfu");
    await allHearAndSee([...three, dan]);

    const ofBen = (list) => list.filter((track) => track.startsWith("Ben"));
    assert.deepEqual(ofBen(await anna.trackNumbers()), ofBen(tracks), "the same tracks all along");
  },
  { config: MESH },
);

scenario(
  "nothing is missing of what is played, and nothing is played twice, while the call moves to the server and back",
  async (world) => {
    const moving = await Moving.begins(world, "gradual");
    for (const way of ["up", "back"]) {
      const move = await moving[way]();
      report(way, told(move));
      assert.deepEqual(faultsOf(move), [], way);
    }
  },
  { config: movingBy("gradual") },
);

scenario(
  "a call that breaks before it makes is heard to do so",
  async (world) => {
    const moving = await Moving.begins(world, "hard");
    const move = await moving.up();
    report("with a hard cut", told(move));
    assert.ok(move.gapMs > UNNOTICED_MS, "the ear is deaf to breaks");
    assert.notDeepEqual(faultsOf(move), []);
  },
  { config: movingBy("hard") },
);

scenario(
  "a Firefox and a Chromium go to the server and back together, and see and hear each other by every way",
  async (world) => {
    const fox = await world.enters("Fox", { browser: "firefox", camera: SMALL });
    const anna = await world.enters("Anna", { camera: SMALL });
    const both = [fox, anna];
    const comer = await world.arrives("Cleo");
    await everybody(both, (person) => person.goes("p2p"));
    await allSeeAndHearAll(both);
    const tracks = await fox.trackNumbers();
    await comer.join({ room: world.room, camera: null, microphone: null });
    await allAreTold(both, "sfu");
    await everybody(both, (person) => person.hasConnections({ toServer: 1, straight: 0 }));
    await allSeeAndHearAll(both);
    await comer.leaves();
    await allAreTold(both, "p2p");
    await everybody(both, (person) => person.hasConnections({ toServer: 0, straight: 1 }));
    await allSeeAndHearAll(both);
    assert.deepEqual(await fox.trackNumbers(), tracks);
  },
  // Firefox has no loopback candidates.
  { config: movingBy("gradual"), host: "[::]" },
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
  "a tab that dies, somebody who comes, and a server that is killed in mid-move: who is left hears each other",
  async (world) => {
    const quiet = { camera: null };
    const people = [];
    for (const name of ["Anna", "Ben", "Cleo"]) people.push(await world.enters(name, quiet));
    const [anna, ben, cleo] = people;
    await everybody(people, (person) => person.goes("p2p"));
    await Promise.all([anna.hears(ben), ben.hears(anna)]);
    const [dan, eva] = await everybody(["Dan", "Eva"], (name) => world.arrives(name));
    const comes = (person) => person.join({ room: world.room, ...quiet });

    const arriving = comes(dan);
    await anna.goes("moving", { every: 10 });
    await Promise.all([cleo.crashes(), comes(eva), arriving]);
    const four = [anna, ben, dan, eva];
    await everybody(four, (person) => person.goes("sfu"));
    await allHearAll(four);

    await everybody([dan, eva], (person) => person.leaves());
    await anna.goes("moving", { every: 10 });
    await world.server.kill("SIGKILL");
    await everybody([anna, ben], (person) => person.isIn("reconnecting"));
    await world.server.start();
    await everybody([anna, ben], (person) => person.isIn("connected"));
    await everybody([anna, ben], (person) => person.goes("p2p"));
    await allHearAll([anna, ben]);
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
  { config: movingBy("gradual") },
);
