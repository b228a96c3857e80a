// A scenario: one test with a world of its own. Whatever fails, the server's log and what the pages
// said are shown beside the error.
import { after, test } from "node:test";
import { closeBrowsers } from "./browsers.js";
import { closeShared, World } from "./world.js";

export { allSeeAndHearAll } from "./world.js";

after(async () => {
  await closeShared();
  await closeBrowsers();
});

/**
 * @param {string} sentence what holds
 * @param {(world: World) => Promise<void>} story
 * @param {object} [options] of the server: see `Server.start`
 */
export function scenario(sentence, story, options) {
  test(sentence, { timeout: 240_000 }, async () => {
    const world = await World.open(options);
    try {
      await story(world);
    } catch (error) {
      console.error(world.report());
      throw error;
    } finally {
      await world.close();
    }
  });
}
