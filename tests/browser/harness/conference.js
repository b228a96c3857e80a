// An app on LiveKit's React components (`conference-app`), built by Vite as such apps are, and people in its tabs.
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { openPage } from "./browsers.js";
import { COLOURS, IDENTITIES } from "./palette.js";
import { Person } from "./person.js";

const CODE = ["synthetic.js", "senses.js", "conference.js"].map((name) =>
  readFileSync(resolve(import.meta.dirname, "../page", name), "utf8"),
);

export class Conference {
  #folder = mkdtempSync(join(tmpdir(), "strait-conference-"));
  #people = [];
  #preview;
  #server;

  /** Builds the app, and serves it to people who meet on `server`. */
  static async open(server) {
    const conference = new Conference();
    const { build, preview } = await import("vite");
    const root = resolve(import.meta.dirname, "../conference-app");
    const options = { root, configFile: false, logLevel: "error", build: { outDir: conference.#folder, minify: false } };
    await build(options);
    conference.#server = server.origin.replace("http", "ws");
    conference.#preview = await preview({ ...options, preview: { host: "127.0.0.1", port: 0 } });
    return conference;
  }

  /** Opens a tab, which enters by the token with camera and microphone. */
  async enters(name, token) {
    const identity = IDENTITIES[this.#people.length];
    const page = await openPage("chromium");
    const person = new Person(name, identity, page);
    this.#people.push(person);
    for (const content of CODE) await page.driver.addInitScript({ content });
    const words = { server: this.#server, token, rgb: COLOURS[identity.colour].join(), hz: String(identity.hz) };
    const [address] = this.#preview.resolvedUrls.local;
    await page.goto(`${address}?${new URLSearchParams(words)}`);
    return person;
  }

  /** What the tabs said, for whoever reads of a failure. */
  report() {
    return this.#people.map(({ name, page }) => `--- ${name}'s console\n${page.console.join("\n")}`).join("\n");
  }

  async close() {
    for (const { page } of this.#people) await page.close();
    await this.#preview?.close();
    rmSync(this.#folder, { recursive: true });
  }
}
