// A call that goes straight, then through the server, then straight again, by people who come and go, while one of those who stay
// is listened to: what is heard of the moves, how long they take, and what they cost.
import { loadavg } from "node:os";

/** The settings of a server by strategy, and how many have to come to bring the call to it. */
const ROOMS = {
  gradual: { up: 3, down: 2, comers: 1 },
  hard: { up: 3, down: 2, comers: 1 },
  // With a connection kept ready a call goes back only when fewer are left than `down`.
  opportunistic: { up: 4, down: 3, comers: 2 },
};

/** A break in sound that nobody notices, milliseconds. */
export const UNNOTICED_MS = 20;
/** How long somebody may be heard by both ways at once: a ramp of 10 ms, and the 20 ms in which it is looked for. */
export const TWICE_MS = 30;

/** Of a second of sound. */
const PACKETS = 50;

/** What a server is started with whose calls move by that strategy. */
export const movingBy = (strategy) => {
  const { up, down } = ROOMS[strategy];
  return {
    mesh: { mode: "auto", up, down, warm: up, cooldown: 1, strategy },
    // A machine that is busy looks like a network that is full, which is no matter here.
    media: { layer_policy: "wishes" },
  };
};

export class Moving {
  #world;
  #strategy;
  #comers = [];

  constructor(world, strategy) {
    this.#world = world;
    this.#strategy = strategy;
  }

  /** Anna, who is recorded, and Ben, of whom she hears what can be told apart, in a call that goes straight. */
  static async begins(world, strategy, { camera = null, browser = "chromium", others = browser } = {}) {
    const moving = new Moving(world, strategy);
    moving.anna = await world.entersListening("Anna", { camera, browser });
    moving.ben = await world.enters("Ben", { camera, microphone: { sweep: true }, browser: others });
    await moving.#all((person) => person.goes("p2p"));
    await Promise.all([moving.anna.hears(moving.ben), moving.ben.hears(moving.anna)]);
    for (let comer = 0; comer < ROOMS[strategy].comers; comer++)
      moving.#comers.push(await world.arrives(["Cleo", "Dan"][comer], { browser: others }));
    return moving;
  }

  /** To the server, because somebody comes, who says nothing. */
  up() {
    const { room } = this.#world;
    const quiet = { room, camera: null, microphone: null };
    return this.#move("sfu", { toServer: 1, straight: 0 }, async () => {
      for (const comer of this.#comers) await comer.join(quiet);
    });
  }

  /** And back, because they go. */
  back() {
    const connections = { toServer: this.#strategy === "opportunistic" ? 1 : 0, straight: 1 };
    return this.#move("p2p", connections, async () => {
      for (const comer of this.#comers) await comer.leaves();
    });
  }

  /** What is heard until the old way has ended, and what is sent until a second after the move. */
  async #move(way, connections, act) {
    const { anna, ben } = this;
    await anna.listens();
    // What this machine does when nothing moves.
    await this.#annaHearsMore(2 * PACKETS);
    const before = await ben.sentBytes();
    const began = Date.now();
    await act();
    const asked = Date.now();
    await this.#all((person) => person.goes(way, { every: 20 }));
    const ended = Date.now();
    // Another second of sound has come the new way.
    await this.#annaHearsMore(PACKETS);
    const sent = (await ben.sentBytes()) - before;
    const bytesPerSecond = (1000 * sent) / (Date.now() - began);
    await this.#all((person) => person.hasConnections(connections));
    await anna.hears(ben);
    const heard = await anna.heard();
    return { ...heard, tookMs: ended - asked, sent, bytesPerSecond, load: loadavg()[0] };
  }

  async #annaHearsMore(packets) {
    const { [this.ben.name]: so } = await this.anna.packets();
    await this.anna.receives(this.ben, so + packets);
  }

  #all(task) {
    return Promise.all([this.anna, this.ben].map(task));
  }
}

/** What is wrong with what was heard of a move that nobody should notice; empty if nothing is. */
export const faultsOf = ({ gapMs, echoMs, elsewhere, changedAt }) => {
  const faults = [];
  if (changedAt.length === 0) faults.push("sound came by the same way all along");
  // A machine that does as much without any move has no part of it from the move.
  if (gapMs > Math.max(UNNOTICED_MS, elsewhere.gapMs)) faults.push(`for ${gapMs} ms nothing was heard`);
  if (echoMs > Math.max(TWICE_MS, elsewhere.echoMs)) faults.push(`for ${echoMs} ms the same was heard twice`);
  return faults;
};

/** The same as a line of text. */
export const told = ({ gapMs, echoMs, elsewhere, gaps, changedAt, tookMs, seconds, load }) => {
  const silence = gaps.map(({ atMs, ms }) => `${atMs}+${ms}`).join(", ") || "no time";
  return (
    `missing ${gapMs} ms (elsewhere ${elsewhere.gapMs}), twice ${echoMs} ms (elsewhere ${elsewhere.echoMs}), over after ` +
    `${tookMs} ms; of ${seconds} s nothing is heard at ${silence} ms, and elements change at ` +
    `${changedAt.map(Math.round).join(", ")} ms; load ${load.toFixed(1)}`
  );
};
