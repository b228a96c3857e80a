// A person at the demo page: does everything by hand, through what is on the screen, with the fake
// camera and microphone that Chromium offers.
import { openPage, SHARED_TAB } from "./browsers.js";
import { eventually } from "./eventually.js";
import { AUDIBLE } from "./palette.js";
import { concealment, hearsSilence, hearsTone } from "./senses.js";

const MOVING_FRAMES = 3;

/** A page full of fine lines. */
const slideCalled = (title) => `<!doctype html><title>${title}</title>
  <body style="margin: 0; height: 100vh; background: repeating-linear-gradient(90deg, #000 0 2px, #fff 2px 4px)">`;

export class Visitor {
  constructor(name, page) {
    this.name = name;
    this.page = page;
  }

  static async opens(name, link, { browser = "chromium", ...options }) {
    const visitor = new Visitor(name, await openPage(browser, options));
    await visitor.page.gotoWithLab(link);
    return visitor;
  }

  get #screen() {
    return this.page.driver;
  }

  button(name) {
    return this.#screen.getByRole("button", { name });
  }

  tileOf(other) {
    return this.#screen.getByRole("article", { name: other.name, exact: true });
  }

  /** The tile while it shows a picture, not initials. */
  pictureOf(other) {
    return this.tileOf(other).and(this.#screen.locator("[data-picture]"));
  }

  /** What the statistics say under that name, once it is measured. */
  measure(name) {
    return this.#screen.getByRole("row", { name }).getByRole("cell", { name: /\d/ }).first();
  }

  /** Chooses in the settings, which are opened and closed again. */
  async chooses(label, option) {
    await this.button("Devices and settings").click();
    await this.#screen.getByLabel(label).selectOption({ label: option });
    await this.button("Close panel").click();
  }

  /** Answers the link to the room. */
  async createsRoom() {
    await this.#screen.getByLabel("Your name").fill(this.name);
    await this.button("Create new room").click();
    await this.isInCall();
    return this.#screen.url();
  }

  /** Whoever has a name by their token is not asked for one. */
  async joins() {
    const name = this.#screen.getByLabel("Your name");
    if (await name.isVisible()) await name.fill(this.name);
    await this.button("Join room").click();
  }

  async isInCall() {
    await eventually(`${this.name} is in a call`, async () => {
      const state = await this.#screen.locator("#connection-state").textContent();
      return state === "Connected" || { state };
    });
  }

  /** The tile of `other` is uncovered, and its picture moves. */
  async seesTileMove(other, options) {
    const video = this.pictureOf(other).locator("video");
    const frames = new Set();
    await eventually(`${this.name} sees ${other.name}'s tile move`, async () => {
      if ((await video.count()) !== 1) return { tiles: await video.count() };
      frames.add(await video.evaluate((element) => lab.fingerprint(element)));
      return frames.size >= MOVING_FRAMES || [...frames];
    }, options);
  }

  /** Shares a tab that shows one slide, which never moves. */
  async sharesSlide() {
    const slide = await this.#screen.context().newPage();
    await slide.setViewportSize({ width: 1280, height: 720 });
    await slide.setContent(slideCalled(SHARED_TAB));
    await this.button("Share your screen").click();
  }

  /** Lets the page's own ear find the microphones of the others, by their names. */
  async #listens() {
    await this.page.evaluate(() => {
      lab.find = (name) => [...strait.participants.values()].find((other) => other.name === name)?.track("microphone");
    });
  }

  /** The tone of `other`, who is no visitor. */
  async hears(other, options) {
    await this.#listens();
    await hearsTone(this.page, other.name, other.hz, options);
  }

  /** How much of what is played of `other`'s microphone in that time is made up, from 0 to 1. */
  async concealmentOf(other, milliseconds) {
    await this.#listens();
    const counters = () =>
      this.page.evaluate(async (name) => {
        const stats = await lab.find(name).receiver.getStats();
        return [...stats.values()].find(({ type }) => type === "inbound-rtp");
      }, other.name);
    return concealment(counters, milliseconds);
  }

  /** The fake microphone beeps once a second. */
  async hearsBeep(other) {
    await this.#listens();
    await eventually(`${this.name} hears ${other.name} beep`, async () => {
      const sound = await this.page.evaluate((name) => lab.hear(name), other.name);
      return (sound !== null && sound.loudest > AUDIBLE) || sound;
    });
  }

  /** The mark of how the call travels, until it is `expected`. */
  async isMarked(expected) {
    await eventually(`${this.name}'s page says ${expected}`, async () => {
      const shown = await this.#screen.getByTestId("mode-indicator").textContent();
      return shown === expected || { shown };
    });
  }

  /** Nothing of the beeps comes. */
  async hearsNoBeep(other) {
    await this.#listens();
    await hearsSilence(this.page, other.name);
  }

  /** Waits until the screen shows `text`. */
  async reads(text, options) {
    await eventually(`${this.name} reads “${text}”`, async () => {
      const shown = await this.#screen.locator("body").innerText();
      return shown.includes(text) || shown;
    }, options);
  }

  /** Waits until `locator` is there, or, with `false`, is not. */
  async finds(locator, isThere = true) {
    const probe = async () => (await locator.isVisible()) === isThere || "otherwise";
    await eventually(`${this.name} finds ${locator}: ${isThere}`, probe);
  }
}
