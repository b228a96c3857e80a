// When a microphone is heard: while somebody speaks, or while a key is held.
import assert from "node:assert/strict";
import { scenario } from "../harness/scenario.js";

scenario("a voice is let through from its first sound, and the noise of the room is not", async (world) => {
  const anna = await world.arrives("Anna");
  const { first, rest, silent, openings } = await anna.page.evaluate(() => lab.voiceThroughGate());
  assert.ok(first >= 90, `of the first 100 ms ${first} ms were heard`);
  assert.ok(rest >= 380, `of the 400 ms behind them ${rest} ms were heard`);
  assert.ok(silent > 0.4, `${silent} of the time nothing at all was let through`);
  assert.deepEqual(openings.slice(0, 2), [true, false]);
});

scenario("who pushes to talk is heard while the key or the button is held, and no longer", async (world) => {
  const anna = await world.visits("Anna");
  const ben = await world.visits("Ben", await anna.createsRoom());
  await ben.joins();
  await Promise.all([anna.isInCall(), ben.isInCall()]);
  await ben.hearsBeep(anna);

  await anna.chooses("When you are heard", "While I hold a key (push to talk)");
  await anna.reads("You are not heard");
  await ben.hearsNoBeep(anna);
  const { keyboard } = anna.page.driver;
  await keyboard.down("Space");
  await anna.reads("You are heard");
  await ben.hearsBeep(anna);
  await keyboard.up("Space");
  await ben.hearsNoBeep(anna);

  // The microphone itself was on all the time.
  await ben.finds(ben.tileOf(anna).getByRole("img", { name: "microphone muted" }), false);
});
