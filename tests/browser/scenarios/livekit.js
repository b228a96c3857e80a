// The unmodified client of LiveKit in our rooms, alone and beside our own.
import assert from "node:assert/strict";
import { openConference } from "../harness/app.js";
import { eventually } from "../harness/eventually.js";
import { GUARDED, token } from "../harness/livekit-token.js";
import { allSeeAndHearAll, scenario } from "../harness/scenario.js";

const LIVEKIT = { sdk: "livekit-client" };
const FIREFOX = { sdk: "livekit-client", browser: "firefox" };
/** The last client that knows version 0 of the signalling alone, on which the server makes offers, too. */
const BEFORE = { sdk: "livekit-client-before" };
/** Firefox has no loopback candidates: the server must be reachable at an address of an interface too. */
const EVERYWHERE = { host: "[::]" };

/** Enters by a token of their own. */
const entersBy = (world, name, video, options = {}) =>
  world.enters(name, { ...LIVEKIT, token: token(name, video), ...options });

/** What `person` was told in that list of the page's, until all of `expected` is in it. */
const isTold = (person, list, ...expected) =>
  eventually(`${person.name} is told ${expected}`, async () => {
    const told = await person.page.evaluate((list) => lab[list], list);
    return expected.every((one) => told.includes(one)) || told;
  });

scenario("two people on LiveKit's client hear and see each other", async (world) => {
  const anna = await world.enters("Anna", LIVEKIT);
  const ben = await world.enters("Ben", LIVEKIT);
  await allSeeAndHearAll([anna, ben]);
});

scenario("people on LiveKit's client and on ours hear and see each other, whoever comes first", async (world) => {
  const anna = await world.enters("Anna", LIVEKIT);
  const ben = await world.enters("Ben");
  const cleo = await world.enters("Cleo", LIVEKIT);
  await allSeeAndHearAll([anna, ben, cleo]);
});

scenario("who joins late on LiveKit's client gets picture and sound at once", async (world) => {
  const anna = await world.enters("Anna", LIVEKIT);
  const ben = await world.enters("Ben");
  await allSeeAndHearAll([anna, ben]);
  const cleo = await world.enters("Cleo", { ...LIVEKIT, camera: null, microphone: null });
  await Promise.all([anna, ben].map((other) => cleo.seesAndHears(other, { within: 10_000 })));
});

scenario("what is muted on LiveKit's client is silent and still for others, until it is unmuted", async (world) => {
  const anna = await world.enters("Anna", LIVEKIT);
  const ben = await world.enters("Ben", LIVEKIT);
  const cleo = await world.enters("Cleo");
  await allSeeAndHearAll([anna, ben, cleo]);
  await anna.mutes("microphone");
  await anna.mutes("camera");
  await Promise.all([ben, cleo].map((other) => other.isToldOfTrack(anna, "camera", { muted: true })));
  await Promise.all([ben, cleo].flatMap((other) => [other.hearsSilenceFrom(anna), other.seesNothingNewOf(anna)]));
  await cleo.mutes("microphone");
  await Promise.all([anna, ben].map((other) => other.hearsSilenceFrom(cleo)));
  await anna.unmutes("microphone");
  await anna.unmutes("camera");
  await cleo.unmutes("microphone");
  await allSeeAndHearAll([anna, ben, cleo]);
});

scenario("a track that is no longer published is gone for others, and one that is published later comes", async (world) => {
  const anna = await world.enters("Anna", LIVEKIT);
  const ben = await world.enters("Ben", LIVEKIT);
  const cleo = await world.enters("Cleo");
  await allSeeAndHearAll([anna, ben, cleo]);
  await anna.sharesScreen("white");
  await Promise.all([ben, cleo].map((other) => other.sees(anna, { source: "screen", colour: "white" })));
  await anna.stopsSharingScreen();
  await Promise.all([ben, cleo].map((other) => other.isToldOfTrack(anna, "screen", null)));
  await anna.sharesScreen("grey");
  await Promise.all([ben, cleo].map((other) => other.sees(anna, { source: "screen", colour: "grey" })));
  await allSeeAndHearAll([anna, ben, cleo]);
});

scenario("who leaves is gone, and who comes in their place is not taken for them", async (world) => {
  const anna = await world.enters("Anna", LIVEKIT);
  const ben = await world.enters("Ben", LIVEKIT);
  const cleo = await world.enters("Cleo");
  await allSeeAndHearAll([anna, ben, cleo]);
  await ben.leaves();
  await Promise.all([anna, cleo].map((other) => other.isToldOf(ben, null, { within: 10_000 })));
  const dan = await world.enters("Dan", LIVEKIT);
  await allSeeAndHearAll([anna, cleo, dan]);
  await cleo.leaves();
  await anna.isToldOf(cleo, null, { within: 10_000 });
  await anna.closesTab();
  await dan.isToldOf(anna, null);
});

