// One room in which everybody speaks another protocol: our own, LiveKit's in a browser and in Python, mediasoup's, and WHIP with
// WHEP.
import { eventually } from "../harness/eventually.js";
import { token } from "../harness/livekit-token.js";
import { allSeeAndHearAll, scenario } from "../harness/scenario.js";

scenario("in a room of five dialects each sees and hears the four others, and knows names, mutes and messages", async (world) => {
  const { origin } = world.server;
  const [anna, ben, cleo, dan, eva] = await Promise.all([
    world.enters("Anna"),
    world.enters("Ben", { sdk: "livekit-client" }),
    world.entersOutside("Cleo", "livekit_person.py", [origin.replace("http", "ws"), token("Cleo")]),
    world.enters("Dan", { sdk: "mediasoup" }),
    world.entersOutside("Eva", "whip_person.py", [origin, world.room, "Eva"]),
  ]);
  const people = [anna, ben, cleo, dan, eva];
  const pages = [anna, ben, dan];
  // Whoever publishes by WHIP receives by WHEP, somebody at a time.
  const { participants } = await world.server.room(world.room);
  for (const other of [anna, ben, cleo, dan]) {
    eva.watches(other, participants.find(({ name }) => name === other.name).participantId);
  }
  await allSeeAndHearAll(people);

  await Promise.all([anna, ben, cleo, dan].map((person) => person.mutes("microphone")));
  const others = (who) => people.filter((person) => person !== who);
  const silent = [anna, ben, cleo, dan].flatMap((who) => others(who).map((other) => other.hearsSilenceFrom(who)));
  const told = pages.flatMap((page) =>
    [anna, ben, cleo, dan]
      .filter((who) => who !== page)
      .map((who) => page.isToldOfTrack(who, "microphone", { muted: true })),
  );
  const toldToo = [anna, ben, dan].map((who) => cleo.isTold({ muted: "microphone", of: who.name, is: true }));
  await Promise.all([...silent, ...told, ...toldToo]);
  await Promise.all([anna, ben, cleo, dan].map((person) => person.unmutes("microphone")));

  // mediasoup's clients and encoders have no messages here.
  await anna.says("chat", "from Anna");
  await ben.says("chat", "from Ben");
  cleo.says("chat", "from Cleo");
  await Promise.all([
    ben.isTold({ from: "Anna", topic: "chat", payload: '"from Anna"' }),
    ben.isTold({ from: "Cleo", topic: "chat", payload: "from Cleo" }),
    cleo.isTold({ told: '"from Anna"', from: "Anna", topic: "chat" }),
    cleo.isTold({ told: "from Ben", from: "Ben", topic: "chat" }),
    eventually("Anna gets both as bytes", async () => (await anna.messages("chat")).length === 2),
  ]);
  await allSeeAndHearAll(people);

  await eva.watchesNoLonger(anna);
  await anna.leaves();
  await cleo.isTold({ left: "Anna" });
  await eva.leaves();
  await cleo.leaves();
  await Promise.all([ben, dan].flatMap((page) => [anna, cleo, eva].map((gone) => page.isToldOf(gone, null))));
  await allSeeAndHearAll([ben, dan]);
});
