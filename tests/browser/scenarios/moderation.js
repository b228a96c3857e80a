// A moderator and the others at the demo page: what each may do, and what they read when something is done to them.
import { execFileSync } from "node:child_process";
import { writeFileSync, mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { straitPath } from "../harness/programs.js";
import { scenario } from "../harness/scenario.js";

const SECRET = "a-secret-that-only-the-back-end-of-these-people-has";
const CONFIG = { auth: { mode: "token", keys: `team=${SECRET}` } };

/** A link into the room `standup` by a token of its own. */
const linkFor = (world, identity, ...options) => {
  const file = join(mkdtempSync(join(tmpdir(), "strait-moderation-")), "strait.toml");
  writeFileSync(file, `[auth]\nmode = "token"\nkeys = { team = "${SECRET}" }\n`);
  const args = ["token", "create", "--config", file, "--room", "standup", "--identity", identity, ...options];
  const token = execFileSync(straitPath(), args, { encoding: "utf8" }).trim();
  return `${world.server.origin}/#room=standup&token=${token}`;
};

const visits = async (world, name, ...options) => {
  const visitor = await world.visits(name, linkFor(world, name.toLowerCase(), ...options));
  visitor.page.driver.on("dialog", (dialog) => void dialog.accept("He shouts."));
  await visitor.joins();
  return visitor;
};

scenario(
  "a moderator mutes, stops, locks, lets in from the waiting room and removes, and everybody reads what happens to them",
  async (world) => {
    const anna = await visits(world, "Anna", "--moderator");
    await anna.isInCall();
    const ben = await visits(world, "Ben");
    await ben.isInCall();
    await Promise.all([anna.seesTileMove(ben), ben.seesTileMove(anna)]);

    await anna.button("People and volume").click();
    await ben.button("People and volume").click();
    await anna.reads("Anna (you) – moderator");
    await ben.reads("Anna – moderator");
    await ben.finds(ben.button("Lock the room"), false);
    await ben.finds(ben.button("Remove Anna from the call"), false);

    await anna.button("Mute Ben").click();
    await ben.reads("A moderator has muted your microphone");
    await anna.finds(anna.tileOf(ben).getByRole("img", { name: "microphone muted" }));

    await anna.button("Stop what Ben sends").click();
    await ben.reads("You may not publish this any more");
    await ben.finds(ben.button("Turn camera"), false);
    await anna.finds(anna.pictureOf(ben), false);
    await anna.button("Let Ben send sound and pictures again").click();
    await ben.button("Turn camera on").click();
    await anna.seesTileMove(ben);

    await anna.button("Let nobody in any more").click();
    await ben.reads("The room is locked now.");
    const cleo = await visits(world, "Cleo");
    await cleo.reads("the room is locked");
    await anna.button("Let people in again").click();
    await anna.button("Ask me before people come in").click();
    await cleo.button("Join room").click();
    await cleo.reads("You wait until somebody who runs the call lets you in.");
    await anna.button("Turn Cleo away").click();
    await cleo.reads("a moderator has not let you in");
    await cleo.button("Join room").click();
    await anna.button("Let Cleo in").click();
    await cleo.isInCall();
    await anna.seesTileMove(cleo);

    // Whoever has a name by their token is told it, and is not asked for one.
    const dora = await world.visits("Dora", linkFor(world, "dora", "--name", "Dora D."));
    await dora.reads("You join as Dora D.");
    await dora.joins();
    await anna.reads("Dora D. waits");
    await anna.button("Let Dora D. in").click();
    await dora.isInCall();

    await ben.button("Report Cleo").click();
    await ben.reads("Whoever runs this server has been told.");
    await anna.button("Remove Ben from the call").click();
    await ben.reads("You were removed from the room.");
    await anna.button("Remove Cleo, and let them in no more").click();
    await cleo.reads("You were removed from the room, and may not come back.");
    await cleo.button("Join room").click();
    await cleo.reads("you are banned from this room");
  },
  { config: CONFIG },
);
