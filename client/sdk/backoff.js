// Delays between attempts to reconnect: the first at once, then growing, with jitter so that the clients of
// a restarted server do not all return in the same instant.

const FIRST_DELAY = 250;
const LONGEST_DELAY = 5000;

export class Backoff {
  #attempt = 0;
  #random;

  /** @param {() => number} random */
  constructor(random) {
    this.#random = random;
  }

  /** @returns {number} milliseconds to wait before the next attempt */
  next() {
    const attempt = this.#attempt++;
    if (attempt === 0) return 0;
    const longest = Math.min(LONGEST_DELAY, FIRST_DELAY * 2 ** attempt);
    return longest / 2 + (this.#random() * longest) / 2;
  }

  reset() {
    this.#attempt = 0;
  }
}
