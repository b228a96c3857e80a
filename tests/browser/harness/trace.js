// What the program makes of a trace.
import { execFile, execFileSync } from "node:child_process";
import { promisify } from "node:util";
import { straitPath, tsharkPath, unsharePath } from "./programs.js";

const ROOM_FOR_WORDS = { maxBuffer: 256 * 1024 * 1024 };
const run = promisify(execFile);

/** How much later the monotonic clock of a shifted process is, seconds: more than a day. */
const SHIFT = "100000";

/** Answers what the program prints; an exit code other than 0 is an error. */
export async function strait(words, { program = straitPath() } = {}) {
  const { stdout } = await run(program, words, ROOM_FOR_WORDS);
  return stdout;
}

/** The same where the monotonic clock shows another time, and without any network. Needs root. */
export async function straitElsewhere(words, { program = straitPath() } = {}) {
  const elsewhere = ["--net", "--time", "--monotonic", SHIFT, "--boottime", SHIFT, program];
  const { stdout } = await run(unsharePath(), [...elsewhere, ...words], ROOM_FOR_WORDS);
  return stdout;
}

/** What `strait explain --json` says of a trace. */
export async function explained(trace) {
  return JSON.parse(await strait(["explain", trace, "--json"]));
}

/** The packets of a capture, as Wireshark reads them: one object of `fields` for each that `filter` lets through. */
export function captured(capture, { port, filter, fields }) {
  const decode = ["-d", `udp.port==${port},rtp`, "-o", "rtp.heuristic_rtp:TRUE"];
  const wanted = fields.flatMap((field) => ["-e", field]);
  const words = ["-r", capture, ...decode, "-Y", filter, "-T", "fields", "-E", "separator=/t", ...wanted];
  const quietly = { encoding: "utf8", stdio: ["ignore", "pipe", "ignore"], ...ROOM_FOR_WORDS };
  const lines = execFileSync(tsharkPath(), words, quietly);
  const packets = lines.split("\n").filter(Boolean).map((line) => line.split("\t"));
  return packets.map((values) => Object.fromEntries(fields.map((field, index) => [field, values[index]])));
}
