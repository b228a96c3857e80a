// A call of real pages is recorded on a server with fifty rooms. Its trace replays bit for bit elsewhere, and tells
// what happened.
import assert from "node:assert/strict";
import { mkdtempSync, readdirSync, realpathSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { openPage } from "../harness/browsers.js";
import { eventually } from "../harness/eventually.js";
import { debugPath, releasePath } from "../harness/programs.js";
import { allSeeAndHearAll, scenario } from "../harness/scenario.js";
import { captured, explained, strait, straitElsewhere } from "../harness/trace.js";

const folder = mkdtempSync(join(tmpdir(), "strait-traces-"));
process.on("exit", () => rmSync(folder, { recursive: true, force: true }));

const OTHER_ROOMS = 49;
const LOSS_PERCENT = 12;
const LOST_AT_LEAST = 40;
const PICTURES = 24;
const IS_EXACT = /^room story: bit-exact: \d{4,} inputs, \d{4,} outputs, [\d.]+ s of call time in [\d.]+ s$/m;

scenario(
  "a call with joins, leaves, mutes, loss and an ICE restart replays bit for bit, and tells its story",
  async (world) => {
    await world.fills(OTHER_ROOMS);
    const trace = await call(world);
    await replaysBitForBit(trace);
    await tellsItsStory(trace);
    await isDrawn(trace);
    await opensInWireshark(trace, world.server.port);
    await givesBackMedia(trace);
  },
  { host: "0.0.0.0", config: { record: { dir: folder, rooms: "story" } } },
);

/** The call; answers its trace. */
async function call(world) {
  const { port } = world.server;
  const firewall = world.firewall();
  const anna = await world.entersBehind(firewall, "Anna");
  const ben = await world.enters("Ben");
  await allSeeAndHearAll([anna, ben]);
  assert.equal((await world.server.rooms()).length, OTHER_ROOMS + 1);

  const hasLost = () => eventually("packets are lost", () => firewall.lost() >= LOST_AT_LEAST || firewall.lost());
  firewall.losesFrom(port, LOSS_PERCENT);
  await hasLost();
  const cleo = await world.enters("Cleo");
  await allSeeAndHearAll([anna, ben, cleo]);
  await cleo.leaves();
  await anna.isToldOf(cleo, null);
  firewall.losesTo(port, LOSS_PERCENT);
  await hasLost();
  await allSeeAndHearAll([anna, ben]);
  firewall.letsAllThrough();

  await ben.mutes("camera");
  await anna.isToldOfTrack(ben, "camera", { muted: true });
  await anna.seesNothingNewOf(ben);
  await ben.unmutes("camera");
  await anna.sees(ben);
  // What stands still has to have moved for a while.
  const shown = async () => (await anna.receptionOf(ben)).framesDecoded;
  const before = await shown();
  await eventually("Ben's camera goes on", async () => (await shown()) >= before + PICTURES || (await shown()));

  firewall.dropsAll();
  await ben.isToldOf(anna, "reconnecting");
  firewall.letsAllThrough();
  await ben.isToldOf(anna, "connected");
  await allSeeAndHearAll([anna, ben]);
  assert.ok((await anna.iceRestarts()) >= 1, "ICE was restarted");

  await ben.leaves();
  await anna.isToldOf(ben, null);
  assert.equal((await world.server.rooms()).length, OTHER_ROOMS + 1, "the others have been there all along");
  assert.equal(await world.server.kill("SIGTERM"), 0);
  const traces = readdirSync(folder);
  assert.equal(traces.length, 1, traces.join(", "));
  return join(folder, traces[0]);
}

async function replaysBitForBit(trace) {
  // `tests/run` compiles it beside the other scenarios.
  await eventually("the program as it is released is there", () => Boolean(releasePath()), { within: 600_000 });
  assert.notEqual(realpathSync(debugPath()), realpathSync(releasePath()), "two builds");
  for (const program of [debugPath(), releasePath()]) {
    for (const runs of [strait, straitElsewhere]) {
      const said = await runs(["replay", trace], { program });
      assert.match(said, IS_EXACT, program);
      assert.match(said, /the room ended/);
      console.log(`${program}: ${said.trim()}`);
    }
  }
}

async function tellsItsStory(trace) {
  const { room, stripped, participants } = await explained(trace);
  assert.deepEqual({ room, stripped }, { room: "story", stripped: false });
  assert.deepEqual(
    participants.map(({ name }) => name),
    ["Anna", "Ben", "Cleo"],
  );
  const [anna, ben, cleo] = participants;
  const log = () => JSON.stringify(participants, null, 1);
  const when = (person, kind) => {
    const found = person.timeline.find((entry) => entry.kind === kind);
    assert.ok(found, `no ${kind} of ${person.name} in ${log()}`);
    return found.at;
  };
  // To the second: loss is told by seconds.
  const inOrder = (...moments) => {
    const seconds = moments.map(Math.floor);
    assert.deepEqual(seconds, seconds.toSorted((a, b) => a - b), log());
  };
  for (const person of participants) {
    assert.equal(person.routes[0].by, "UDP");
    assert.ok(person.routes.every(({ by }) => by === "UDP" || (by === null && person === anna)), log());
    assert.deepEqual(new Set(person.publishes.map(({ source }) => source)), new Set(["microphone", "camera"]));
    inOrder(when(person, "joined"), when(person, "path"), when(person, "connected"), when(person, "left"));
  }
  // What everybody did, in the order in which they did it.
  inOrder(
    when(ben, "connected"),
    when(anna, "loss-down"),
    when(cleo, "joined"),
    when(cleo, "left"),
    when(anna, "loss-up"),
    when(ben, "muted"),
    when(ben, "unmuted"),
    when(anna, "ice-restart"),
    when(ben, "left"),
    when(anna, "left"),
  );
  const [muted] = ben.publishes.find(({ source }) => source === "camera").muted;
  assert.ok(muted.from < muted.to, log());
  // While nothing got through, both stood still, each by the way between Anna and the server.
  const longest = (viewer, owner) => {
    const cameras = viewer.watches.filter(({ of, source }) => of === owner.name && source === "camera");
    return cameras.flatMap(({ freezes }) => freezes).toSorted((a, b) => b.to - b.from - (a.to - a.from))[0];
  };
  for (const [viewer, owner, blame] of [
    [anna, ben, "subscriber-downlink"],
    [ben, anna, "publisher-uplink"],
  ]) {
    const freeze = longest(viewer, owner);
    assert.equal(freeze?.blame, blame, log());
    assert.ok(freeze.from < when(anna, "path-lost") && freeze.to > when(anna, "path-back"), log());
  }
  // Loss is told of the hops that lost something, when they did, and of no others.
  for (const hop of [anna.downlink, anna.uplink]) assert.ok(hop.restored > 0 && hop.lost > hop.restored, log());
  const uphill = Math.floor(when(cleo, "left"));
  for (const { published, seconds } of anna.publishes) {
    const before = seconds.slice(0, uphill - Math.floor(published.from));
    assert.ok(before.length > 1 && before.every(({ lost }) => lost === 0), log());
  }
  const few = Math.min(anna.downlink.lost, anna.uplink.lost) / 10;
  for (const { uplink, downlink } of [ben, cleo]) assert.ok(uplink.lost + downlink.lost < few, log());

  const words = await strait(["explain", trace]);
  for (const told of ["restarted ICE", "muted the camera", "sees Ben's camera", "lost on the way from the server"]) {
    assert.ok(words.includes(told), `no "${told}" in ${words}`);
  }
}

/** The page opens in a browser, says nothing on its console, and has a lane for each. */
async function isDrawn(trace) {
  const drawing = join(folder, "call.html");
  await strait(["explain", trace, "--html", drawing]);
  const page = await openPage("chromium");
  try {
    await page.goto(pathToFileURL(drawing).href);
    const names = await page.evaluate(() => [...document.querySelectorAll("g.lane .name")].map((e) => e.textContent));
    assert.deepEqual(names, ["Anna", "Ben", "Cleo"]);
    const drawn = await page.evaluate(() =>
      [...document.querySelectorAll("g.lane")].every((lane) => {
        const { width, height } = lane.getBoundingClientRect();
        return width > 500 && height > 100;
      }),
    );
    assert.ok(drawn, "the lanes can be seen");
    assert.deepEqual(page.console, []);
  } finally {
    await page.close();
  }
}

async function opensInWireshark(trace, port) {
  const capture = join(folder, "call.pcap");
  await strait(["replay", trace, "--pcap", capture]);
  const ports = ["udp.srcport", "udp.dstport"];
  const malformed = captured(capture, { port, filter: "_ws.malformed", fields: ["frame.number"] });
  assert.deepEqual(malformed, [], "every packet can be read");
  const packets = captured(capture, { port, filter: "rtp", fields: ["rtp.ssrc", "rtp.p_type", ...ports] });
  const from = (wanted) => packets.filter((packet) => Number(packet["udp.srcport"]) === port === wanted);
  const streams = (some) => new Set(some.map((packet) => packet["rtp.ssrc"])).size;
  assert.ok(streams(from(false)) >= 6, `${streams(from(false))} streams that came`);
  assert.ok(streams(from(true)) >= 6, `${streams(from(true))} streams that left`);
  const reports = captured(capture, { port, filter: "rtcp", fields: ["rtcp.pt"] });
  const kinds = new Set(reports.flatMap((packet) => packet["rtcp.pt"].split(",")));
  for (const kind of ["200", "201", "205", "206"]) assert.ok(kinds.has(kind), `RTCP ${kind} in ${[...kinds]}`);
}

async function givesBackMedia(trace) {
  const media = join(folder, "media");
  await strait(["replay", trace, "--media", media, "--participant", "Ben"]);
  const tracks = readdirSync(media).map((name) => name.replace(/-[0-9a-f]{8}\./, "."));
  assert.ok(tracks.includes("Ben-microphone.ogg"), tracks.join(", "));
  assert.ok(tracks.some((name) => name.startsWith("Ben-camera.")), tracks.join(", "));
  assert.ok(!tracks.some((name) => name.startsWith("Anna")), tracks.join(", "));
}
