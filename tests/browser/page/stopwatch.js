// Runs in the page: times how long after joining the first picture and the first sound come.
{
  const lab = (globalThis.lab ??= {});
  const AUDIBLE = 0.02;

  const untilTrue = async (condition) => {
    while (!condition()) await new Promise((resolve) => setTimeout(resolve, 5));
    return performance.now();
  };

  /** Joins, and answers the milliseconds from there to the first picture and to the first sound of any key. */
  lab.joinTimed = async (order, { camera, microphone }) => {
    const begun = performance.now();
    const joining = lab.join(order);
    const [picture, sound] = await Promise.all([
      untilTrue(() => lab.find && camera.some((key) => isShown(key))),
      untilTrue(() => lab.find && microphone.some((key) => (lab.hear(key)?.loudest ?? 0) > AUDIBLE)),
      joining,
    ]);
    return { picture: picture - begun, sound: sound - begun };
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
}
