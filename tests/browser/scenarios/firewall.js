// Somebody is behind a firewall, and the call connects by whatever it lets through.
import assert from "node:assert/strict";
import { allSeeAndHearAll, scenario } from "../harness/scenario.js";

const EVERYWHERE = { host: "0.0.0.0" };

scenario(
  "a network that lets everything through is crossed by UDP, on a page of the server's own certificate",
  async (world) => {
    const firewall = world.firewall();
    const anna = await world.entersBehind(firewall, "Anna");
    const ben = await world.enters("Ben");
    await allSeeAndHearAll([anna, ben]);
    await anna.travelsBy("UDP");
  },
  EVERYWHERE,
);

scenario(
  "where UDP is dropped, TCP carries the call",
  async (world) => {
    const firewall = world.firewall();
    firewall.dropsUdp();
    const anna = await world.entersBehind(firewall, "Anna");
    const ben = await world.enters("Ben");
    await allSeeAndHearAll([anna, ben]);
    await anna.travelsBy("TCP");
    await ben.travelsBy("UDP");
  },
  EVERYWHERE,
);

scenario(
  "a call survives a network that begins to drop UDP, and goes back to UDP when that is over",
  async (world) => {
    const firewall = world.firewall();
    const anna = await world.entersBehind(firewall, "Anna");
    const ben = await world.enters("Ben");
    await allSeeAndHearAll([anna, ben]);
    await anna.travelsBy("UDP");
    const id = await anna.id();
    firewall.dropsUdp();
    await anna.travelsBy("TCP");
    await allSeeAndHearAll([anna, ben]);
    firewall.letsAllThrough();
    await anna.travelsBy("UDP");
    await allSeeAndHearAll([anna, ben]);
    assert.equal(await anna.id(), id, "the same participant all along");
  },
  EVERYWHERE,
);

scenario(
  "when a network is gone for a while, ICE is restarted and the same participant goes on",
  async (world) => {
    const firewall = world.firewall();
    const anna = await world.entersBehind(firewall, "Anna");
    const ben = await world.enters("Ben");
    await allSeeAndHearAll([anna, ben]);
    const id = await anna.id();
    assert.equal(await anna.iceRestarts(), 0);
    firewall.dropsAll();
    await anna.hasIce("disconnected");
    firewall.letsAllThrough();
    await allSeeAndHearAll([anna, ben]);
    assert.equal(await anna.iceRestarts(), 1);
    assert.equal(await anna.id(), id, "the same participant all along");
  },
  EVERYWHERE,
);

scenario(
  "where an HTTP proxy is the only way out, TCP carries the call through it",
  async (world) => {
    const firewall = world.firewall();
    const proxy = await firewall.letsOnlyProxyThrough();
    const anna = await world.entersBehind(firewall, "Anna");
    const ben = await world.enters("Ben");
    await allSeeAndHearAll([anna, ben]);
    await anna.travelsBy("TCP");
    assert.ok(proxy.tunnels >= 2, `page and media go through the proxy: ${proxy.tunnels} tunnels`);
  },
  EVERYWHERE,
);
