// One participant of a story whose client is no page but a program of its own, in Python: see tests/interop/person.py. It is
// told what to do, and tells what it sees and hears, in lines of JSON.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { resolve } from "node:path";
import { createInterface } from "node:readline";
import { endWithUs } from "./children.js";
import { eventually } from "./eventually.js";
import { AUDIBLE, COLOURS, nameOf, TONE_TOLERANCE_HZ } from "./palette.js";
import { interopPythonPath } from "./programs.js";

/** Pictures of the right colour that must come one after the other: one could be left from before. */
const FRESH_FRAMES = 3;
/** How long nothing must come before it counts as nothing. */
const QUIET_MS = 1_500;

export class Outsider {
  #process;
  /** What was said last of each picture and each sound, by whose it is: `{ line, at }`. */
  #seen = new Map();
  #heard = new Map();
  /** All other lines, in order. */
  lines = [];

  constructor(name, identity) {
    this.name = name;
    this.colour = identity.colour;
    this.hz = identity.hz;
  }

  /** Starts `script`, which enters with camera and microphone; `words` come before its colour and its tone. */
  async enters(script, words) {
    const path = resolve(import.meta.dirname, "../../interop", script);
    const all = [path, ...words, COLOURS[this.colour].join(), String(this.hz)];
    const child = spawn(interopPythonPath(), all, { stdio: ["pipe", "pipe", "inherit"] });
    endWithUs(child);
    this.#process = child;
    createInterface(child.stdout).on("line", (line) => line.startsWith("{") && this.#take(JSON.parse(line)));
    await eventually(`${this.name} is in the call`, () => {
      const isReady = this.lines.some(({ ready }) => ready);
      return isReady || { lines: this.lines, hasEndedWith: child.exitCode };
    });
  }

  #take(line) {
    const entry = { line, at: Date.now() };
    if (line.sees) this.#seen.set(line.sees, entry);
    else if (line.hears) this.#heard.set(line.hears, entry);
    else this.lines.push(line);
  }

  #do(order) {
    this.#process.stdin.write(`${JSON.stringify(order)}\n`);
  }

  says(topic, text) {
    this.#do({ do: "say", topic, text });
  }

  mutes(source) {
    this.#do({ do: "mute", source });
  }

  unmutes(source) {
    this.#do({ do: "unmute", source });
  }

  /** Views another by WHEP, who has that id in the room. */
  watches(other, id) {
    this.#do({ do: "watch", id, as: other.name });
  }

  /** Waits until one of the lines has all of `expected`. */
  isTold(expected) {
    const has = (line) => Object.entries(expected).every(([key, value]) => line[key] === value);
    return eventually(`${this.name} is told ${JSON.stringify(expected)}`, () => this.lines.some(has) || this.lines);
  }

  async seesAndHears(other) {
    await Promise.all([this.sees(other), this.hears(other)]);
  }

  sees(other) {
    let [first, frames] = [undefined, 0];
    return eventually(`${this.name} sees ${other.colour} of ${other.name}`, () => {
      const line = this.#seen.get(other.name)?.line;
      if (!line) return "nothing";
      first ??= line.frames;
      frames = line.frames - first;
      return (nameOf(line.rgb) === other.colour && frames >= FRESH_FRAMES) || line;
    });
  }

  hears(other) {
    const since = Date.now();
    return eventually(`${this.name} hears ${other.hz} Hz of ${other.name}`, () => {
      const { line, at } = this.#heard.get(other.name) ?? {};
      const isTone = line?.loudest > AUDIBLE && Math.abs(line.hz - other.hz) <= TONE_TOLERANCE_HZ;
      return (isTone && at >= since) || line;
    });
  }

  hearsSilenceFrom(other) {
    return this.#staysQuiet(`hears nothing of ${other.name}`, () => {
      const { line, at } = this.#heard.get(other.name) ?? {};
      return line?.loudest > AUDIBLE ? at : 0;
    });
  }

  seesNothingNewOf(other) {
    return this.#staysQuiet(`sees nothing of ${other.name}`, () => this.#seen.get(other.name)?.at ?? 0);
  }

  /** Waits until the last time that something came is long ago. */
  #staysQuiet(what, lastTime) {
    const since = Date.now();
    return eventually(`${this.name} ${what}`, () => {
      const quietFor = Date.now() - Math.max(lastTime(), since);
      return quietFor >= QUIET_MS || { quietFor };
    });
  }

  watchesNoLonger(other) {
    this.#do({ do: "leave", as: other.name });
    return this.isTold({ unwatched: other.name });
  }

  /** Leaves, and waits until the program has ended well. */
  async leaves() {
    const gone = once(this.#process, "exit");
    this.#process.stdin.end();
    const [code] = await gone;
    if (code !== 0) throw new Error(`${this.name}'s program has ended with ${code}`);
  }

  /** Ends the program, whatever it does. */
  async ends() {
    if (!this.#process || this.#process.exitCode !== null || this.#process.signalCode !== null) return;
    const gone = once(this.#process, "exit");
    this.#process.kill("SIGKILL");
    await gone;
  }
}
