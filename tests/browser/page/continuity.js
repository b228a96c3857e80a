// Runs in the page: what is heard of somebody in every hundredth of a second, whichever way it comes. The frames that the
// browser decodes are read as they are, of each way, beside the note which of the ways is not muted at that moment.
{
  const lab = (globalThis.lab ??= {});
  /** How well the clocks of two ways are known to be apart: both are played in the same instants, a frame or two apart. */
  const JITTER_MS = 30;
  /** What is missing this long before or behind a change of ways is put down to it. */
  const NEAR_MS = 500;
  /** A frame of less than this part of the median is silence. */
  const SILENT = 0.1;

  /** What plays: an element with its track and when it was muted. */
  const outlets = [];
  let isListening = false;
  let since = 0;

  /** An audio element of the SDK's, whose doings are noted. */
  lab.createAudio = () => {
    const element = new Audio();
    const outlet = { mutes: [{ at: 0, muted: false }], legs: new Map() };
    outlets.push(outlet);
    note(element, "muted", (muted) => outlet.mutes.push({ at: performance.now(), muted }));
    note(element, "srcObject", (stream) => {
      outlet.track = stream?.getAudioTracks()[0] ?? null;
      if (isListening) read(outlet);
    });
    return element;
  };

  /** Has `told` know what is written to a property of an element. */
  const note = (element, name, told) => {
    const { get, set } = Object.getOwnPropertyDescriptor(HTMLMediaElement.prototype, name);
    Object.defineProperty(element, name, {
      get: () => get.call(element),
      set: (value) => {
        set.call(element, value);
        told(value);
      },
    });
  };

  /** From here on hears everybody. */
  lab.listen = () => {
    isListening = true;
    since = performance.now();
    outlets.forEach(read);
  };

  const read = async (outlet) => {
    const { track } = outlet;
    if (!track || outlet.legs.has(track)) return;
    const leg = { owner: null, frames: [], offset: Infinity };
    outlet.legs.set(track, leg);
    const reader = new MediaStreamTrackProcessor({ track, maxBufferSize: 2000 }).readable.getReader();
    for (;;) {
      const { done, value: data } = await reader.read();
      if (done) return;
      const samples = new Float32Array(data.numberOfFrames);
      data.copyTo(samples, { planeIndex: 0, format: "f32-planar" });
      const at = data.timestamp / 1000;
      // The clock of frames is another one than the page's: the fastest frame tells how far they are apart.
      leg.offset = Math.min(leg.offset, performance.now() - at);
      leg.owner ??= lab.ownerOf(track);
      const level = Math.sqrt(samples.reduce((sum, sample) => sum + sample * sample, 0) / samples.length);
      const ms = (1000 * data.numberOfFrames) / data.sampleRate;
      leg.frames.push({ at, ms, level });
      data.close();
    }
  };

  const isMuted = ({ mutes }, at) => mutes.findLast((change) => change.at <= at)?.muted ?? false;

  /** What was heard of somebody: the frames of the ways that were not muted at that moment, in order. */
  const heardOf = (name) => {
    const heard = [];
    for (const outlet of outlets)
      for (const leg of outlet.legs.values())
        if (leg.owner === name)
          for (const { at, ms, level } of leg.frames) {
            const time = at + leg.offset;
            if (time >= since && !isMuted(outlet, time)) heard.push({ leg, time, ms, level });
          }
    return heard.sort((one, other) => one.time - other.time);
  };

  /**
   * How long nothing was heard of somebody at most, in one go: where they came another way from then on, and elsewhere, which is
   * this machine's own doing.
   */
  lab.continuity = (name) => {
    const heard = heardOf(name);
    const levels = heard.map(({ level }) => level).sort((one, other) => one - other);
    const median = levels[levels.length >> 1] ?? 0;
    const changes = heard.filter(({ leg }, place) => place > 0 && leg !== heard[place - 1].leg).map(({ time }) => time);
    const longest = { near: 0, elsewhere: 0 };
    let silent = 0;
    let before = null;
    for (const frame of heard) {
      const missing = before && before.leg !== frame.leg ? frame.time - before.time - before.ms : 0;
      if (missing > JITTER_MS) silent += missing;
      const isSilent = frame.level < SILENT * median;
      if (isSilent) silent += frame.ms;
      const where = changes.some((change) => Math.abs(change - frame.time) < NEAR_MS) ? "near" : "elsewhere";
      longest[where] = Math.max(longest[where], silent);
      if (!isSilent) silent = 0;
      before = frame;
    }
    return {
      longestGapMs: Math.round(longest.near),
      elsewhereMs: Math.round(longest.elsewhere),
      seconds: Math.round(heard.length / 100),
      changes: changes.length,
    };
  };
}
