// Where a story plays: a server of its own, and people who come and go.
import { Authority } from "./authority.js";
import { launchChromium, launchFirefox } from "./browsers.js";
import { Crowd } from "./crowd.js";
import { Firewall } from "./firewall.js";
import { Outsider } from "./outsider.js";
import { IDENTITIES } from "./palette.js";
import { Person } from "./person.js";
import { Relay } from "./relay.js";
import { Server } from "./server.js";
import { Visitor } from "./visitor.js";

export class World {
  room = "story";
  #arrivals = 0;
  #people = [];
  #outsiders = [];
  #relays = [];
  #firewalls = [];
  #crowds = [];
  #authority = null;

  /**
   * @param {object} [options] of the server: see `Server.start`
   * @param {boolean} [options.isCertified] the server's certificate is one that the browser behind the firewall trusts
   */
  static async open({ isCertified = false, ...options } = {}) {
    const world = new World();
    if (isCertified) {
      const firewall = Firewall.open();
      world.#firewalls.push(firewall);
      world.#authority = new Authority();
      firewall.trusts(world.#authority);
      options.config = { ...options.config, tls: world.#authority.certify(firewall.address) };
    }
    try {
      world.server = await Server.start(options);
    } catch (error) {
      await world.close();
      throw error;
    }
    return world;
  }

  /** Opens the page, but does not join. */
  async arrives(name, { browser = "chromium", origin = this.server.origin, like, sdk } = {}) {
    const identity = like ?? IDENTITIES[this.#arrivals++ % IDENTITIES.length];
    const person = await Person.arrive(name, identity, { origin, browser, sdk });
    this.#people.push(person);
    return person;
  }

  /** Opens the page, joins the room, and publishes camera and microphone. */
  async enters(name, { camera, microphone, rsaBits, token, options, packetMs, isUnreachable, ...arrival } = {}) {
    const person = await this.arrives(name, arrival);
    await person.join({ room: this.room, camera, microphone, rsaBits, token, options, packetMs, isUnreachable });
    return person;
  }

  /** Enters by a program in Python, with camera and microphone: see tests/interop/person.py. */
  async entersOutside(name, script, words) {
    const outsider = new Outsider(name, IDENTITIES[this.#arrivals++ % IDENTITIES.length]);
    this.#outsiders.push(outsider);
    await outsider.enters(script, words);
    return outsider;
  }

  /** Opens the demo page as a person does, by a link or by the server's address. */
  async visits(name, link = `${this.server.origin}/`, options = {}) {
    const visitor = await Visitor.opens(name, link, options);
    this.#people.push(visitor);
    return visitor;
  }

  async relay() {
    const relay = await Relay.to(this.server.port);
    this.#relays.push(relay);
    return relay;
  }

  /** So many other rooms, with people who talk. */
  async fills(rooms) {
    this.#crowds.push(await Crowd.enters(this.server, rooms));
  }

  /**
   * A network with a firewall; the server must listen on all addresses. The scenarios of a run share one, with its browsers,
   * unless a certificate names its address, or `isOwn`: the browser itself is to be another one.
   */
  firewall({ isOwn = false } = {}) {
    const firewall = this.#authority ? this.#firewalls[0] : isOwn ? Firewall.open() : sharedFirewall();
    if (isOwn) this.#firewalls.push(firewall);
    firewall.origin = `https://${firewall.address}:${this.server.port}`;
    return firewall;
  }

  /** As `enters`, in a browser of their own of which is recorded what it plays: see `Person.listens`. */
  async entersListening(name, { browser = "chromium", ...options } = {}) {
    return this.enters(name, { browser: await audibleBrowser(browser), ...options });
  }

  /** As `enters`, from behind a firewall. */
  async entersBehind(firewall, name, { browser, ...options } = {}) {
    return this.enters(name, { browser: await firewall.browser(browser), origin: firewall.origin, ...options });
  }

  report() {
    const pages = this.#people.map(({ name, page }) => `--- ${name}'s console\n${page.console.join("\n")}`);
    return [...pages, `--- the server's log`, this.server.log].join("\n");
  }

  async close() {
    for (const { page } of this.#people) await page.close();
    for (const outsider of this.#outsiders) await outsider.ends();
    for (const crowd of this.#crowds) await crowd.close();
    for (const relay of this.#relays) await relay.close();
    for (const firewall of this.#firewalls) await firewall.close();
    await this.server?.kill();
    this.#authority?.close();
  }
}

let shared = null;
/** Those that are recorded, by name; each is launched on first use. */
const audible = new Map();

function audibleBrowser(name) {
  const launch = { chromium: launchChromium, firefox: launchFirefox }[name];
  if (!audible.has(name)) audible.set(name, launch({ isAudible: true }));
  return audible.get(name);
}

function sharedFirewall() {
  shared ??= Firewall.open();
  shared.reset();
  return shared;
}

/** Ends what the scenarios of a run share. */
export async function closeShared() {
  await shared?.close();
  shared = null;
  for (const browser of audible.values()) await (await browser).close();
  audible.clear();
}

/** Everyone sees and hears everyone else. */
export async function allSeeAndHearAll(people, options) {
  const pairs = people.flatMap((person) => people.filter((other) => other !== person).map((other) => [person, other]));
  await Promise.all(pairs.map(([person, other]) => person.seesAndHears(other, options)));
}
