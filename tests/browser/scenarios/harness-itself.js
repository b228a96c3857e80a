// The eye and the ear, proven without a server: two peer connections in one page.
import assert from "node:assert/strict";
import { createServer } from "node:http";
import { once } from "node:events";
import { after, before, test } from "node:test";
import { closeBrowsers, openPage } from "../harness/browsers.js";
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
