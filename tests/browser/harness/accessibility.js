// What axe-core finds on a page that people with a screen reader, a keyboard or weak eyes would stumble over.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";

const AXE = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

/** Whatever differs between these is a matter of colours. */
const THEMES = ["light", "dark", "contrast"];

/**
 * What is wrong on the page as it is shown now, with all rules in light, and with those of colours in dark and high contrast.
 * @returns {Promise<string[]>} one line for each element
 */
export async function findings({ page }) {
  if (!(await page.evaluate(() => typeof axe === "object"))) await page.evaluate(AXE);
  return page.evaluate(async (themes) => {
    const root = document.documentElement;
    const before = root.dataset.theme;
    const lines = [];
    for (const theme of themes) {
      root.dataset.theme = theme;
      const runOnly = theme === "light" ? undefined : { type: "rule", values: ["color-contrast"] };
      const { violations } = await axe.run({ runOnly, resultTypes: ["violations"] });
      for (const { id, help, nodes } of violations)
        for (const { html, any } of nodes)
          lines.push(`${theme}: ${id}: ${help}: ${html.slice(0, 160)} ${any.map(({ message }) => message).join(" ")}`);
    }
    if (before === undefined) delete root.dataset.theme;
    else root.dataset.theme = before;
    return lines;
  }, THEMES);
}