scenario("more people than LiveKit's client has sections for at first hear and see each other", async (world) => {
  const camera = { fps: 10 };
  const people = [];
  for (const name of ["Anna", "Ben", "Cleo", "Dan", "Eva"]) {
    people.push(await world.enters(name, { camera, ...(name === "Eva" ? {} : LIVEKIT) }));
  }
  await allSeeAndHearAll(people);
});

scenario("who unsubscribes from a track sees it no more, until they subscribe again", async (world) => {
  const anna = await world.enters("Anna", LIVEKIT);
  const ben = await world.enters("Ben");
  await allSeeAndHearAll([anna, ben]);
  await anna.subscription(ben, "camera", "unsubscribe");
  await anna.isToldOfTrack(ben, "camera", { status: "waiting" });
  await anna.hears(ben);
  await anna.subscription(ben, "camera", "subscribe");
  await anna.sees(ben);
});

scenario("who comes in by the identity of somebody takes their place", async (world) => {
  const anna = await world.enters("Anna", LIVEKIT);
  const ben = await world.enters("Ben", LIVEKIT);
  await allSeeAndHearAll([anna, ben]);
  const again = await world.enters("Anna", { ...LIVEKIT, like: anna });
  await isTold(anna, "connection", "disconnected DUPLICATE_IDENTITY");
  await allSeeAndHearAll([again, ben]);
});

scenario("messages, streams and calls of LiveKit's clients reach those whom they are for, also on ours", async (world) => {
  const silent = { camera: null, microphone: null };
  const anna = await world.enters("Anna", { ...LIVEKIT, ...silent });
  const ben = await world.enters("Ben", { ...LIVEKIT, ...silent });
  const cleo = await world.enters("Cleo", silent);
  await Promise.all([ben, cleo].map((other) => anna.isToldOf(other, "connected")));
  await anna.says("chat", "to all");
  await anna.says("secret", "to Ben", { to: ["Ben"] });
  await anna.says("chat", "what is late", { lossy: true });
  await anna.page.evaluate(() => lab.stream("word by word"));
  await ben.isTold({ from: "Anna", topic: "chat", payload: "to all" });
  await ben.isTold({ from: "Anna", topic: "secret", payload: "to Ben" });
  await ben.isTold({ from: "Anna", topic: "chat", payload: "what is late" });
  await ben.isTold({ from: "Anna", topic: "stream", payload: "word by word" });
  await eventually("Cleo gets what is for her", async () => (await cleo.messages("chat")).length === 2);
  assert.deepEqual(await cleo.messages("secret"), []);
  await cleo.says("chat", "from Cleo");
  for (const other of [anna, ben]) await other.isTold({ from: "Cleo", topic: "chat", payload: '"from Cleo"' });
  assert.equal(await anna.page.evaluate(() => lab.greet("Ben", "hello")), "hello, Anna");
});

scenario(
  "frames of data tracks reach those who subscribe to them, also late and after a break, until they are published no more",
  async (world) => {
    const silent = { camera: null, microphone: null };
    const anna = await entersBy(world, "Anna", {}, silent);
    const ben = await entersBy(world, "Ben", {}, silent);
    const pushes = (letter, length) =>
      anna.page.evaluate((words) => lab.pushTo("points", ...words), [letter, length]);
    const has = (person, ...expected) =>
      eventually(`${person.name} knows Anna's data tracks: ${expected}`, async () => {
        const known = await person.page.evaluate(() => lab.streamsOf("Anna"));
        return known.join() === expected.join() || known;
      });
    /** Frames before the first one that comes may be lost. */
    const gets = (person, letter, length = 1) =>
      eventually(`${person.name} gets ${letter}`, async () => {
        await pushes(letter, length);
        const messages = await person.messages("points");
        return messages.some(({ payload }) => payload === `${letter} ${length}`) || messages;
      });
    await anna.page.evaluate(() => lab.publishStream("points"));
    const refused = await anna.page.evaluate(() => lab.publishStream("points").then(() => "twice", ({ message }) => message));
    assert.notEqual(refused, "twice");
    await has(ben, "points");
    const follows = (person) => person.page.evaluate(() => lab.follow({ name: "Anna", stream: "points" }));
    await follows(ben);
    await gets(ben, "a");
    await gets(ben, "b", 40_000);
    const cleo = await entersBy(world, "Cleo", {}, silent);
    await has(cleo, "points");
    await follows(cleo);
    await gets(cleo, "c");
    await ben.page.evaluate(() => lab.simulate("signal-reconnect"));
    await isTold(ben, "connection", "Reconnected");
    await gets(ben, "d");
    await anna.page.evaluate(() => lab.unpublishStream("points"));
    await Promise.all([ben, cleo].map((person) => has(person)));
    for (const person of [ben, cleo]) await person.isTold({ from: "Anna", topic: "points", payload: "end" });
  },
  GUARDED,
);

