// A back end in Node with LiveKit's own library: what it is told of a call by webhooks, and what it asks of the room service.
import assert from "node:assert/strict";
import { createServer } from "node:http";
import { once } from "node:events";
import { text } from "node:stream/consumers";
import { RoomServiceClient, WebhookReceiver } from "livekit-server-sdk";
import { eventually } from "../harness/eventually.js";
import { scenario } from "../harness/scenario.js";

const SECRET = "a-secret-that-only-the-back-end-of-these-people-has";

const told = [];
const refused = [];
const receiver = new WebhookReceiver("team", SECRET);
const stranger = new WebhookReceiver("team", `${SECRET}-of-somebody-else`);
const backEnd = createServer(async (request, response) => {
  const body = await text(request);
  // Each throws unless the token is signed by its key, is valid now, and has the hash of this body.
  await stranger.receive(body, request.headers.authorization).catch((error) => refused.push(error));
  told.push(await receiver.receive(body, request.headers.authorization));
  response.end();
});
backEnd.listen(0, "127.0.0.1");
await once(backEnd, "listening");
backEnd.unref();

const isTold = (event) =>
  eventually(`the back end is told of ${event}`, () => told.some((one) => one.event === event) || told);

scenario(
  "LiveKit's receiver takes what a back end is told of a call",
  async (world) => {
    const anna = await world.enters("Anna");
    await isTold("track_published");
    await anna.leaves();
    await isTold("room_finished");
    const kinds = told.map(({ event }) => event);
    assert.deepEqual(kinds.slice(0, 2), ["room_started", "participant_joined"]);
    assert.deepEqual(kinds.slice(-2), ["participant_left", "room_finished"]);
    assert.equal(told[1].participant.name, "Anna");
    assert.deepEqual(new Set(told.map(({ room }) => room.name)), new Set([world.room]));
    assert.equal(refused.length, told.length, "nobody else's key will do");
  },
  {
    config: {
      auth: { keys: `team=${SECRET}` },
      rooms: { empty_timeout: 0 },
      webhooks: { urls: `http://127.0.0.1:${backEnd.address().port}/` },
    },
  },
);

scenario(
  "LiveKit's library makes a room, sees who is in it, mutes, and removes them",
  async (world) => {
    const service = new RoomServiceClient(`http://127.0.0.1:${world.server.port}`, "team", SECRET);
    const made = await service.createRoom({ name: world.room, metadata: "for friends", emptyTimeout: 60 });
    assert.deepEqual([made.name, made.metadata, made.emptyTimeout], [world.room, "for friends", 60]);
    const anna = await world.enters("Anna");
    const ben = await world.enters("Ben");
    await anna.hears(ben);
    const people = await service.listParticipants(world.room);
    assert.deepEqual(people.map(({ name }) => name).sort(), ["Anna", "Ben"]);
    const { identity, tracks } = people.find(({ name }) => name === "Ben");
    const microphone = tracks.find(({ mimeType }) => mimeType.startsWith("audio/"));
    const muted = await service.mutePublishedTrack(world.room, identity, microphone.sid, true);
    assert.equal(muted.muted, true);
    await anna.isToldOfTrack(ben, "microphone", { muted: true });
    await service.removeParticipant(world.room, identity);
    await anna.isToldOf(ben, null);
    await assert.rejects(service.getParticipant(world.room, identity), { status: 404, code: "not_found" });
  },
  { config: { auth: { keys: `team=${SECRET}` } } },
);
