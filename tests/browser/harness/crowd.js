// Rooms full of other people: the project's own load generator, with real signalling, handshakes and media.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { endWithUs } from "./children.js";
import { eventually } from "./eventually.js";
import { straitPath } from "./programs.js";

export class Crowd {
  #process;

  /** In each of `rooms` one talks and one listens. */
  static async enters(server, rooms) {
    const crowd = new Crowd();
    const size = ["--rooms", `${rooms}`, "--publishers", "1", "--subscribers", "1"];
    const pace = ["--rate", "5", "--ramp", "30", "--duration", "10m"];
    const words = ["load", "--url", server.origin.replace("http:", "ws:"), ...size, ...pace];
    const child = spawn(straitPath(), words, { stdio: "ignore" });
    endWithUs(child);
    crowd.#process = child;
    await eventually(`${rooms} rooms of others are there`, async () => {
      if (child.exitCode !== null) return `the load generator exited with ${child.exitCode}`;
      const there = (await server.rooms()).filter(({ participants, tracks }) => participants >= 2 && tracks >= 1);
      return there.length >= rooms || there.length;
    });
    return crowd;
  }

  async close() {
    if (this.#process.exitCode !== null || this.#process.signalCode !== null) return;
    const gone = once(this.#process, "exit");
    this.#process.kill("SIGKILL");
    await gone;
  }
}
