// Runs in the page of an app on our hooks for React, before its own code: looks at what it puts on the screen, and listens to
// what it plays, in elements that are in no document.
{
  const lab = (globalThis.lab ??= {});
  const played = [];

  globalThis.Audio = new Proxy(Audio, {
    construct: (target, words) => {
      const element = Reflect.construct(target, words);
      played.push(element);
      return element;
    },
  });

  /** What the tile of somebody shows; `key` is `name/camera`. */
  lab.look = (key) => lab.lookAt(document.querySelector(`article[aria-label="${key.split("/")[0]}"] video`));

  /** The one voice that is played: there are two people. */
  lab.find = () => lab.voiceOf(played.find(({ srcObject, muted }) => srcObject && !muted));
}
