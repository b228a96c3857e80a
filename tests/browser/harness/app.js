// An app that was built by Vite as such apps are, and people in its tabs.
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { openPage } from "./browsers.js";
import { COLOURS, IDENTITIES } from "./palette.js";
import { Person } from "./person.js";

export class App {
  #folder = mkdtempSync(join(tmpdir(), "strait-app-"));
  #people = [];
  #code;
  #preview;

  /**
   * Builds the app, and serves it.
   * @param {string} root folder of the app
   * @param {string} senses which of `page/` sees and hears in it
   */
  static async open(root, senses) {
    const app = new App();
    app.#code = ["synthetic", "senses", "devices", senses].map((name) =>
      readFileSync(resolve(import.meta.dirname, `../page/${name}.js`), "utf8"),
    );
    const { build, preview } = await import("vite");
    const options = {
      root,
      configFile: false,
      logLevel: "error",
      esbuild: { jsx: "automatic" },
      build: { outDir: app.#folder, minify: false },
    };
    await build(options);
    app.#preview = await preview({ ...options, preview: { host: "127.0.0.1", port: 0 } });
    return app;
  }

  /** Opens a tab at an address with these words, with camera and microphone. */
  async enters(name, words) {
    const identity = IDENTITIES[this.#people.length];
    const page = await openPage("chromium");
    const person = new Person(name, identity, page);
    this.#people.push(person);
    for (const content of this.#code) await page.driver.addInitScript({ content });
    const devices = { rgb: COLOURS[identity.colour].join(), hz: String(identity.hz) };
    const [address] = this.#preview.resolvedUrls.local;
    await page.goto(`${address}?${new URLSearchParams({ ...words, ...devices })}`);
    return person;
  }

  /** Tells the story; if it fails, also what the tabs said. */
  async tells(story) {
    try {
      await story();
    } catch (error) {
      console.error(this.#people.map(({ name, page }) => `--- ${name}'s console\n${page.console.join("\n")}`).join("\n"));
      throw error;
    } finally {
      for (const { page } of this.#people) await page.close();
      await this.#preview?.close();
      rmSync(this.#folder, { recursive: true });
    }
  }
}

/** The conference on LiveKit's React components. */
export const openConference = () => App.open(resolve(import.meta.dirname, "../conference-app"), "conference");
