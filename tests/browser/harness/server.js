// The real binary under test: started on a free port, watched until it serves, killed at the end.
import { spawn } from "node:child_process";
import { createServer } from "node:net";
import { once } from "node:events";
import { eventually } from "./eventually.js";
import { straitPath } from "./programs.js";

const freePort = async () => {
  const listener = createServer().listen(0, "127.0.0.1");
  await once(listener, "listening");
  const { port } = listener.address();
  listener.close();
  await once(listener, "close");
  return port;
};

/** `{ rooms: { max_participants: 2 } }` as `STRAIT_ROOMS_MAX_PARTICIPANTS=2`. */
const environment = (config) =>
  Object.fromEntries(
    Object.entries(config).flatMap(([section, keys]) =>
      Object.entries(keys).map(([key, value]) => [`STRAIT_${section}_${key}`.toUpperCase(), String(value)]),
    ),
  );

export class Server {
  #config;
  #process;
  #log = [];

  static async start(config = {}) {
    const server = new Server();
    server.#config = config;
    server.port = await freePort();
    server.origin = `http://127.0.0.1:${server.port}`;
    await server.start();
    return server;
  }

  /** Starts the process; also again, on the same port, after `kill`. */
  async start() {
    const child = spawn(straitPath(), ["serve", "--listen", `127.0.0.1:${this.port}`], {
      env: { ...process.env, ...environment(this.#config) },
      stdio: ["ignore", "pipe", "pipe"],
    });
    this.#process = child;
    for (const stream of [child.stdout, child.stderr]) stream.on("data", (text) => this.#log.push(text));
    await eventually("the server serves its page", async () => {
      if (child.exitCode !== null) return `it exited with ${child.exitCode}: ${this.log}`;
      const response = await fetch(this.origin, { headers: { connection: "close" } });
      await response.arrayBuffer();
      return response.status === 200 || response.status;
    });
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
