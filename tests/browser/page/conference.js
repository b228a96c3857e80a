// Runs in the page of an app on LiveKit's React components, before its own code: looks and listens to what it puts on the
// screen.
{
  const lab = (globalThis.lab ??= {});

  const tileOf = (name) =>
    [...document.querySelectorAll(".lk-participant-tile")].find(
      (tile) => tile.querySelector(".lk-participant-name")?.textContent === name,
    );

  /** What the tile of somebody shows; `key` is `name/camera`. */
  lab.look = (key) => lab.lookAt(tileOf(key.split("/")[0])?.querySelector("video"));

  /** The one voice that is played: there are two people. */
  lab.find = () => lab.voiceOf(document.querySelector("audio"));

  /** What was said in the chat, in order. */
  lab.chat = () => [...document.querySelectorAll(".lk-message-body")].map(({ textContent }) => textContent);
}
