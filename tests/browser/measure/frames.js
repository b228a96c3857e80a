// How smoothly the page runs with 25 people on it: milliseconds between its frames, and layout jumps, while nothing but
// pictures, levels and speakers change, and while hands go up and people mute themselves. Prints Markdown.
import { setTimeout as sleep } from "node:timers/promises";
import { closeBrowsers } from "../harness/browsers.js";
import { eventually } from "../harness/eventually.js";
import { World } from "../harness/world.js";
import { percentile } from "./measures.js";

const OTHERS = 24;
const SECONDS = 10;
const CAMERA = { rgb: [40, 60, 200], width: 160, height: 90, fps: 8 };
/** A frame that comes later than this is one that was left out, at 60 a second. */
const LATE_MS = 25;

/** So many people in one page, who all show the same picture, or none. */
async function crowd(world, hasPictures) {
  const page = await world.arrives("The others");
  await page.page.evaluate(
    async ({ count, room, camera }) => {
      const { Room } = await import("/sdk/strait.js");
      const track = camera && lab.camera(camera).track;
      lab.others = [];
      for (let number = 1; number <= count; number++) {
        const other = new Room({ playAudio: false });
        if (track) await other.publish(track, { source: "camera" });
        await other.join({ name: `Person ${number}`, room, autoSubscribe: false });
        lab.others.push(other);
      }
    },
    { count: OTHERS, room: world.room, camera: hasPictures && CAMERA },
  );
  return page.page;
}

/** What happens in the page in that time. */
const watch = (page, seconds) =>
  page.evaluate(async (milliseconds) => {
    const shifts = [];
    const observer = new PerformanceObserver((list) => shifts.push(...list.getEntries().map(({ value }) => value)));
    observer.observe({ type: "layout-shift" });
    const gaps = [];
    const end = performance.now() + milliseconds;
    let last = await new Promise(requestAnimationFrame);
    while (last < end) {
      const now = await new Promise(requestAnimationFrame);
      gaps.push(now - last);
      last = now;
    }
    observer.disconnect();
    return { gaps, shift: shifts.reduce((sum, value) => sum + value, 0), shifts: shifts.length };
  }, seconds * 1000);

/** Hands go up and down, and names change. */
const stir = (page) =>
  page.evaluate(() => {
    let at = 0;
    lab.stirring = setInterval(() => {
      const other = lab.others[at++ % lab.others.length];
      const isRaised = other.localParticipant.attributes.hand !== undefined;
      void other.updateProfile({ attributes: { hand: isRaised ? "" : "1" } });
    }, 250);
  });

console.log(`| the page shows | frames a second | 95 % within, ms | longest, ms | late, % | layout shift |`);
console.log(`|---|--:|--:|--:|--:|--:|`);
const report = (what, { gaps, shift }) => {
  const fps = (gaps.length * 1000) / gaps.reduce((sum, gap) => sum + gap, 0);
  const late = (gaps.filter((gap) => gap > LATE_MS).length / gaps.length) * 100;
  const longest = Math.round(Math.max(...gaps));
  console.log(
    `| ${what} | ${fps.toFixed(1)} | ${percentile(gaps, 0.95)} | ${longest} | ${late.toFixed(1)} | ${shift.toFixed(3)} |`,
  );
};

for (const hasPictures of [false, true]) {
  // All of them come from one address.
  const world = await World.open({ config: { signalling: { max_connections_per_address: 400 } } });
  try {
    const anna = await world.visits("Anna");
    const link = await anna.createsRoom();
    world.room = new URL(link).hash.replace("#room=", "");
    if (!hasPictures) report("one tile, Anna's own", await watch(anna.page, SECONDS));
    const others = await crowd(world, hasPictures);
    const tiles = anna.page.driver.locator(hasPictures ? "article[data-picture]" : "article");
    await eventually("all tiles are there", async () => {
      const count = await tiles.count();
      return count >= OTHERS + 1 || { count };
    });
    await sleep(2000);
    const pictures = `${OTHERS} pictures of ${CAMERA.width}×${CAMERA.height}`;
    const what = `25 tiles, ${hasPictures ? pictures : "no other pictures"}`;
    report(what, await watch(anna.page, SECONDS));
    await stir(others);
    report(`${what}; hands go up and down`, await watch(anna.page, SECONDS));
  } catch (error) {
    console.error(world.report());
    throw error;
  } finally {
    await world.close();
  }
}
await closeBrowsers();
