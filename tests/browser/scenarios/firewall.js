// Somebody is behind a firewall, and the call connects by whatever it lets through.
import assert from "node:assert/strict";
import { allSeeAndHearAll, scenario } from "../harness/scenario.js";

const EVERYWHERE = { host: "0.0.0.0" };

/** Anna behind a firewall, and Ben, who stands beside the server. */
const pairAcross = async (world, firewall, options) => {
  const anna = await world.entersBehind(firewall, "Anna", options);
  const ben = await world.enters("Ben");
  await allSeeAndHearAll([anna, ben]);
  return [anna, ben];
};

scenario(
  "a network that lets everything through is crossed by UDP, on a page of the server's own certificate",
  async (world) => {
    const [anna] = await pairAcross(world, world.firewall());
    await anna.travelsBy("UDP");
  },
  EVERYWHERE,
);

scenario(
  "where UDP is dropped, TCP carries the call",
  async (world) => {
    const firewall = world.firewall();
    firewall.dropsUdp();
    const [anna, ben] = await pairAcross(world, firewall);
    await anna.travelsBy("TCP");
    await ben.travelsBy("UDP");
  },
  EVERYWHERE,
);

scenario(
  "where nothing but TCP to the port is let through, it carries the page and the call",
  async (world) => {
    const firewall = world.firewall();
    firewall.letsOnlyTcpThrough(world.server.port);
    const [anna] = await pairAcross(world, firewall);
    await anna.travelsBy("TCP");
  },
  EVERYWHERE,
);

scenario(
  "a call survives a network that begins to drop UDP, and goes back to UDP when that is over",
  async (world) => {
    const firewall = world.firewall();
    const [anna, ben] = await pairAcross(world, firewall);
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
  "whose machine changes its address in mid-call goes on as the same participant",
  async (world) => {
    const firewall = world.firewall();
    const [anna, ben] = await pairAcross(world, firewall);
    const id = await anna.id();
    firewall.movesGuest();
    await allSeeAndHearAll([anna, ben]);
    assert.equal(await anna.id(), id, "the same participant all along");
  },
  EVERYWHERE,
);

scenario(
  "when a network is gone for a while, ICE is restarted and the same participant goes on",
  async (world) => {
    const firewall = world.firewall();
    const [anna, ben] = await pairAcross(world, firewall);
    const id = await anna.id();
    assert.equal(await anna.iceRestarts(), 0);
    firewall.dropsAll();
    await anna.hasIce("disconnected");
    firewall.letsAllThrough();
    await allSeeAndHearAll([anna, ben]);
    assert.ok((await anna.iceRestarts()) >= 1);
    assert.equal(await anna.id(), id, "the same participant all along");
  },
  EVERYWHERE,
);

scenario(
  "where an HTTP proxy is the only way out, TCP carries the call through it",
  async (world) => {
    const firewall = world.firewall({ isOwn: true });
    const proxy = await firewall.letsOnlyProxyThrough();
    const [anna] = await pairAcross(world, firewall);
    await anna.travelsBy("TCP");
    assert.ok(proxy.tunnels >= 2, `page and media go through the proxy: ${proxy.tunnels} tunnels`);
  },
  EVERYWHERE,
);

scenario(
  "Firefox crosses a network that lets everything through by UDP",
  async (world) => {
    const [anna] = await pairAcross(world, world.firewall(), { browser: "firefox" });
    await anna.travelsBy("UDP");
  },
  EVERYWHERE,
);

scenario(
  "Firefox goes by TCP where UDP is dropped",
  async (world) => {
    const firewall = world.firewall();
    firewall.dropsUdp();
    const [anna] = await pairAcross(world, firewall, { browser: "firefox" });
    await anna.travelsBy("TCP");
  },
  EVERYWHERE,
);

scenario(
  "where only TLS to the port is let through, TURN over TLS carries the call",
  async (world) => {
    const firewall = world.firewall();
    firewall.letsOnlyTlsThrough(world.server.port);
    const [anna] = await pairAcross(world, firewall);
    await anna.travelsBy("TURN over TLS");
  },
  { ...EVERYWHERE, isCertified: true },
);

scenario(
  "a network that lets only TLS through from some moment on does not end the call",
  async (world) => {
    const firewall = world.firewall();
    const [anna, ben] = await pairAcross(world, firewall);
    await anna.travelsBy("UDP");
    const id = await anna.id();
    firewall.letsOnlyTlsThrough(world.server.port);
    await anna.travelsBy("TURN over TLS");
    await allSeeAndHearAll([anna, ben]);
    assert.equal(await anna.id(), id, "the same participant all along");
  },
  { ...EVERYWHERE, isCertified: true },
);

scenario(
  "on port 443 of a private address, where Chromium takes no direct way, TURN carries the call",
  async (world) => {
    const [anna] = await pairAcross(world, world.firewall());
    await anna.travelsBy(/^TURN over/);
  },
  { ...EVERYWHERE, port: 443 },
);
