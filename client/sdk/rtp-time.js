// Order of RTP timestamps, which wrap at 32 bits.

/**
 * Whether `timestamp` is at or after `reference`, the shorter way around the circle.
 * @param {number} timestamp
 * @param {number} reference
 */
export function isAtOrAfter(timestamp, reference) {
  return ((timestamp - reference) | 0) >= 0;
}
