// Each receiver's own choice: unsubscribe, subscribe again, pause.
import { scenario } from "../harness/scenario.js";

scenario("who unsubscribes from a track no longer gets it, until subscribing again", async (world) => {
  const anna = await world.enters("Anna");
  const ben = await world.enters("Ben");
  const cleo = await world.enters("Cleo");
  await Promise.all([anna.seesAndHears(ben), cleo.seesAndHears(ben)]);

  await anna.subscription(ben, "camera", "unsubscribe");
  await anna.isToldOfTrack(ben, "camera", { status: "unsubscribed" });
  await anna.seesNothingNewOf(ben);
  await Promise.all([anna.hears(ben), cleo.sees(ben)]);

  await anna.subscription(ben, "camera", "subscribe");
  await anna.sees(ben);

  await anna.subscription(ben, "microphone", "unsubscribe");
  await anna.hearsSilenceFrom(ben);
  await Promise.all([anna.sees(ben), cleo.hears(ben)]);
  await anna.subscription(ben, "microphone", "subscribe");
  await anna.hears(ben);
});

scenario("a paused track stands still for who paused it alone", async (world) => {
  const anna = await world.enters("Anna");
  const ben = await world.enters("Ben");
  const cleo = await world.enters("Cleo");
  await Promise.all([anna.seesAndHears(ben), cleo.sees(ben)]);

  await anna.subscription(ben, "camera", "pause");
  await anna.isToldOfTrack(ben, "camera", { paused: true });
  await anna.seesNothingNewOf(ben);
  await Promise.all([anna.hears(ben), cleo.sees(ben)]);

  await anna.subscription(ben, "camera", "resume");
  await anna.sees(ben);
});
