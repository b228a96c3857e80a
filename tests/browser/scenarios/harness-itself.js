// The eye and the ear, proven without a server: two peer connections in one page.
import assert from "node:assert/strict";
import { createServer } from "node:http";
import { once } from "node:events";
import { after, before, test } from "node:test";
import { closeBrowsers, openPage } from "../harness/browsers.js";
import { heardIn, RATE, SWEEP } from "../harness/ear.js";
import { TWICE_MS } from "../harness/moving.js";
import { COLOURS } from "../harness/palette.js";
import { hearsSilence, hearsTone, seesColour, seesNothingNew } from "../harness/senses.js";

/** For what must fail: by then the right answer would have come. */
const SHORT = { within: 700 };
const LONGER_THAN_QUIET = { within: 2_500 };
let blank;

before(async () => {
  blank = createServer((_, response) => {
    response.writeHead(200, { "content-type": "text/html", "content-security-policy": "default-src 'self'" });
    response.end("<!doctype html><title>blank</title>");
  }).listen(0, "127.0.0.1");
  await once(blank, "listening");
});

after(async () => {
  blank.close();
  await closeBrowsers();
});

for (const browser of ["chromium", "firefox"]) {
  test(`in ${browser} the eye and the ear tell right from wrong`, { timeout: 120_000 }, async () => {
    const page = await openPage(browser);
    try {
      await page.gotoWithLab(`http://127.0.0.1:${blank.address().port}/`);
      await page.evaluate((what) => lab.loopback(what), { rgb: COLOURS.blue, hz: 660 });

      await Promise.all([seesColour(page, "video", "blue"), hearsTone(page, "audio", 660)]);
      await Promise.all([
        assert.rejects(seesColour(page, "video", "green", SHORT), /"seen":"blue"/),
        assert.rejects(hearsTone(page, "audio", 880, SHORT), /"hz":6[56]\d/),
        assert.rejects(seesNothingNew(page, "video", LONGER_THAN_QUIET), /sees nothing new/),
        assert.rejects(hearsSilence(page, "audio", LONGER_THAN_QUIET), /hears silence/),
      ]);

      await page.evaluate(() => lab.unplug());
      await Promise.all([seesNothingNew(page, "video"), hearsSilence(page, "audio")]);
      await Promise.all([
        assert.rejects(seesColour(page, "video", "blue", SHORT), /"seen":"blue","frames":1/),
        assert.rejects(hearsTone(page, "audio", 660, SHORT), /hears 660 Hz/),
      ]);
    } finally {
      await page.close();
    }
  });
}

/** A second and a half of what `lab.microphone` plays with a sweep, as it is `shaped` at each moment. */
const played = (shaped) => {
  let [seed, soft] = [1, 0];
  const random = () => (seed = (seed * 48_271) % 2_147_483_647) / 1_073_741_823.5 - 1;
  const source = Float32Array.from({ length: 1.5 * RATE }, (_, at) => {
    const time = (at / RATE) % SWEEP.seconds;
    const turns = SWEEP.from * time + ((SWEEP.span / SWEEP.seconds) * time * time) / 2;
    soft = 0.9 * soft + 0.1 * random();
    return 0.1 * Math.sin(2 * Math.PI * turns) + 0.5 * soft;
  });
  const at = (place) => source[Math.max(0, place)];
  return Float32Array.from(source, (_, place) => shaped((1000 * place) / RATE - 700, (late) => at(place - late * 48)));
};

test("the ear for recordings notices what is missing and what is heard twice, and nothing else", () => {
  const heard = (shaped) => {
    const { gapMs, echoMs } = heardIn(played(shaped));
    return { gapMs, echoMs };
  };
  assert.deepEqual(heard((_, sound) => sound(0)), { gapMs: 0, echoMs: 0 });
  const cut = heard((ms, sound) => (ms > 0 && ms < 40 ? 0 : sound(0)));
  assert.ok(cut.gapMs >= 30 && cut.echoMs <= TWICE_MS, JSON.stringify(cut));
  // From one way to another that is 25 ms late, with a ramp of 10 ms, and with both for 60 ms.
  const ramp = heard((ms, sound) => {
    const part = Math.min(1, Math.max(0, ms / 10));
    return (1 - part) * sound(0) + part * sound(25);
  });
  assert.ok(ramp.gapMs === 0 && ramp.echoMs <= TWICE_MS, JSON.stringify(ramp));
  const both = heard((ms, sound) => (ms < 60 ? sound(0) : 0) + (ms > 0 ? sound(25) : 0));
  assert.ok(both.gapMs === 0 && both.echoMs > TWICE_MS, JSON.stringify(both));
});
