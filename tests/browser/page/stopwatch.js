// Runs in the page: times how long after joining the first picture and the first sound come.
{
  const lab = (globalThis.lab ??= {});
  const AUDIBLE = 0.02;

  const untilTrue = async (condition) => {
    while (!condition()) await new Promise((resolve) => setTimeout(resolve, 5));
    return performance.now();
  };

  /**
   * Joins, and answers the milliseconds from there to the first picture and to the first sound of any key, and those
   * from opening the page to the first picture.
   */
  lab.joinTimed = async (order, { camera, microphone }) => {
    const begun = performance.now();
    const joining = lab.join(order);
    const [picture, sound] = await Promise.all([
      untilTrue(() => lab.find && camera.some((key) => isShown(key))),
      untilTrue(() => lab.find && microphone.some((key) => (lab.hear(key)?.loudest ?? 0) > AUDIBLE)),
      joining,
    ]);
    return { picture: picture - begun, sound: sound - begun, opened: picture };
  };

  const isShown = (key) => {
    const view = lab.look(key);
    return view !== null && view.width > 0 && !view.covered;
  };

  /** From here on the age of every frame of those keys is noted; `lab.frameAges()` answers them all. */
  lab.noteFrameAges = (keys) => {
    const ages = [];
    for (const key of keys) lab.eye(key).noteAges(ages);
    lab.frameAges = () => ages;
  };

  /** From here on notes when frames of that key are shown; `lab.longestGap()` answers the longest time without one. */
  lab.noteGaps = (key) => {
    const { video } = lab.eye(key);
    let last = performance.now();
    let longest = 0;
    const onFrame = () => {
      const now = performance.now();
      longest = Math.max(longest, now - last);
      last = now;
      video.requestVideoFrameCallback(onFrame);
    };
    video.requestVideoFrameCallback(onFrame);
    lab.longestGap = () => longest;
  };
}
