// Runs in the page of an app on LiveKit's React components, before its own code: gives it a synthetic camera and microphone,
// and looks and listens to what it puts on the screen.
{
  const lab = (globalThis.lab ??= {});
  const words = new URLSearchParams(location.search);

  navigator.mediaDevices.getUserMedia = async ({ audio, video }) => {
    const devices = [
      ...(video ? [lab.camera({ rgb: words.get("rgb").split(",").map(Number) })] : []),
      ...(audio ? [lab.microphone({ hz: Number(words.get("hz")) })] : []),
    ];
    return new MediaStream(devices.map(({ track }) => track));
  };

  const tileOf = (name) =>
    [...document.querySelectorAll(".lk-participant-tile")].find(
      (tile) => tile.querySelector(".lk-participant-name")?.textContent === name,
    );

  const eyes = new WeakMap();

  /** What the tile of somebody shows; `key` is `name/camera`. */
  lab.look = (key) => {
    const video = tileOf(key.split("/")[0])?.querySelector("video");
    if (!video) return null;
    if (!eyes.has(video)) eyes.set(video, lab.watchElement(video));
    return { ...eyes.get(video).look(), covered: false };
  };

  /** The one voice that is played: there are two people. */
  lab.find = () => {
    const [mediaStreamTrack] = document.querySelector("audio")?.srcObject?.getAudioTracks() ?? [];
    voice = voice?.mediaStreamTrack === mediaStreamTrack ? voice : { mediaStreamTrack };
    return mediaStreamTrack ? voice : null;
  };
  let voice = null;

  /** What was said in the chat, in order. */
  lab.chat = () => [...document.querySelectorAll(".lk-message-body")].map(({ textContent }) => textContent);
}
