// A private PulseAudio server with a sink that goes nowhere. Firefox's Web Audio stands still on a
// machine without a sound device; with this it runs everywhere, and nobody hears the tests. What a browser
// plays can be recorded from it.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { endWithUs } from "./children.js";
import { eventually } from "./eventually.js";
import { RATE } from "./ear.js";
import { parecPath, pulseaudioPath } from "./programs.js";

/** Starts it; answers the environment for its clients and how to end it. */
export async function startSound() {
  const home = mkdtempSync(join(tmpdir(), "strait-sound-"));
  const socket = join(home, "socket");
  const options = ["-n", "--daemonize=no", "--use-pid-file=no", "--exit-idle-time=-1", "--disable-shm=yes"];
  const modules = [
    `module-null-sink sink_name=null rate=${RATE} channels=1`,
    `module-native-protocol-unix auth-anonymous=1 socket=${socket}`,
  ];
  const server = spawn(pulseaudioPath(), [...options, ...modules.flatMap((module) => ["--load", module])], {
    env: { ...process.env, HOME: home, XDG_RUNTIME_DIR: home },
    stdio: ["ignore", "ignore", "pipe"],
  });
  endWithUs(server);
  let log = "";
  server.stderr.on("data", (text) => (log += text));
  await eventually("the sound server listens", () => existsSync(socket) || log);

  const environment = { PULSE_SERVER: `unix:${socket}` };
  return {
    environment,
    /** Records all that is played from now on. */
    record: () => Recording.of(environment),
    async stop() {
      const gone = once(server, "exit");
      server.kill("SIGKILL");
      await gone;
      rmSync(home, { recursive: true, force: true });
    },
  };
}

/** Seconds that are recorded before those that count. */
const SETTLES = 1;

/** What a browser plays, as it would leave the loudspeaker. */
class Recording {
  #process;
  #chunks = [];
  /** When its first sample was played, by this machine's clock; a few hundredths of a second are in doubt. */
  #begun = null;

  static async of(environment) {
    const recording = new Recording();
    const format = ["--raw", "--format=float32le", `--rate=${RATE}`, "--channels=1", "--latency-msec=20"];
    const child = spawn(parecPath(), ["--device=null.monitor", ...format], {
      env: { ...process.env, ...environment },
      stdio: ["ignore", "pipe", "ignore"],
    });
    endWithUs(child);
    recording.#process = child;
    child.stdout.on("data", (chunk) => {
      recording.#begun ??= Date.now() - (1000 * chunk.length) / 4 / RATE;
      recording.#chunks.push(chunk);
    });
    // What a machine does while one more program starts is no part of it.
    await eventually("the recording runs", () => recording.#seconds >= SETTLES || child.exitCode);
    recording.#chunks = [];
    recording.#begun = null;
    return recording;
  }

  get #seconds() {
    return this.#chunks.reduce((sum, { length }) => sum + length, 0) / 4 / RATE;
  }

  /** Ends it; answers what was recorded, and from when on. */
  async stop() {
    const gone = once(this.#process, "close");
    this.#process.kill("SIGTERM");
    await gone;
    const bytes = Buffer.concat(this.#chunks);
    const samples = new Float32Array(Math.floor(bytes.length / 4));
    for (let at = 0; at < samples.length; at++) samples[at] = bytes.readFloatLE(4 * at);
    return { samples, begun: this.#begun };
  }
}
