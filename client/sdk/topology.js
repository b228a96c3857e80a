// How the sound and pictures of a room travel: straight between its people (`p2p`), or through the server (`sfu`), and
// whether a move from one to the other is under way. The server alone decides it; this is what it says, read once.

/**
 * @typedef {'p2p' | 'sfu'} Mode
 *
 * @typedef {'hard' | 'gradual' | 'opportunistic'} Strategy how a move is made. `hard`: the old way ends before the new one is
 *   there; `gradual`: both are there for a while, and everybody is heard all along; `opportunistic`: the way through the server
 *   is kept even while nothing goes by it, so that a move is a matter of an instant
 *
 * @typedef {object} Topology
 * @property {Mode} mode
 * @property {Mode | null} movingTo `null`: no move is under way
 * @property {number} migration the number of the newest move in this room
 * @property {Strategy} strategy
 * @property {number} deadlineMs how long a move may take, milliseconds
 * @property {boolean} warm whether a move to the server is likely soon, so that the way should be there already
 * @property {string} reason of the newest change, in a word; empty where none is told
 * @property {number} connectMs how long two people may take to connect to each other, milliseconds
 */

const DEADLINE = 5000;
const STRATEGIES = /** @type {const} */ (['hard', 'gradual', 'opportunistic']);

/** Whether straight connections are in use, or about to be. @param {Topology | null} topology */
export const isStraight = (topology) => topology?.mode === 'p2p' || topology?.movingTo === 'p2p';

/** Whether straight connections are where the call is, or where it goes. @param {Topology | null} topology */
export const becomesStraight = (topology) => (topology?.movingTo ?? topology?.mode) === 'p2p';

/** The other one. @param {Mode} mode @returns {Mode} */
export const otherThan = (mode) => (mode === 'p2p' ? 'sfu' : 'p2p');

/**
 * @param {any} data what the server says
 * @param {Topology | null} [before] what it said before: what does not change is not told again
 * @returns {Topology | null} `null` where calls never go straight
 */
export function readTopology(data, before = null) {
  const mode = readMode(data?.mode);
  if (!mode) return null;
  const { movingTo, deadlineMs, connectMs, migration, strategy, warm, reason } = data;
  return {
    mode,
    movingTo: readMode(movingTo),
    migration: typeof migration === 'number' ? migration : (before?.migration ?? 0),
    strategy: STRATEGIES.find((known) => known === strategy) ?? before?.strategy ?? 'gradual',
    deadlineMs: typeof deadlineMs === 'number' ? deadlineMs : DEADLINE,
    warm: warm === true,
    reason: typeof reason === 'string' ? reason : '',
    connectMs: typeof connectMs === 'number' ? connectMs : (before?.connectMs ?? DEADLINE),
  };
}

/** @param {unknown} mode @returns {Mode | null} */
const readMode = (mode) => (mode === 'p2p' || mode === 'sfu' ? mode : null);
