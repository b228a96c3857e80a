// The demo page, used by hand: two people meet by a link.
import { eventually } from "../harness/eventually.js";
import { scenario } from "../harness/scenario.js";

scenario("two people meet by a link on the demo page, see each other move and hear each other", async (world) => {
  const anna = await world.visits("Anna");
  const link = await anna.createsRoom();
  const ben = await world.visits("Ben", link);
  await ben.joins();
  await Promise.all([anna.isInCall(), ben.isInCall()]);
  await Promise.all([anna.seesTileMove(ben), ben.seesTileMove(anna), anna.hearsBeep(ben), ben.hearsBeep(anna)]);

  const mutedMark = ben.tileOf(anna).getByRole("img", { name: "microphone muted" });
  await ben.finds(mutedMark, false);
  await anna.button("Mute microphone").click();
  await ben.finds(mutedMark);
  await anna.button("Unmute microphone").click();
  await ben.finds(mutedMark, false);
  await ben.hearsBeep(anna);

  await anna.button("Turn camera off").click();
  await ben.finds(ben.pictureOf(anna), false);
  await anna.button("Turn camera on").click();
  await ben.seesTileMove(anna);

  await ben.chooses("Pictures received", "None: sound only");
  await ben.reads("You receive sound only.");
  await ben.finds(ben.pictureOf(anna), false);
  await ben.hearsBeep(anna);
  await ben.chooses("Pictures received", "As large as they are shown");
  await ben.seesTileMove(anna);

  await anna.button("Show detailed statistics").click();
  for (const what of ["Connected after", "First picture after", "First sound after", "Behind the sound"])
    await anna.finds(anna.measure(what));

  await ben.button("Leave the call").click();
  await ben.finds(ben.button("Join room"));
  await anna.finds(anna.tileOf(ben), false);
});

scenario(
  "who comes to a full room reads why there is no way in",
  async (world) => {
    const anna = await world.visits("Anna");
    const link = await anna.createsRoom();
    const ben = await world.visits("Ben", link);
    await ben.joins();
    await ben.isInCall();
    const cleo = await world.visits("Cleo", link);
    await cleo.joins();
    await cleo.finds(cleo.page.driver.getByRole("alert").filter({ hasText: /full|2 participants/i }));
  },
  { config: { rooms: { max_participants: 2 } } },
);

scenario("whoever loses the connection is told so until it is back", async (world) => {
  const relay = await world.relay();
  const anna = await world.visits("Anna");
  const link = new URL(await anna.createsRoom());
  const ben = await world.visits("Ben", `${relay.origin}/${link.hash}`);
  await ben.joins();
  await ben.isInCall();
  await anna.seesTileMove(ben);

  relay.cut();
  await ben.reads("Reconnecting…");
  await anna.finds(anna.tileOf(ben).getByText("Reconnecting…"));
  await Promise.all([anna.seesTileMove(ben), ben.seesTileMove(anna)]);

  relay.mend();
  await ben.isInCall();
  await anna.finds(anna.tileOf(ben).getByText("Reconnecting…"), false);
  await Promise.all([anna.seesTileMove(ben), ben.seesTileMove(anna)]);
});

scenario("who denies the microphone and the camera reads so, and can join without them", async (world) => {
  const anna = await world.visits("Anna");
  const link = await anna.createsRoom();
  const ben = await world.visits("Ben", link, { mayCapture: false });
  await ben.joins();
  await ben.finds(ben.page.driver.getByRole("alert").filter({ hasText: /microphone|camera/i }));
  // Each device that is missing may take a message of its own.
  await eventually("Ben, trying again, is in the call", async () => {
    if (await ben.button("Leave the call").isVisible()) return true;
    await ben.button("Join room").click({ timeout: 1_000 });
    return "not yet";
  });
  await ben.isInCall();
  await Promise.all([ben.seesTileMove(anna), ben.hearsBeep(anna)]);
});
