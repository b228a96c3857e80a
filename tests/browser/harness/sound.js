// A private PulseAudio server with a sink that goes nowhere. Firefox's Web Audio stands still on a
// machine without a sound device; with this it runs everywhere, and nobody hears the tests.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { endWithUs } from "./children.js";
import { eventually } from "./eventually.js";
import { pulseaudioPath } from "./programs.js";

/** Starts it; answers the environment for its clients and how to end it. */
export async function startSound() {
  const home = mkdtempSync(join(tmpdir(), "strait-sound-"));
  const socket = join(home, "socket");
  const options = ["-n", "--daemonize=no", "--use-pid-file=no", "--exit-idle-time=-1", "--disable-shm=yes"];
  const modules = ["module-null-sink rate=48000", `module-native-protocol-unix auth-anonymous=1 socket=${socket}`];
  const server = spawn(pulseaudioPath(), [...options, ...modules.flatMap((module) => ["--load", module])], {
    env: { ...process.env, HOME: home, XDG_RUNTIME_DIR: home },
    stdio: ["ignore", "ignore", "pipe"],
  });
  endWithUs(server);
  let log = "";
  server.stderr.on("data", (text) => (log += text));
  await eventually("the sound server listens", () => existsSync(socket) || log);

  return {
    environment: { PULSE_SERVER: `unix:${socket}` },
    async stop() {
      const gone = once(server, "exit");
      server.kill("SIGKILL");
      await gone;
      rmSync(home, { recursive: true, force: true });
    },
  };
}
