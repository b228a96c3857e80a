// LiveKit's client for Node.js in our rooms, beside a browser on ours.
import { spawn } from "node:child_process";
import { resolve } from "node:path";
import { createInterface } from "node:readline";
import { endWithUs } from "../harness/children.js";
import { eventually } from "../harness/eventually.js";
import { token } from "../harness/livekit-token.js";
import { nameOf } from "../harness/palette.js";
import { scenario } from "../harness/scenario.js";

const PROGRAM = resolve(import.meta.dirname, "../node/livekit-call.js");
const near = (a, b, tolerance) => Math.abs(a - b) <= tolerance;

scenario("two people on LiveKit's client for Node.js see, hear, tell and call each other, beside one on ours", async (world) => {
  const cleo = await world.enters("Cleo", { camera: null, microphone: null });
  const words = [PROGRAM, world.server.origin.replace("http", "ws"), token("Anna"), token("Ben")];
  const call = spawn(process.execPath, words, { stdio: ["pipe", "pipe", "inherit"] });
  endWithUs(call);
  const lines = [];
  createInterface(call.stdout).on("line", (line) => line.startsWith("{") && lines.push(JSON.parse(line)));
  const isSaid = (what, matches) => eventually(what, () => lines.some(matches) || lines);
  await isSaid("Ben sees red", ({ from, width, rgb }) => from === "Anna" && width === 320 && near(rgb[0], 200, 20));
  await isSaid("Ben hears the tone", ({ from, hz }) => from === "Anna" && near(hz, 1_000, 20));
  await isSaid("Ben answers", ({ answer }) => answer === "hello, Anna");
  await isSaid("Ben is told", ({ from, topic, said }) => from === "Anna" && topic === "chat" && said === "hi");
  // Nothing moves in this picture.
  await eventually("Cleo sees red", async () => {
    const view = await cleo.page.evaluate(() => lab.look("Anna/camera"));
    return nameOf(view?.rgb) === "red" || view;
  });
  await cleo.hears({ name: "Anna", hz: 1_000 });
  await eventually("Cleo is told", async () => (await cleo.messages("chat")).length === 1);
  call.stdin.end();
  await isSaid("Anna leaves", ({ left }) => left === "Anna");
  await cleo.isToldOf({ name: "Anna" }, null);
});
