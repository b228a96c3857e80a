// Everybody can use the page: axe-core finds nothing on any of its screens, in light, dark and high contrast.
import assert from "node:assert/strict";
import { findings } from "../harness/accessibility.js";
import { scenario } from "../harness/scenario.js";

/** Three are many. */
const MESH = { mesh: { mode: "auto", up: 3, down: 2, warm: 3, cooldown: 1 } };

scenario(
  "axe finds nothing in the lobby, in a call that goes straight or by the server, in its panels, and in the list of keys",
  async (world) => {
    const anna = await world.visits("Anna");
    const found = [];
    const look = async (screen) => found.push(...(await findings(anna)).map((line) => `${screen}: ${line}`));
    await anna.reads("Join a call");
    await look("the lobby");

    const link = await anna.createsRoom();
    world.room = new URL(link).hash.replace("#room=", "");
    const ben = await world.enters("Ben");
    await anna.seesTileMove(ben);
    await anna.isMarked("Direct");
    await look("a call that goes straight");

    const cleo = await world.enters("Cleo", { camera: null });
    await anna.isMarked("Server");
    await anna.finds(anna.tileOf(cleo));
    await cleo.says("chat", { text: "Good morning" });
    await look("a call by the server");

    for (const name of ["People and volume", "Show detailed statistics", "Chat", "Devices and settings", "Reactions"]) {
      await anna.button(name).first().click();
      await look(name);
    }
    await anna.page.driver.keyboard.press("Escape");
    await anna.page.driver.keyboard.press("?");
    await anna.reads("Keyboard shortcuts");
    await look("the list of keys");
    assert.deepEqual(found, []);
  },
  { config: MESH },
);