scenario(
  "who loses their signalling comes back by their token, and who has to begin anew does so by themselves",
  async (world) => {
    const anna = await entersBy(world, "Anna");
    const ben = await entersBy(world, "Ben");
    await allSeeAndHearAll([anna, ben]);
    const before = await anna.id();
    await anna.page.evaluate(() => lab.simulate("signal-reconnect"));
    await isTold(anna, "connection", "SignalReconnecting", "Reconnected");
    assert.equal(await anna.id(), before);
    await allSeeAndHearAll([anna, ben]);
    await anna.mutes("camera");
    await ben.isToldOfTrack(anna, "camera", { muted: true });
    await anna.unmutes("camera");
    await ben.sees(anna);
    await anna.page.evaluate(() => lab.simulate("full-reconnect"));
    await isTold(anna, "connection", "Reconnecting");
    await eventually("Anna is somebody new", async () => (await anna.id()) !== before);
    await allSeeAndHearAll([anna, ben]);
  },
  GUARDED,
);

scenario(
  "who may only listen publishes nothing, who may change their name does, and who is wrong stays out",
  async (world) => {
    const anna = await entersBy(world, "Anna");
    const ben = await entersBy(world, "Ben", { canPublish: false }, { camera: null, microphone: null });
    await ben.seesAndHears(anna);
    const refused = await ben.page.evaluate(async () => {
      const { track } = lab.camera({ rgb: [0, 0, 0] });
      return lab.room.localParticipant.publishTrack(track).then(() => "published", ({ name }) => name);
    });
    assert.equal(refused, "PublishTrackError");
    await anna.page.evaluate(() => lab.setName("Anna Berg"));
    await ben.isToldOf({ name: "Anna Berg" }, "connected");
    const eve = await world.arrives("Eve", LIVEKIT);
    const order = { name: "Eve", room: world.room, token: `${token("Eve")}x` };
    const stays = await eve.page.evaluate((order) => lab.join(order).then(() => "in", ({ status }) => status), order);
    assert.equal(stays, 401);
    const removed = (await world.server.room(world.room)).participants.find(({ identity }) => identity === "Ben");
    const address = `${world.server.origin}/admin/v1/rooms/${world.room}/participants/${removed.participantId}`;
    await fetch(address, { method: "DELETE", headers: { connection: "close" } });
    await isTold(ben, "connection", "disconnected PARTICIPANT_REMOVED");
  },
  GUARDED,
);

scenario("a simulcast of LiveKit's client is shown in the size that a tile needs, and only that is sent", async (world) => {
  const camera = { simulcast: true, width: 1280, height: 720, fps: 12 };
  const options = { dynacast: true };
  const anna = await world.enters("Anna", { ...LIVEKIT, camera, microphone: null, options });
  const ben = await world.enters("Ben", { camera: null, microphone: null });
  await ben.isToldOfTrack(anna, "camera", { status: "live" });
  for (const [height, width] of [
    [720, 1280],
    [180, 320],
  ]) {
    await ben.showsInTile(anna, height);
    await ben.getsWidth(anna, width);
    await ben.sees(anna);
  }
  await eventually("Anna sends the smallest one alone", async () => {
    const sent = await anna.page.evaluate(() => lab.encodings("camera"));
    return sent.filter(({ active }) => active).map(({ rid }) => rid).join() === "q" || sent;
  });
});

scenario(
  "a Firefox on LiveKit's client, a Chromium on it and one on ours hear and see each other",
  async (world) => {
    const fox = await world.enters("Fox", FIREFOX);
    const anna = await world.enters("Anna", LIVEKIT);
    const ben = await world.enters("Ben");
    await allSeeAndHearAll([fox, anna, ben]);
    await fox.mutes("camera");
    await Promise.all([anna, ben].map((other) => other.seesNothingNewOf(fox)));
    await fox.unmutes("camera");
    await ben.leaves();
    await Promise.all([fox, anna].map((other) => other.isToldOf(ben, null)));
    await allSeeAndHearAll([fox, anna]);
    assert.match(await fox.id(), /^PA_/);
  },
  EVERYWHERE,
);

