// A way to a port of another machine's own loopback address, where a browser there listens for whoever drives it: what
// comes to the same port here is passed on by a program over there.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { createServer } from "node:net";
import { endWithUs } from "./children.js";
import { ipPath } from "./programs.js";

export class Doorway {
  #server;
  #carriers = new Set();

  /** Into the network namespace `machine`, at a port that is free here. */
  static async into(machine) {
    const doorway = new Doorway();
    doorway.#server = createServer((near) => doorway.#carry(machine, near));
    doorway.#server.listen(0, "127.0.0.1");
    await once(doorway.#server, "listening");
    doorway.port = doorway.#server.address().port;
    return doorway;
  }

  #carry(machine, near) {
    const program = `
      const far = require("node:net").connect(${this.port}, "127.0.0.1");
      far.on("close", () => process.exit());
      far.on("error", () => process.exit());
      process.stdin.pipe(far).pipe(process.stdout);`;
    const words = ["netns", "exec", machine, process.execPath, "-e", program];
    const carrier = spawn(ipPath(), words, { stdio: ["pipe", "pipe", "inherit"] });
    endWithUs(carrier);
    this.#carriers.add(carrier);
    carrier.on("exit", () => {
      this.#carriers.delete(carrier);
      near.destroy();
    });
    for (const end of [near, carrier.stdin, carrier.stdout]) end.on("error", () => {});
    near.on("close", () => carrier.kill());
    near.pipe(carrier.stdin);
    carrier.stdout.pipe(near);
  }

  async close() {
    for (const carrier of this.#carriers) carrier.kill();
    this.#server.close();
    await once(this.#server, "close");
  }
}
