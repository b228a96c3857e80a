// Waiting for a condition, the only way in which these tests wait.
import { setTimeout as sleep } from "node:timers/promises";

/** Generous: machines are slow and noisy, and a passing test never waits this long. */
export const PATIENCE_MS = 45_000;

/**
 * Asks `probe` until it answers `true`; anything else that it answers (or throws) is what is seen
 * instead, and is part of the error when patience ends.
 */
export async function eventually(what, probe, { within = PATIENCE_MS, every = 100 } = {}) {
  const deadline = Date.now() + within;
  let seen;
  for (;;) {
    try {
      seen = await probe();
      if (seen === true) return;
    } catch (error) {
      seen = error;
    }
    if (Date.now() >= deadline) break;
    await sleep(every);
  }
  const instead = seen instanceof Error ? seen.stack : JSON.stringify(seen);
  throw new Error(`${what}: not within ${within / 1000} s; the last look: ${instead}`);
}