scenario("people on LiveKit's older client, on its newer one and on ours hear and see each other", async (world) => {
  const anna = await world.enters("Anna", BEFORE);
  const ben = await world.enters("Ben");
  const cleo = await world.enters("Cleo", BEFORE);
  const dan = await world.enters("Dan", LIVEKIT);
  await allSeeAndHearAll([anna, ben, cleo, dan]);
  await anna.sharesScreen("white");
  await Promise.all([ben, cleo].map((other) => other.sees(anna, { source: "screen", colour: "white" })));
  await anna.stopsSharingScreen();
  await Promise.all([ben, cleo].map((other) => other.isToldOfTrack(anna, "screen", null)));
  await cleo.subscription(ben, "camera", "unsubscribe");
  await cleo.isToldOfTrack(ben, "camera", { status: "waiting" });
  await cleo.subscription(ben, "camera", "subscribe");
  await cleo.sees(ben);
  await ben.mutes("microphone");
  await Promise.all([anna, cleo].map((other) => other.hearsSilenceFrom(ben)));
  await ben.unmutes("microphone");
  await dan.leaves();
  const eva = await world.enters("Eva", LIVEKIT);
  await allSeeAndHearAll([anna, ben, cleo, eva]);
});

scenario(
  "who loses their signalling on LiveKit's older client comes back as who they were, and media never stops",
  async (world) => {
    const anna = await world.enters("Anna", { ...BEFORE, token: token("Anna") });
    const ben = await entersBy(world, "Ben");
    await allSeeAndHearAll([anna, ben]);
    await anna.page.evaluate(() => lab.subscription({ key: "Ben/microphone", action: "unsubscribe" }));
    await anna.isToldOfTrack(ben, "microphone", { status: "waiting" });
    const before = await anna.id();
    await Promise.all([anna.notesGaps(ben), ben.notesGaps(anna)]);
    await anna.page.evaluate(() => lab.simulate("signal-reconnect"));
    await isTold(anna, "connection", "SignalReconnecting", "Reconnected");
    await ben.sharesScreen("white");
    await anna.sees(ben, { source: "screen", colour: "white" });
    for (const gap of await Promise.all([anna.longestGap(), ben.longestGap()])) assert.ok(gap < 2_000, `${gap} ms`);
    assert.equal(await anna.id(), before);
    await Promise.all([anna.sees(ben), ben.seesAndHears(anna)]);
    await anna.isToldOfTrack(ben, "microphone", { status: "waiting" });
    await anna.subscription(ben, "microphone", "subscribe");
    await anna.hears(ben);
    await anna.mutes("camera");
    await ben.isToldOfTrack(anna, "camera", { muted: true });
  },
  GUARDED,
);

scenario("LiveKit's own check of a connection passes whole", async (world) => {
  const anna = await world.arrives("Anna", LIVEKIT);
  const CHECKS = [
    "checkWebsocket",
    "checkWebRTC",
    "checkTURN",
    "checkReconnect",
    "checkPublishAudio",
    "checkPublishVideo",
    "checkConnectionProtocol",
  ];
  const run = (check) => anna.page.evaluate((order) => lab.check(order), { check, room: world.room });
  const found = await Promise.all(CHECKS.map(run));
  const failed = found.filter(({ status }) => status !== "success");
  assert.deepEqual(failed, []);
});

scenario(
  "two tabs of an app on LiveKit's React components see and hear each other",
  async (world) => {
    const conference = await openConference();
    const enters = (name) =>
      conference.enters(name, { server: world.server.origin.replace("http", "ws"), token: token(name) });
    await conference.tells(async () => {
      const anna = await enters("Anna");
      const ben = await enters("Ben");
      await allSeeAndHearAll([anna, ben]);
      await anna.page.driver.getByRole("button", { name: "Microphone" }).first().click();
      await ben.hearsSilenceFrom(anna);
      await anna.page.driver.getByRole("button", { name: "Chat" }).click();
      await anna.page.driver.getByPlaceholder("Enter a message...").fill("Good morning");
      await anna.page.driver.keyboard.press("Enter");
      await eventually("Ben reads it", async () => {
        const said = await ben.page.evaluate(() => lab.chat());
        return said.join() === "Good morning" || said;
      });
    });
  },
  GUARDED,
);

/** Has LiveKit's client try that. */
const tries = (person, ...words) => person.page.evaluate((words) => lab.simulate(...words), words);

/** Forgets what the page was told until now. */
const forgets = (person) => person.page.evaluate(() => (lab.news.length = lab.connection.length = 0));

