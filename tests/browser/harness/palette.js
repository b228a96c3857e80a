// What each participant is known by: a colour that survives video coding and a tone that survives
// audio coding, each far from all the others.
export const COLOURS = {
  red: [200, 40, 40],
  green: [40, 160, 60],
  blue: [40, 60, 200],
  yellow: [220, 200, 40],
  purple: [170, 50, 190],
  cyan: [40, 190, 200],
  white: [225, 225, 225],
  grey: [110, 110, 110],
  orange: [225, 120, 30],
};

const BLACK = [0, 0, 0];
const TOLERANCE = 45;

const distance = (a, b) => Math.hypot(...a.map((value, channel) => value - b[channel]));

/** The name of the colour that `rgb` is, or null where it is near none. */
export function nameOf(rgb) {
  if (!rgb) return null;
  const known = Object.entries({ ...COLOURS, black: BLACK });
  const [name, far] = known
    .map(([name, reference]) => [name, distance(rgb, reference)])
    .sort((a, b) => a[1] - b[1])[0];
  return far <= TOLERANCE ? name : null;
}

export const IDENTITIES = Object.keys(COLOURS).map((colour, index) => ({
  colour,
  hz: 440 + 220 * index,
}));

/** Half the width of a tone: the spectrum's bins are 6 Hz, and its peak may leak into the next. */
export const TONE_TOLERANCE_HZ = 20;
/** Full scale is 1 and tones are sent at 0.3: below this nobody would hear it. */
export const AUDIBLE = 0.02;
