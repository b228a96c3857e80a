// Mute: nothing of the track reaches anyone, everyone is told, and unmuting brings it back.
import { scenario } from "../harness/scenario.js";

scenario("a muted microphone is silent and shown as muted until it is unmuted", async (world) => {
  const anna = await world.enters("Anna");
  const ben = await world.enters("Ben");
  await anna.seesAndHears(ben);

  await ben.mutes("microphone");
  await anna.isToldOfTrack(ben, "microphone", { muted: true });
  await anna.hearsSilenceFrom(ben);
  await anna.sees(ben);

  await ben.unmutes("microphone");
  await anna.isToldOfTrack(ben, "microphone", { muted: false });
  await anna.hears(ben);
});

scenario("a muted camera stands still and is shown as muted until it is unmuted", async (world) => {
  const anna = await world.enters("Anna");
  const ben = await world.enters("Ben");
  await anna.seesAndHears(ben);

  await ben.mutes("camera");
  await anna.isToldOfTrack(ben, "camera", { muted: true });
  await anna.seesNothingNewOf(ben);
  await anna.hears(ben);

  await ben.unmutes("camera");
  await anna.isToldOfTrack(ben, "camera", { muted: false });
  await anna.sees(ben);
});

scenario("who joins late is told who is muted", async (world) => {
  const anna = await world.enters("Anna");
  await anna.mutes("microphone");
  const ben = await world.enters("Ben");
  await ben.isToldOfTrack(anna, "microphone", { muted: true });
  await ben.isToldOfTrack(anna, "camera", { muted: false });
  await ben.sees(anna);
  await ben.hearsSilenceFrom(anna);
  await anna.unmutes("microphone");
  await ben.hears(anna);
});