scenario("LiveKit's clients are told who speaks, how good a call is, what pauses, and what they cannot decode", async (world) => {
  const anna = await world.enters("Anna", LIVEKIT);
  const ben = await world.enters("Ben", LIVEKIT);
  const cleo = await world.arrives("Cleo", LIVEKIT);
  await cleo.page.evaluate(() => lab.cannotDecode("VP9"));
  await cleo.join({ room: world.room, camera: null });
  await allSeeAndHearAll([anna, ben]);
  await cleo.mutes("microphone");
  await anna.mutes("microphone");
  await Promise.all([anna, ben].map((person) => person.isToldOfFloor({ speakers: "Ben" })));
  await ben.mutes("microphone");
  await anna.isToldOfFloor({ speakers: "" });
  await tries(anna, "speaker");
  await anna.isToldOfFloor({ speakers: "Anna" });
  await tries(ben, "subscriber-bandwidth", 1_000);
  await isTold(ben, "news", "stream paused Anna camera");
  await ben.seesNothingNewOf(anna);
  await tries(ben, "subscriber-bandwidth", 0);
  await isTold(ben, "news", "stream active Anna camera");
  await eventually("Ben is told how good each call is", async () => {
    const qualities = await ben.page.evaluate(() => lab.qualities());
    return qualities.every((quality) => ["excellent", "good"].includes(quality)) || qualities;
  });
  await ben.sees(anna);
  await anna.page.evaluate(() => lab.unpublish("camera"));
  await anna.page.evaluate(() =>
    lab.publish({ source: "camera", rgb: [200, 40, 40], videoCodec: "vp9", backupCodec: false, scalabilityMode: "L1T1" }),
  );
  await ben.sees(anna);
  await eventually("Cleo is told that she cannot decode it", async () => {
    const news = await cleo.news();
    return news.some((one) => /^unsupported Anna TR_\w+ 1$/.test(one)) || news;
  });
  await anna.isToldOfFloor({ speakers: "" });
});

scenario("whoever says who may receive their tracks is received by nobody else, on whatever client", async (world) => {
  const camera = { fps: 10 };
  const anna = await world.enters("Anna", { ...LIVEKIT, camera });
  const others = { ben: LIVEKIT, cleo: {}, dan: BEFORE };
  for (const name of ["Ben", "Cleo", "Dan"]) {
    const client = others[name.toLowerCase()];
    others[name.toLowerCase()] = await world.enters(name, { ...client, camera: null, microphone: null });
  }
  const { ben, cleo, dan } = others;
  await Promise.all([ben, cleo, dan].map((other) => other.seesAndHears(anna)));
  await anna.page.evaluate(() => lab.allow("Ben"));
  await Promise.all([
    cleo.isToldOfTrack(anna, "camera", { status: "not-allowed" }),
    dan.isToldOfTrack(anna, "camera", { status: "waiting" }),
    isTold(dan, "news", "not_allowed Anna camera", "not_allowed Anna microphone"),
  ]);
  await ben.seesAndHears(anna);
  await anna.page.evaluate(() => lab.allow("Cleo"));
  await isTold(ben, "news", "not_allowed Anna camera", "not_allowed Anna microphone");
  await cleo.seesAndHears(anna);
  await anna.page.evaluate(() => lab.allow());
  await Promise.all([ben, cleo, dan].map((other) => other.seesAndHears(anna)));
  await isTold(ben, "news", "allowed Anna camera");
});

scenario(
  "whatever LiveKit's client wants to try happens to it, and it is back afterwards",
  async (world) => {
    const anna = await entersBy(world, "Anna");
    const ben = await entersBy(world, "Ben");
    await allSeeAndHearAll([anna, ben]);
    for (const trial of ["migration", "disconnect-signal-on-resume", "disconnect-signal-on-resume-no-messages"]) {
      const before = await anna.id();
      await forgets(anna);
      await tries(anna, trial);
      await isTold(anna, "connection", "SignalReconnecting", "Reconnected");
      assert.equal(await anna.id(), before, trial);
    }
    for (const trial of ["node-failure", "leave-full-reconnect", "force-tcp"]) {
      const before = await anna.id();
      await forgets(anna);
      await tries(anna, trial);
      await isTold(anna, "connection", "Reconnecting", "Reconnected");
      assert.notEqual(await anna.id(), before, trial);
      await allSeeAndHearAll([anna, ben]);
    }
    assert.equal(await anna.page.evaluate(() => lab.carrier()), "tcp");
    await tries(anna, "server-leave");
    await isTold(anna, "connection", "disconnected SERVER_SHUTDOWN");
    await ben.isToldOf(anna, null);
  },
  GUARDED,
);
