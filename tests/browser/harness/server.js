// The real binary under test: started on a free port, watched until it serves, killed at the end.
import { spawn } from "node:child_process";
import { createSocket } from "node:dgram";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { once } from "node:events";
import { endWithUs } from "./children.js";
import { eventually } from "./eventually.js";
import { straitPath } from "./programs.js";

/** Below the range from which systems give out ports by themselves: browsers take many of those. */
const PORTS = { from: 20_000, to: 32_000 };

const isFree = async (port) => {
  const tcp = createServer().listen(port, "127.0.0.1");
  const udp = createSocket("udp4").bind(port, "127.0.0.1");
  const bound = await Promise.allSettled([once(tcp, "listening"), once(udp, "listening")]);
  tcp.close();
  udp.close();
  return bound.every(({ status }) => status === "fulfilled");
};

const freePort = async () => {
  for (let tries = 0; tries < 100; tries++) {
    const port = PORTS.from + Math.floor(Math.random() * (PORTS.to - PORTS.from));
    if (await isFree(port)) return port;
  }
  throw new Error(`no free port from ${PORTS.from} to ${PORTS.to}`);
};

/** Nothing of the caller's own configuration of the server. */
const ownEnvironment = Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith("STRAIT_")));

/** `{ rooms: { max_participants: 2 } }` as `STRAIT_ROOMS_MAX_PARTICIPANTS=2`. */
const environment = (config) =>
  Object.fromEntries(
    Object.entries(config).flatMap(([section, keys]) =>
      Object.entries(keys).map(([key, value]) => [`STRAIT_${section}_${key}`.toUpperCase(), String(value)]),
    ),
  );

export class Server {
  #config;
  #host;
  #process;
  #log = [];

  /**
   * @param {object} [options]
   * @param {object} [options.config] `{ section: { key: value } }`
   * @param {string} [options.host] where to listen, as in a URL
   * @param {number} [options.port] left out: any free one
   */
  static async start({ config = {}, host = "127.0.0.1", port } = {}) {
    const server = new Server();
    server.#config = config;
    server.#host = host;
    server.port = port ?? (await freePort());
    server.origin = `http://127.0.0.1:${server.port}`;
    await server.start();
    return server;
  }

  /** Starts the process; also again, on the same port, after `kill`. */
  async start() {
    const child = spawn(straitPath(), ["serve", "--listen", `${this.#host}:${this.port}`], {
      // What it keeps, it keeps away from the user's own.
      env: { ...ownEnvironment, XDG_DATA_HOME: join(tmpdir(), "strait-browser-tests"), ...environment(this.#config) },
      stdio: ["ignore", "pipe", "pipe"],
    });
    endWithUs(child);
    this.#process = child;
    for (const stream of [child.stdout, child.stderr]) stream.on("data", (text) => this.#log.push(text));
    await eventually("the server serves its page", async () => {
      if (child.exitCode !== null) return `it exited with ${child.exitCode}: ${this.log}`;
      const response = await fetch(this.origin, { headers: { connection: "close" } });
      await response.arrayBuffer();
      return response.status === 200 || response.status;
    });
  }

  /** All rooms, as the administration interface tells of them. */
  async rooms() {
    const response = await fetch(`${this.origin}/admin/v1/rooms`, { headers: { connection: "close" } });
    return (await response.json()).rooms;
  }

  /** One room, as the administration interface tells of it. */
  async room(name) {
    const response = await fetch(`${this.origin}/admin/v1/rooms/${name}`, { headers: { connection: "close" } });
    return response.json();
  }

  get pid() {
    return this.#process.pid;
  }

  get log() {
    return Buffer.concat(this.#log).toString();
  }

  get isRunning() {
    return this.#process.exitCode === null && this.#process.signalCode === null;
  }

  /** Answers the exit code, or null where the signal ended it. */
  async kill(signal = "SIGKILL") {
    if (this.isRunning) {
      const gone = once(this.#process, "exit");
      this.#process.kill(signal);
      await gone;
    }
    return this.#process.exitCode;
  }
}
