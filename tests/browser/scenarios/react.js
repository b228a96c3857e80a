// An app of others in React, on our package as npm has it, with its hooks.
import { openReactApp } from "../harness/packed.js";
import { eventually } from "../harness/eventually.js";
import { allSeeAndHearAll, scenario } from "../harness/scenario.js";

/** What the app shows of somebody, until it is that, or, with `null`, nobody. */
const shows = (person, other, expected) =>
  eventually(`${person.name}'s app shows of ${other.name}: ${expected}`, async () => {
    const tile = person.page.driver.getByRole("article", { name: other.name });
    const shown = (await tile.count()) === 0 ? null : (await tile.innerText()).trim();
    return shown === expected || { shown };
  });

const clicks = (person, name) => person.page.driver.getByRole("button", { name, exact: true }).click();

scenario(
  "two tabs of an app on our hooks for React see and hear each other, see who is muted and who has gone",
  async (world) => {
    const app = await openReactApp();
    const words = { url: `${world.server.origin.replace("http", "ws")}/ws`, room: world.room };
    await app.tells(async () => {
      const anna = await app.enters("Anna", { ...words, name: "Anna" });
      const ben = await app.enters("Ben", { ...words, name: "Ben" });
      await allSeeAndHearAll([anna, ben]);
      await shows(anna, ben, "Ben");

      await clicks(ben, "Mute");
      await shows(anna, ben, "Ben is muted");
      await anna.hearsSilenceFrom(ben);
      await clicks(ben, "Unmute");
      await shows(anna, ben, "Ben");
      await anna.hears(ben);

      // What runs in the audio thread is a file of its own, which the build has to find.
      await ben.page.driver.getByLabel("Heard").selectOption("push");
      await anna.hearsSilenceFrom(ben);
      await ben.page.driver.getByRole("button", { name: "Talk" }).hover();
      await ben.page.driver.mouse.down();
      await anna.hears(ben);
      await ben.page.driver.mouse.up();
      await anna.hearsSilenceFrom(ben);

      await clicks(ben, "Leave");
      await shows(anna, ben, null);
      await clicks(ben, "Join");
      await anna.sees(ben);
      await ben.seesAndHears(anna);
    });
  },
  { config: { signalling: { allowed_origins: "*" } } },
);
