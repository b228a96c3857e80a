// Who speaks: the server tells everybody, and the SDK says it of each participant.
import { scenario } from "../harness/scenario.js";

scenario("everybody is told who speaks and who has the floor", async (world) => {
  const anna = await world.enters("Anna");
  const ben = await world.enters("Ben");
  await anna.seesAndHears(ben);
  const areTold = (floor) => Promise.all([anna, ben].map((person) => person.isToldOfFloor(floor)));

  await anna.mutes("microphone");
  await areTold({ dominant: "Ben", speakers: "Ben" });

  await ben.mutes("microphone");
  await areTold({ dominant: null, speakers: "" });

  await anna.unmutes("microphone");
  await areTold({ dominant: "Anna", speakers: "Anna" });

  // Who comes now learns it at once.
  const cleo = await world.enters("Cleo", { microphone: null });
  await cleo.isToldOfFloor({ dominant: "Anna", speakers: "Anna" });
});
