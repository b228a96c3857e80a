// A network of its own for one browser: a namespace that reaches the server through a router with a
// firewall, and nothing else. Needs root, `ip` and `nft`; all that it makes is gone after the test.
import { execFileSync } from "node:child_process";
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { launchChromium, launchFirefox } from "./browsers.js";
import { ConnectProxy } from "./connect-proxy.js";
import { Doorway } from "./doorway.js";
import { chromiumPath, firefoxPath, ipPath, nftPath, tcPath } from "./programs.js";

let made = 0;

/** Lanes run beside each other, each in a process, and must not have networks of one address. */
const LANE = process.env.STRAIT_LANE === "second" ? 1 : 0;

/** Silence both ways, as firewalls do it; not an error that the sender would notice. */
const SILENT = "drop";

export class Firewall {
  /** This machine's end of the way to the router. */
  #near = null;
  #guest;
  #router;
  #wrappers;
  /** The browsers that were launched, by name. */
  #browsers = new Map();
  /** The guest's network, without the last number of its addresses. */
  #net;
  #guestDevice;
  /** The router's end of the way to the guest. */
  #routerDevice;
  /** The guest's address, one of two. */
  #guestHost = 10;
  #authority = null;
  #doorway = null;
  #proxy = null;
  #isNarrow = false;

