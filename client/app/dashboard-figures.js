// What the dashboard says of what the server has counted: rates, alerts, units.

/**
 * @typedef {object} Moves
 * @property {number} started
 * @property {number} toP2p
 * @property {number} toSfu
 * @property {number} succeeded
 * @property {number} failed
 * @property {number} slow
 * @property {number} seconds how long those took together that have succeeded
 */

/**
 * @typedef {object} Period what was counted in some time: see `/admin/v1/calls`
 * @property {number} start seconds since 1970
 * @property {number} seconds how much of it was seen
 * @property {{p2p: number, sfu: number}} callSeconds
 * @property {Moves} migrations
 * @property {number} dropouts
 * @property {number} cpuSeconds
 * @property {number} receivedBytes
 * @property {number} sentBytes
 */

/**
 * @typedef {object} Calls
 * @property {{p2p: {calls: number, participants: number}, sfu: {calls: number, participants: number}, moving: number}} now
 * @property {number | null} memoryBytes
 * @property {Period} lastHour
 * @property {Period[]} hours
 * @property {Period[]} days
 */

/** What is too much, as in docs/deployment/mesh-alerts.yml. */
const FAILED_MOST = 0.05;
const DROPOUTS_MOST = 10;
/** Of the moves, those that take longer than five seconds. */
const SLOW_MOST = 0.05;

const NOTHING = '–';

/** @param {number} part @param {number} whole @returns {number | null} `null` of nothing */
export function share(part, whole) {
  return whole > 0 ? part / whole : null;
}

/** @param {number | null} ratio */
export function percent(ratio) {
  if (ratio === null) return NOTHING;
  const value = ratio * 100;
  return `${value.toFixed(value > 0 && value < 10 ? 1 : 0)} %`;
}

/** Of the moves that were not called off. @param {Period} period @returns {number | null} */
export function failureRate({ migrations: { succeeded, failed } }) {
  return share(failed, succeeded + failed);
}

/**
 * @typedef {object} Alert
 * @property {string} id
 * @property {string} title
 * @property {string} value
 * @property {boolean} isRaised
 */

/** @param {Period} hour @returns {Alert[]} */
export function alerts(hour) {
  const failed = failureRate(hour);
  const slow = share(hour.migrations.slow, hour.migrations.succeeded + hour.migrations.failed);
  return [
    {
      id: 'ALR-01',
      title: 'Moves that fail: 5 % at most',
      value: failed === null ? 'no moves' : percent(failed),
      isRaised: (failed ?? 0) > FAILED_MOST,
    },
    {
      id: 'ALR-03',
      title: 'Audible gaps in an hour: 10 at most',
      value: String(hour.dropouts),
      isRaised: hour.dropouts > DROPOUTS_MOST,
    },
    {
      id: 'ALR-04',
      title: 'Moves slower than 5 s: 5 % at most',
      value: slow === null ? 'no moves' : percent(slow),
      isRaised: (slow ?? 0) > SLOW_MOST,
    },
  ];
}

/** The mean of the moves that have succeeded. @param {Period} period */
export function meanTime({ migrations: { seconds, succeeded } }) {
  const mean = share(seconds, succeeded);
  return mean === null ? NOTHING : `${(mean * 1000).toFixed(0)} ms`;
}

/** Bits per second. @param {number} bytes @param {number} seconds */
export function rate(bytes, seconds) {
  const bits = share(bytes * 8, seconds);
  if (bits === null) return NOTHING;
  if (bits < 1e6) return `${(bits / 1e3).toFixed(bits < 1e4 ? 1 : 0)} kbit/s`;
  return `${(bits / 1e6).toFixed(bits < 1e7 ? 1 : 0)} Mbit/s`;
}

/** @param {number | null} bytes */
export function megabytes(bytes) {
  return bytes === null ? NOTHING : `${(bytes / 2 ** 20).toFixed(0)} MiB`;
}

/**
 * The rows of the table of figures: name, and what it is of each period.
 * @param {Period[]} periods
 * @param {number | null} memory
 * @returns {{name: string, values: string[]}[]}
 */
export function rows(periods, memory) {
  /** @param {string} name @param {(period: Period) => string} of */
  const row = (name, of) => ({ name, values: periods.map(of) });
  /** @param {Period} period */
  const ofCalls = ({ callSeconds: { p2p, sfu } }) => percent(share(p2p, p2p + sfu));
  return [
    row('Calls that went straight, of all their time', ofCalls),
    row('Moves begun', ({ migrations }) => String(migrations.started)),
    row('… to the server', ({ migrations }) => String(migrations.toSfu)),
    row('… to straight', ({ migrations }) => String(migrations.toP2p)),
    row('Moves that succeeded', ({ migrations: { succeeded, failed } }) =>
      percent(share(succeeded, succeeded + failed)),
    ),
    row('Mean time of a move', meanTime),
    row('Gaps in sound that people hear', ({ dropouts }) => String(dropouts)),
    row('Processor, of one core', ({ cpuSeconds, seconds }) => percent(share(cpuSeconds, seconds))),
    row('Received', ({ receivedBytes, seconds }) => rate(receivedBytes, seconds)),
    row('Sent', ({ sentBytes, seconds }) => rate(sentBytes, seconds)),
    { name: 'Memory now', values: [megabytes(memory), ''].slice(0, periods.length) },
  ];
}

/**
 * The last `count` periods up to the newest, with empty ones where the server did not run.
 * @param {Period[]} periods
 * @param {number} length of one, seconds
 * @param {number} count
 * @returns {Period[]}
 */
export function filled(periods, length, count) {
  const newest = periods[periods.length - 1];
  if (!newest) return [];
  const known = new Map(periods.map((period) => [period.start, period]));
  return Array.from({ length: count }, (_, at) => {
    const start = newest.start - (count - 1 - at) * length;
    return known.get(start) ?? empty(start);
  });
}

/** @param {number} start @returns {Period} */
function empty(start) {
  const migrations = { started: 0, toP2p: 0, toSfu: 0, succeeded: 0, failed: 0, slow: 0, seconds: 0 };
  return {
    start,
    seconds: 0,
    callSeconds: { p2p: 0, sfu: 0 },
    migrations,
    dropouts: 0,
    cpuSeconds: 0,
    receivedBytes: 0,
    sentBytes: 0,
  };
}
