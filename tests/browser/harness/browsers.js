// One face over two browsers: Chromium by Playwright, Firefox by puppeteer (WebDriver BiDi). Each
// runs as one process for the whole run; every page lives in a fresh context of its own.
import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import { buildSync } from "esbuild";
import { chromium } from "playwright-core";
import puppeteer from "puppeteer-core";
import { chromiumPath, firefoxPath } from "./programs.js";
import { startSound } from "./sound.js";

/** Whoever shares something shares the tab with this title. */
export const SHARED_TAB = "What is shared";

const CHROMIUM_FLAGS = [
  `--auto-select-tab-capture-source-by-title=${SHARED_TAB}`,
  "--autoplay-policy=no-user-gesture-required",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-gpu",
  "--disable-quic",
  "--disable-sync",
  "--no-first-run",
  "--use-fake-device-for-media-stream",
];

/** What is recorded must not break off whenever a busy machine is late by a hundredth of a second. */
const AUDIBLE_FLAGS = ["--audio-buffer-size=4096"];
const AUDIBLE_PREFERENCES = { "media.cubeb_latency_mtg_frames": 4096, "media.cubeb_latency_playback_ms": 200 };

const FIREFOX_PREFERENCES = {
  "dom.min_background_timeout_value": 4,
  "dom.timeout.enable_budget_timer_throttling": false,
  "media.autoplay.blocking_policy": 0,
  "media.autoplay.default": 0,
  "media.navigator.permission.disabled": true,
  "media.navigator.streams.fake": true,
  "media.peerconnection.ice.obfuscate_host_addresses": false,
};

const PAGE_PARTS = ["synthetic", "senses", "loopback", "continuity", "attendee", "layers", "stopwatch", "voice"];
const PAGE_CODE = PAGE_PARTS.map((name) => readFileSync(resolve(import.meta.dirname, `../page/${name}.js`), "utf8"));

/**
 * The client of LiveKit as its authors publish it, and the page's code on it: the package `livekit-client`, or
 * `livekit-client-before`, the last that speaks version 0 of the signalling alone.
 */
export const livekitCode = (name) =>
  [`../node_modules/${name}/dist/livekit-client.umd.js`, "../page/livekit.js"].map((path) =>
    readFileSync(resolve(import.meta.dirname, path), "utf8"),
  );

let mediasoupClient = null;

/** The client of mediasoup, which its authors publish as modules, in one piece, and the page's code on it. */
export const mediasoupCode = () => {
  mediasoupClient ??= buildSync({
    entryPoints: ["mediasoup-client"],
    absWorkingDir: resolve(import.meta.dirname, ".."),
    bundle: true,
    format: "iife",
    globalName: "mediasoupClient",
    footer: { js: "globalThis.mediasoupClient = mediasoupClient;" },
    write: false,
  }).outputFiles[0].text;
  return [mediasoupClient, readFileSync(resolve(import.meta.dirname, "../page/mediasoup.js"), "utf8")];
};

/** A page of either browser. */
class Page {
  /** What the page said on its console, and its uncaught errors. */
  console = [];
  isClosed = false;

  constructor(browser, page, closeContext) {
    this.browser = browser;
    this.driver = page;
    this.closeContext = closeContext;
    page.on("console", (message) => this.console.push(`${message.type()}: ${message.text()}`));
    page.on("pageerror", (error) => this.console.push(`uncaught: ${error.stack ?? error}`));
  }

  async goto(url) {
    await this.driver.goto(url, { waitUntil: "load" });
  }

  /** Goes to `url` and puts the test's own page code beside whatever is there. */
  async gotoWithLab(url) {
    await this.goto(url);
    for (const code of PAGE_CODE) await this.driver.evaluate(code);
  }

  evaluate(task, argument) {
    return this.driver.evaluate(task, argument);
  }

  async close() {
    if (this.isClosed) return;
    this.isClosed = true;
    await this.closeContext();
  }
}

/**
 * A Chromium of its own, such as one behind a firewall; whoever launches it closes it.
 * @param {object} [options]
 * @param {boolean} [options.isAudible] what it plays is recorded
 */
export async function launchChromium({ executablePath = chromiumPath(), flags = [], isAudible = false } = {}) {
  const sound = isAudible ? await startSound() : null;
  const browser = await chromium.launch({
    executablePath,
    chromiumSandbox: false,
    args: [...CHROMIUM_FLAGS, ...(isAudible ? AUDIBLE_FLAGS : []), ...flags],
    ...(sound && { ignoreDefaultArgs: ["--mute-audio"], env: { ...process.env, ...sound.environment } }),
  });
  return {
    async open({ mayCapture }) {
      const permissions = mayCapture ? ["camera", "microphone"] : [];
      const context = await browser.newContext({ viewport: { width: 1000, height: 700 }, permissions });
      return new Page("chromium", await context.newPage(), () => context.close());
    },
    record: () => sound.record(),
    /** What its processes are and have used: `{type, id, cpuTime}`, of which the time is in seconds. */
    async processes() {
      const session = await browser.newBrowserCDPSession();
      const { processInfo } = await session.send("SystemInfo.getProcessInfo");
      await session.detach();
      return processInfo;
    },
    async close() {
      await browser.close();
      await sound?.stop();
    },
  };
}

/**
 * A Firefox of its own, which takes any certificate; whoever launches it closes it.
 * @param {object} [options]
 * @param {string} [options.executablePath]
 * @param {number} [options.debuggingPort] where it is driven from; left out: any
 * @param {boolean} [options.isAudible] what it plays is recorded
 */
export async function launchFirefox({ executablePath = firefoxPath(), debuggingPort, isAudible = false } = {}) {
  const sound = await startSound();
  const firefox = await puppeteer.launch({
    browser: "firefox",
    executablePath,
    debuggingPort,
    headless: true,
    acceptInsecureCerts: true,
    env: { ...process.env, ...sound.environment },
    extraPrefsFirefox: { ...FIREFOX_PREFERENCES, ...(isAudible && AUDIBLE_PREFERENCES) },
  });
  return {
    async open() {
      const context = await firefox.createBrowserContext();
      return new Page("firefox", await context.newPage(), () => context.close());
    },
    record: () => sound.record(),
    async close() {
      await firefox.close();
      await sound.stop();
    },
  };
}

const launchers = { chromium: launchChromium, firefox: launchFirefox };

const running = new Map();

/**
 * Opens an empty page in a fresh context; the browser is launched on first use.
 * @param {"chromium" | "firefox" | { open(options: object): Promise<Page> }} browser by name, or one that was launched
 * @param {object} [options]
 * @param {boolean} [options.mayCapture] whether Chromium allows camera and microphone, or denies them
 */
export async function openPage(browser, { mayCapture = true } = {}) {
  if (typeof browser !== "string") return browser.open({ mayCapture });
  if (!running.has(browser)) running.set(browser, launchers[browser]());
  return (await running.get(browser)).open({ mayCapture });
}

export async function closeBrowsers() {
  const browsers = [...running.values()];
  running.clear();
  for (const browser of browsers) await (await browser).close();
}