  get #guestAddress() {
    return `${this.#net}.${this.#guestHost}/29`;
  }

  /** Lets everything through, and nothing is narrow. */
  reset() {
    this.letsAllThrough();
    if (this.#isNarrow) this.widens();
  }

  /** Three machines in a row: this one, a router, and the guest's. */
  static open() {
    const firewall = new Firewall();
    const name = `strait-${process.pid}-${made++}`;
    firewall.#guest = `${name}-guest`;
    firewall.#router = `${name}-router`;
    // A network that nobody else on this machine has: the kernel names interfaces by at most 15 letters.
    const net = `10.${64 + 2 * (process.pid % 32) + LANE}.${made % 256}`;
    const [near, far, inner, outer] = ["a", "b", "c", "d"].map((letter) => `sv${process.pid}${letter}${made}`);
    firewall.address = `${net}.1`;
    firewall.#net = net;
    firewall.#guestDevice = outer;
    firewall.#routerDevice = inner;
    try {
      ip("netns", "add", firewall.#guest);
      ip("netns", "add", firewall.#router);
      ip("link", "add", near, "type", "veth", "peer", far, "netns", firewall.#router);
      ip("-n", firewall.#router, "link", "add", inner, "type", "veth", "peer", outer, "netns", firewall.#guest);
      firewall.#near = near;
      // An address that the kernel adds by itself a second later is a change of network to a browser, which then
      // gives up whatever it is loading (ERR_NETWORK_CHANGED).
      ip("link", "set", near, "addrgenmode", "none");
      for (const device of [far, inner]) ip("-n", firewall.#router, "link", "set", device, "addrgenmode", "none");
      ip("-n", firewall.#guest, "link", "set", outer, "addrgenmode", "none");
      ip("address", "add", `${net}.1/30`, "dev", near);
      ip("link", "set", near, "up");
      for (const [address, device] of [
        [`${net}.2/30`, far],
        [`${net}.9/29`, inner],
      ]) {
        ip("-n", firewall.#router, "address", "add", address, "dev", device);
        ip("-n", firewall.#router, "link", "set", device, "up");
      }
      ip("-n", firewall.#guest, "address", "add", firewall.#guestAddress, "dev", outer);
      ip("-n", firewall.#guest, "link", "set", outer, "up");
      ip("-n", firewall.#guest, "link", "set", "lo", "up");
      ip("-n", firewall.#guest, "route", "add", `${net}.0/30`, "via", `${net}.9`);
      ip("route", "add", `${net}.8/29`, "via", `${net}.2`);
      ip("netns", "exec", firewall.#router, "sh", "-c", "echo 1 > /proc/sys/net/ipv4/ip_forward");
    } catch (error) {
      firewall.#remove();
      throw error;
    }
    return firewall;
  }

  /** What the router lets through from now on: everything but what `rules`, lines of `nft`, drop. */
  lets(rules) {
    const chain = `add chain inet strait forward { type filter hook forward priority 0; policy accept; }`;
    const lines = ["add table inet strait", "delete table inet strait", "add table inet strait", chain];
    for (const rule of rules) lines.push(`add rule inet strait forward ${rule}`);
    execFileSync(ipPath(), ["netns", "exec", this.#router, nftPath(), "-f", "-"], { input: `${lines.join("\n")}\n` });
  }

  letsAllThrough() {
    this.lets([]);
  }

  /** Loses so many of a hundred UDP packets one way: those that come from a port of the server, or go to it. */
  losesFrom(port, percent) {
    this.lets([`udp sport ${port} numgen random mod 100 < ${percent} counter ${SILENT}`]);
  }

  losesTo(port, percent) {
    this.lets([`udp dport ${port} numgen random mod 100 < ${percent} counter ${SILENT}`]);
  }

  /**
   * What goes to the guest has to pass so many kbit/s, and waits for at most 300 ms in front of them.
   * @param {number} kbits
   */
  narrowsTo(kbits) {
    const shape = ["tbf", "rate", `${kbits}kbit`, "burst", "5kb", "latency", "300ms"];
    this.#shapes("replace", ...shape);
    this.#isNarrow = true;
  }

  /** The way to the guest is as wide as it was. */
  widens() {
    this.#shapes("delete");
    this.#isNarrow = false;
  }

  #shapes(verb, ...shape) {
    const words = ["netns", "exec", this.#router, tcPath(), "qdisc", verb, "dev", this.#routerDevice, "root"];
    execFileSync(ipPath(), [...words, ...shape], { stdio: ["ignore", "ignore", "pipe"] });
  }

  /** How often the present rule has lost something. */
  lost() {
    const words = ["netns", "exec", this.#router, nftPath(), "list", "chain", "inet", "strait", "forward"];
    return Number(/counter packets (\d+)/.exec(execFileSync(ipPath(), words, { encoding: "utf8" }))?.[1] ?? 0);
  }

  dropsUdp() {
    this.lets([`meta l4proto udp ${SILENT}`]);
  }

  /** Drops all but TCP to one port of the server. */
  letsOnlyTcpThrough(port) {
    this.lets([`tcp dport ${port} accept`, `tcp sport ${port} accept`, SILENT]);
  }

  /**
   * Drops all but TLS on one port of the server: a connection whose first bytes are no TLS record gets nothing more
   * through. What holds no payload, as far as the length tells, is for TCP itself.
   */
  letsOnlyTlsThrough(port) {
    const isOpen = "0x1";
    this.lets([
      `tcp sport ${port} accept`,
      `tcp dport ${port} ct mark ${isOpen} accept`,
      `tcp dport ${port} @ih,0,16 0x1603 ct mark set ${isOpen} accept`,
      `tcp dport ${port} meta length <= 60 accept`,
      SILENT,
    ]);
  }

  /** The guest's machine changes its address, as when it goes from one network to another. */
  movesGuest() {
    const before = this.#guestAddress;
    this.#guestHost = this.#guestHost === 10 ? 11 : 10;
    ip("-n", this.#guest, "address", "delete", before, "dev", this.#guestDevice);
    ip("-n", this.#guest, "address", "add", this.#guestAddress, "dev", this.#guestDevice);
    ip("-n", this.#guest, "route", "replace", `${this.#net}.0/30`, "via", `${this.#net}.9`);
  }

  /** The guest's Chromium trusts the certificates of this authority, and no other. */
  trusts(authority) {
    this.#authority = authority;
  }

  /** Drops all but what goes by way of an HTTP proxy, which the browser uses from its first page on. */
  async letsOnlyProxyThrough() {
    this.#proxy = await ConnectProxy.at(this.address);
    this.lets([`tcp dport ${this.#proxy.port} accept`, `tcp sport ${this.#proxy.port} accept`, SILENT]);
    return this.#proxy;
  }

  dropsAll() {
    this.lets([SILENT]);
  }

  /** A browser behind the firewall, for `World.enters`. */
  async browser(name = "chromium") {
    if (!this.#browsers.has(name)) this.#browsers.set(name, await this.#launch(name));
    return this.#browsers.get(name);
  }

  async #launch(name) {
    if (name === "firefox") {
      this.#doorway = await Doorway.into(this.#guest);
      const executablePath = this.#wrap(name, firefoxPath());
      return launchFirefox({ executablePath, debuggingPort: this.#doorway.port });
    }
    const home = this.#authority && `HOME=${this.#authority.home()} `;
    const flags = home ? [] : ["--ignore-certificate-errors"];
    if (this.#proxy) flags.push(`--proxy-server=http://${this.address}:${this.#proxy.port}`);
    return launchChromium({ executablePath: this.#wrap(name, chromiumPath(), home ?? ""), flags });
  }

  /** A program that starts another one on the guest's machine. */
  #wrap(name, program, environment = "") {
    this.#wrappers ??= mkdtempSync(join(tmpdir(), "strait-firewall-"));
    const wrapper = join(this.#wrappers, name);
    writeFileSync(wrapper, `#!/bin/sh\n${environment}exec ${ipPath()} netns exec ${this.#guest} ${program} "$@"\n`);
    chmodSync(wrapper, 0o755);
    return wrapper;
  }

  async close() {
    for (const browser of this.#browsers.values()) await browser.close();
    await this.#doorway?.close();
    await this.#proxy?.close();
    this.#remove();
  }

  #remove() {
    if (this.#wrappers) rmSync(this.#wrappers, { recursive: true, force: true });
    const parts = [
      ["netns", "delete", this.#guest],
      ["netns", "delete", this.#router],
    ];
    // It would go with the router, but some time later, when the next test's pages load.
    if (this.#near) parts.unshift(["link", "delete", this.#near]);
    for (const words of parts) {
      try {
        ip(...words);
      } catch {
        // It was never made.
      }
    }
  }
}

const ip = (...words) => execFileSync(ipPath(), words, { stdio: ["ignore", "ignore", "pipe"] });
