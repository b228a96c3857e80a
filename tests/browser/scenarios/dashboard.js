// The operator's dashboard: how calls go, and how they move.
import assert from "node:assert/strict";
import { findings } from "../harness/accessibility.js";
import { scenario } from "../harness/scenario.js";

/** Three are many. */
const MESH = { mesh: { mode: "auto", up: 3, down: 2, warm: 3, cooldown: 1 }, admin: { token: "the-operators-token" } };

scenario(
  "an operator sees on the dashboard how calls go and that one has moved, from elsewhere by the token alone",
  async (world) => {
    const quiet = { camera: null };
    const anna = await world.enters("Anna", quiet);
    const ben = await world.enters("Ben", quiet);
    await Promise.all([anna, ben].map((person) => person.goes("p2p")));

    const otto = await world.visits("Otto", `${world.server.origin}/dashboard`);
    await otto.reads("100 % of the calls go straight");
    await otto.reads("no moves");
    const cleo = await world.enters("Cleo", quiet);
    await Promise.all([anna, ben, cleo].map((person) => person.goes("sfu")));

    const { driver } = otto.page;
    // As a proxy says it of whoever is not at the server's own machine.
    await driver.setExtraHTTPHeaders({ "x-forwarded-for": "192.0.2.9" });
    await driver.reload();
    await otto.reads("These figures are for operators.");
    await driver.getByLabel("Token of administration").fill("a wrong one");
    await otto.button("Show").click();
    await otto.reads("the token is wrong");
    await driver.getByLabel("Token of administration").fill("the-operators-token");
    await otto.button("Show").click();
    await otto.reads("0 % of the calls go straight, 100 % through the server.");
    await driver.getByText("As a table").first().click();
    const today = await driver.getByTestId("moves-days").getByRole("row").nth(1).innerText();
    assert.match(today, /\s1\s+0$/, "one has succeeded, and none failed");
    const begun = await driver.getByRole("row", { name: "… to the server" }).innerText();
    assert.match(begun, /\s1\s+1$/, "in the last hour, and today");

    assert.deepEqual(await findings(otto), []);
  },
  { config: MESH },
);
