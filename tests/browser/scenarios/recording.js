// A call of real pages is recorded, and its trace replays bit for bit in another process.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { straitPath } from "../harness/programs.js";
import { allSeeAndHearAll, scenario } from "../harness/scenario.js";

const strait = (...words) => promisify(execFile)(straitPath(), words, { maxBuffer: 64 * 1024 * 1024 });

const folder = mkdtempSync(join(tmpdir(), "strait-traces-"));
process.on("exit", () => rmSync(folder, { recursive: true, force: true }));

scenario(
  "a call with joins, leaves, mutes, loss and an ICE restart replays bit for bit",
  async (world) => {
    const firewall = world.firewall();
    const anna = await world.entersBehind(firewall, "Anna");
    const ben = await world.enters("Ben");
    await allSeeAndHearAll([anna, ben]);

    firewall.lets(["meta l4proto udp numgen random mod 100 < 3 drop"]);
    const cleo = await world.enters("Cleo");
    await allSeeAndHearAll([anna, ben, cleo]);
    await ben.mutes("camera");
    await anna.isToldOfTrack(ben, "camera", { muted: true });
    await ben.unmutes("camera");
    await anna.sees(ben);
    await cleo.leaves();
    await anna.isToldOf(cleo, null);

    firewall.dropsAll();
    await ben.isToldOf(anna, "reconnecting");
    firewall.letsAllThrough();
    await ben.isToldOf(anna, "connected");
    await allSeeAndHearAll([anna, ben]);
    assert.ok((await anna.iceRestarts()) >= 1, "ICE was restarted");

    // The server goes on to run elsewhere in the meantime; here it ends, and with it the room.
    assert.equal(await world.server.kill("SIGTERM"), 0);
    const traces = readdirSync(folder);
    assert.equal(traces.length, 1, traces.join(", "));
    const trace = join(folder, traces[0]);
    const { stdout } = await strait("replay", trace);
    assert.match(stdout, /bit-exact: \d+ inputs, \d+ outputs/);
    assert.match(stdout, /the room ended/);

    const media = join(folder, "media");
    await strait("replay", trace, "--media", media, "--participant", "Ben");
    const tracks = readdirSync(media).map((name) => name.replace(/-[0-9a-f]{8}\./, "."));
    assert.ok(tracks.includes("Ben-microphone.ogg"), tracks.join(", "));
    assert.ok(tracks.some((name) => name.startsWith("Ben-camera.")), tracks.join(", "));
    assert.ok(!tracks.some((name) => name.startsWith("Anna")), tracks.join(", "));
    console.log(stdout.trim());
  },
  { host: "0.0.0.0", config: { record: { dir: folder } } },
);
