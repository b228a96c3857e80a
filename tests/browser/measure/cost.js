// What calls cost the server's bandwidth and processor, straight and through it: bytes of media, as the server meters them, and
// of signalling, as the system counts those of its WebSockets. Prints Markdown, for what a month costs in docs/mesh.md.
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { closeBrowsers } from "../harness/browsers.js";
import { World } from "../harness/world.js";

const NAMES = ["Anna", "Ben", "Cleo"];
const SECONDS = 20;
const CAMERA = { width: 320, height: 180, fps: 12 };

/** Bytes of each of the server's TCP connections so far, both ways, by the other end's address. */
const tcpBytes = (port) => {
  const text = execFileSync("ss", ["-tinH", "state", "established", `sport = :${port}`], { encoding: "utf8" });
  const entries = text.matchAll(/^\S+\s+\S+\s+\S+\s+(\S+).*\n(.*)/gm);
  const total = (line) => [...line.matchAll(/bytes_(?:sent|received):(\d+)/g)].reduce((sum, [, bytes]) => sum + Number(bytes), 0);
  return new Map(Array.from(entries, ([, peer, line]) => [peer, total(line)]));
};

/** Of the connections that are there before and after: those are the WebSockets. */
const grown = (before, after) =>
  [...after].reduce((sum, [peer, bytes]) => sum + (before.has(peer) ? bytes - before.get(peer) : 0), 0);

const cpuSeconds = (pid) => {
  const fields = readFileSync(`/proc/${pid}/stat`, "utf8").split(") ")[1].split(" ");
  return (Number(fields[11]) + Number(fields[12])) / 100;
};

/** What the server has sent and received by UDP, in the hours that it knows. */
async function udpBytes({ origin }) {
  const response = await fetch(`${origin}/admin/v1/calls`, { headers: { connection: "close" } });
  const { hours } = await response.json();
  return hours.reduce((sum, { receivedBytes, sentBytes }) => sum + receivedBytes + sentBytes, 0);
}

async function measure(size, camera, mode) {
  const world = await World.open({ config: { mesh: { mode: mode === "p2p" ? "always" : "off" } } });
  try {
    const people = [];
    for (const name of NAMES.slice(0, size)) people.push(await world.enters(name, { camera, microphone: { noise: true } }));
    for (const person of people) {
      if (mode === "p2p") await person.goes("p2p");
      for (const other of people) if (other !== person && camera) await person.sees(other);
    }
    await sleep(5000);
    const { server } = world;
    const look = async () => [await udpBytes(server), tcpBytes(server.port), cpuSeconds(server.pid), performance.now()];
    const before = await look();
    await sleep(SECONDS * 1000);
    const after = await look();
    const [udp, , cpu, ms] = after.map((value, at) => value - before[at]);
    const tcp = grown(before[1], after[1]);
    const modes = (await server.rooms()).map((room) => room.mode).join();
    if (modes !== mode) throw new Error(`the call has become ${modes}`);
    return { udp: (udp * 1000) / ms, tcp: (tcp * 1000) / ms, cpu: (cpu * 100_000) / ms };
  } finally {
    await world.close();
  }
}

const kilobits = (bytes) => ((bytes * 8) / 1000).toFixed(bytes < 1000 ? 2 : 0);
console.log("| call | media, kbit/s | signalling, kbit/s | GB an hour | processor, % of a core | mesh against server |");
console.log("|---|--:|--:|--:|--:|--:|");
for (const [size, camera, what] of [
  [3, null, "3 people, sound"],
  [3, CAMERA, "3 people, sound and pictures of 320×180"],
]) {
  const served = await measure(size, camera, "sfu");
  const straight = await measure(size, camera, "p2p");
  const share = ((straight.udp + straight.tcp) / (served.udp + served.tcp)) * 100;
  for (const [name, { udp, tcp, cpu }] of Object.entries({ "through the server": served, straight })) {
    const gigabytes = ((udp + tcp) * 3600) / 1e9;
    const against = name === "straight" ? `${share.toFixed(2)} %` : "";
    console.log(
      `| ${what}, ${name} | ${kilobits(udp)} | ${kilobits(tcp)} | ${gigabytes.toFixed(4)} | ${cpu.toFixed(1)} | ${against} |`,
    );
  }
}
await closeBrowsers();
