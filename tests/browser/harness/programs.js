// Finds the programs that the tests drive. What is missing fails the run with a clear message.
import { accessSync, constants } from "node:fs";
import { delimiter, join, resolve } from "node:path";

const isExecutable = (path) => {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
};

const find = ({ variable, names, fallback, advice }) => {
  const named = process.env[variable];
  if (named) {
    if (isExecutable(named)) return resolve(named);
    throw new Error(`${variable} names ${named}, which is not an executable file`);
  }
  const folders = (process.env.PATH ?? "").split(delimiter);
  const candidates = [...names.flatMap((name) => folders.map((folder) => join(folder, name))), ...fallback];
  const found = candidates.find(isExecutable);
  if (!found) throw new Error(`${[...names, ...fallback].join(" or ")} not found: ${advice}, or set ${variable}`);
  return found;
};

export const chromiumPath = () =>
  find({
    variable: "CHROMIUM_BIN",
    names: ["chromium"],
    fallback: [],
    advice: "install it (Debian: apt-get install chromium)",
  });

export const firefoxPath = () =>
  find({
    variable: "FIREFOX_BIN",
    names: ["firefox-esr", "firefox"],
    fallback: [],
    advice: "install it (Debian: apt-get install firefox-esr)",
  });

export const pulseaudioPath = () =>
  find({
    variable: "PULSEAUDIO_BIN",
    names: ["pulseaudio"],
    fallback: [],
    advice: "install it (Debian: apt-get install pulseaudio)",
  });

export const parecPath = () =>
  find({
    variable: "PAREC_BIN",
    names: ["parec"],
    fallback: [],
    advice: "install it (Debian: apt-get install pulseaudio-utils)",
  });

export const ipPath = () =>
  find({
    variable: "IP_BIN",
    names: ["ip"],
    fallback: ["/usr/sbin/ip", "/sbin/ip"],
    advice: "install it (Debian: apt-get install iproute2)",
  });

export const tcPath = () =>
  find({
    variable: "TC_BIN",
    names: ["tc"],
    fallback: ["/usr/sbin/tc", "/sbin/tc"],
    advice: "install it (Debian: apt-get install iproute2)",
  });

export const nftPath = () =>
  find({
    variable: "NFT_BIN",
    names: ["nft"],
    fallback: ["/usr/sbin/nft"],
    advice: "install it (Debian: apt-get install nftables)",
  });

export const opensslPath = () =>
  find({
    variable: "OPENSSL_BIN",
    names: ["openssl"],
    fallback: [],
    advice: "install it (Debian: apt-get install openssl)",
  });

export const certutilPath = () =>
  find({
    variable: "CERTUTIL_BIN",
    names: ["certutil"],
    fallback: [],
    advice: "install it (Debian: apt-get install libnss3-tools)",
  });

export const unsharePath = () =>
  find({
    variable: "UNSHARE_BIN",
    names: ["unshare"],
    fallback: [],
    advice: "install it (Debian: apt-get install util-linux)",
  });

export const tsharkPath = () =>
  find({
    variable: "TSHARK_BIN",
    names: ["tshark"],
    fallback: [],
    advice: "install it (Debian: apt-get install --no-install-recommends tshark)",
  });

/** The program as a profile of cargo's builds it, unless the variable names another. */
const built = (variable, profile, command) =>
  find({
    variable,
    names: [],
    fallback: [resolve(import.meta.dirname, "../../../target", profile, "strait")],
    advice: `build it with \`${command}\``,
  });

/** The program under test. */
export const straitPath = () => built("STRAIT_BIN", "release", "cargo build --release");

/** The program with debug assertions and checks for overflow. */
export const debugPath = () => built("STRAIT_DEBUG_BIN", "debug", "cargo build");

/** The program as it is released. */
export const releasePath = () => built("STRAIT_RELEASE_BIN", "release", "cargo build --release");

/** The Python with clients that we did not write. */
export const interopPythonPath = () =>
  find({
    variable: "INTEROP_PYTHON_BIN",
    names: [],
    fallback: [resolve(import.meta.dirname, "../../../target/aiortc/bin/python")],
    advice: "`tests/run browser` makes it",
  });
