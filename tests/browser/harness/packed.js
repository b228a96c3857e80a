// An app with our own package in it, as `npm pack` makes it and `npm install` puts it there.
import { execFileSync } from "node:child_process";
import { cpSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { App } from "./app.js";

const CLIENT = resolve(import.meta.dirname, "../../../client");
const SAMPLE = resolve(import.meta.dirname, "../react-app");
/** Inside of it, so that the app finds the React that is installed beside it. */
const MODULES = resolve(import.meta.dirname, "../node_modules");

const npm = (...words) => execFileSync("npm", [...words, "--loglevel=error"], { encoding: "utf8" });

/** The sample in React, built with the package. */
export async function openReactApp() {
  const folder = mkdtempSync(join(MODULES, ".react-app-"));
  try {
    cpSync(SAMPLE, folder, { recursive: true });
    writeFileSync(join(folder, "package.json"), '{ "private": true }');
    const packed = npm("pack", CLIENT, "--json", "--pack-destination", folder);
    // Before the list there is what the script of the package says.
    const [{ filename }] = JSON.parse(packed.slice(packed.indexOf("[\n")));
    npm("install", join(folder, filename), "--prefix", folder, "--offline", "--omit=peer", "--no-audit", "--no-fund");
    return await App.open(folder, "react-app");
  } finally {
    rmSync(folder, { recursive: true });
  }
}
