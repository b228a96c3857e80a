// A scenario: one test with a server of its own and people who come and go. Whatever fails, the
// server's log and what the pages said are shown beside the error.
import { after, test } from "node:test";
import { closeBrowsers } from "./browsers.js";
import { IDENTITIES } from "./palette.js";
import { Person } from "./person.js";
import { Relay } from "./relay.js";
import { Server } from "./server.js";

after(closeBrowsers);

class World {
  room = "story";
  #arrivals = 0;
  #people = [];
  #relays = [];

  constructor(server) {
    this.server = server;
  }

  /** Opens the page, but does not join. */
  async arrives(name, { browser = "chromium", origin = this.server.origin, like } = {}) {
    const identity = like ?? IDENTITIES[this.#arrivals++ % IDENTITIES.length];
    const person = await Person.arrive(name, identity, { origin, browser });
    this.#people.push(person);
    return person;
  }

  /** Opens the page, joins the room, and publishes camera and microphone. */
  async enters(name, { camera, microphone, ...arrival } = {}) {
    const person = await this.arrives(name, arrival);
    await person.join({ room: this.room, camera, microphone });
    return person;
  }

  async relay() {
    const relay = await Relay.to(this.server.port);
    this.#relays.push(relay);
    return relay;
  }

  report() {
    const pages = this.#people.map(({ name, page }) => `--- ${name}'s console\n${page.console.join("\n")}`);
    return [...pages, `--- the server's log`, this.server.log].join("\n");
  }

  async close() {
    for (const { page } of this.#people) await page.close();
    for (const relay of this.#relays) await relay.close();
    await this.server.kill();
  }
}

/**
 * @param {string} sentence what holds
 * @param {(world: World) => Promise<void>} story
 * @param {object} [config] of the server: `{ section: { key: value } }`
 */
export function scenario(sentence, story, config) {
  test(sentence, { timeout: 240_000 }, async () => {
    const world = new World(await Server.start(config));
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

/** Everyone sees and hears everyone else. */
export async function allSeeAndHearAll(people, options) {
  const pairs = people.flatMap((person) => people.filter((other) => other !== person).map((other) => [person, other]));
  await Promise.all(pairs.map(([person, other]) => person.seesAndHears(other, options)));
}
