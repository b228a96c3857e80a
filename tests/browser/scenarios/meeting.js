// People meet: they come, see and hear each other, go and come back.
import assert from "node:assert/strict";
import { eventually } from "../harness/eventually.js";
import { allSeeAndHearAll, scenario } from "../harness/scenario.js";

scenario("two people hear and see each other", async (world) => {
  const anna = await world.enters("Anna");
  const ben = await world.enters("Ben");
  await allSeeAndHearAll([anna, ben]);
});

scenario("somebody whose browser has an RSA certificate is seen and heard", async (world) => {
  const anna = await world.enters("Anna", { rsaBits: 2048 });
  const ben = await world.enters("Ben", { rsaBits: 4096 });
  const cleo = await world.enters("Cleo");
  await allSeeAndHearAll([anna, ben, cleo]);
});

scenario("five people hear and see each other", async (world) => {
  const camera = { fps: 10 };
  const people = [];
  for (const name of ["Anna", "Ben", "Cleo", "Dan", "Eva"]) people.push(await world.enters(name, { camera }));
  await allSeeAndHearAll(people);
});

scenario("people in different rooms do not meet", async (world) => {
  const anna = await world.enters("Anna");
  world.room = "another-story";
  const ben = await world.enters("Ben");
  const cleo = await world.enters("Cleo");
  await allSeeAndHearAll([ben, cleo]);
  await anna.isToldOf(ben, null);
  await ben.isToldOf(anna, null);
});

scenario("who joins late gets picture and sound at once", async (world) => {
  const anna = await world.enters("Anna");
  const ben = await world.enters("Ben");
  await allSeeAndHearAll([anna, ben]);
  // Encoders make key frames on request only: without one, the picture would never come.
  const cleo = await world.enters("Cleo", { camera: null, microphone: null });
  await Promise.all([anna, ben].map((other) => cleo.seesAndHears(other, { within: 10_000 })));
});

scenario("who leaves is gone at once, and may come back as somebody new", async (world) => {
  const anna = await world.enters("Anna");
  const ben = await world.enters("Ben");
  await allSeeAndHearAll([anna, ben]);
  const before = await ben.id();
  await ben.leaves();
  await anna.isToldOf(ben, null, { within: 10_000 });
  await ben.join({ room: world.room });
  assert.notEqual(await ben.id(), before);
  await allSeeAndHearAll([anna, ben]);
});

scenario("whoever takes a slot that another has left is never shown as the other", async (world) => {
  const anna = await world.enters("Anna");
  const ben = await world.enters("Ben");
  await anna.seesAndHears(ben);
  await ben.leaves();
  await anna.isToldOf(ben, null);
  const cleo = await world.enters("Cleo");
  assert.deepEqual(await anna.firstColoursOf(cleo), [cleo.colour]);
  await anna.hears(cleo);
});

scenario("camera and microphone of one person arrive in one stream, for lip sync", async (world) => {
  const anna = await world.enters("Anna");
  const ben = await world.enters("Ben");
  const cleo = await world.enters("Cleo");
  await allSeeAndHearAll([anna, ben, cleo]);
  const streams = [];
  for (const other of [anna, ben]) {
    const [audio, video] = [await cleo.streamsOf(other, "microphone"), await cleo.streamsOf(other, "camera")];
    assert.equal(audio.length, 1);
    assert.deepEqual(audio, video);
    streams.push(audio[0]);
  }
  assert.notEqual(streams[0], streams[1]);
});

scenario("sound and picture of one person play together, by the clock of who sent them", async (world) => {
  const anna = await world.enters("Anna");
  const ben = await world.enters("Ben");
  await allSeeAndHearAll([anna, ben]);
  // The wall time, by the sender's reports, of what is being played: there is none before a report has come.
  const playing = async (source) => (await ben.receptionOf(anna, source)).estimatedPlayoutTimestamp;
  await eventually("Ben plays Anna's sound and picture of the same moment, within 150 ms", async () => {
    const [sound, picture] = await Promise.all([playing("microphone"), playing("camera")]);
    return Math.abs(sound - picture) < 150 || { sound, picture };
  });
});
