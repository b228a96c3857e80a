// A minimal WHEP player in a page: it sees and hears whoever joined first, then the next.
import assert from "node:assert/strict";
import { scenario } from "../harness/scenario.js";

/** Views a room by WHEP with nothing but the browser; the eye and the ear find what comes by its kind. */
const watch = (person, room) =>
  person.page.evaluate(async (room) => {
    const peer = new RTCPeerConnection();
    const tracks = {};
    lab.find = (key) => tracks[key];
    peer.ontrack = ({ track }) => {
      const stream = { muted: true, autoplay: true, srcObject: new MediaStream([track]) };
      const attach = (element) => Object.assign(element, stream);
      tracks[track.kind] = { mediaStreamTrack: track, attach, covered: false };
    };
    for (const kind of ["audio", "video"]) peer.addTransceiver(kind, { direction: "recvonly" });
    await peer.setLocalDescription();
    const response = await fetch(`/whep/${room}?name=Watcher`, {
      method: "POST",
      headers: { "Content-Type": "application/sdp" },
      body: peer.localDescription.sdp,
    });
    if (response.status !== 201) throw new Error(`${response.status}: ${await response.text()}`);
    await peer.setRemoteDescription({ type: "answer", sdp: await response.text() });
    lab.stopWatching = async () => {
      const { status } = await fetch(response.headers.get("location"), { method: "DELETE" });
      peer.close();
      return status;
    };
  }, room);

scenario("a WHEP player sees and hears who joined first, then the next", async (world) => {
  const anna = await world.enters("Anna");
  const ben = await world.enters("Ben");
  await anna.sees(ben);
  const watcher = await world.arrives("Watcher");
  await watch(watcher, world.room);
  await watcher.seesAndHearsBare(anna);
  await anna.leaves();
  await watcher.seesAndHearsBare(ben);
  assert.equal(await watcher.page.evaluate(() => lab.stopWatching()), 200);
  await ben.isToldOf(watcher, null);
});
