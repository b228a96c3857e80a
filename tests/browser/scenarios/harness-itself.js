// The eye and the ear, proven without a server: two peer connections in one page.
import assert from "node:assert/strict";
import { createServer } from "node:http";
import { once } from "node:events";
import { after, before, test } from "node:test";
import { closeBrowsers, openPage } from "../harness/browsers.js";
import { COLOURS } from "../harness/palette.js";
import { hearsSilence, hearsTone, seesColour, seesNothingNew } from "../harness/senses.js";

/** For what must fail: the right answer comes within a fraction of it. */
const SHORT = { within: 2_000 };
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

      await seesColour(page, "far", "blue");
      await hearsTone(page, "far", 660);
      await assert.rejects(seesColour(page, "far", "green", SHORT), /"seen":"blue"/);
      await assert.rejects(hearsTone(page, "far", 880, SHORT), /"hz":6[56]\d/);
      await assert.rejects(seesNothingNew(page, "far", SHORT), /sees nothing new/);
      await assert.rejects(hearsSilence(page, "far", SHORT), /hears silence/);

      await page.evaluate(() => lab.unplug());
      await seesNothingNew(page, "far");
      await hearsSilence(page, "far");
      await assert.rejects(seesColour(page, "far", "blue", SHORT), /"seen":"blue","frames":1/);
      await assert.rejects(hearsTone(page, "far", 660, SHORT), /hears 660 Hz/);
    } finally {
      await page.close();
    }
  });
}
