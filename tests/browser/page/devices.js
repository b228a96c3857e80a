// Runs in the page of an app that opens devices itself, before its own code: gives it a synthetic camera and microphone, of the
// colour and tone that its address says.
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

  const eyes = new WeakMap();

  /** What an element on the screen shows. */
  lab.lookAt = (video) => {
    if (!video) return null;
    if (!eyes.has(video)) eyes.set(video, lab.watchElement(video));
    return { ...eyes.get(video).look(), covered: getComputedStyle(video).opacity === "0" };
  };

  let voice = null;

  /** The one voice that an element plays, as `lab.find` answers it. */
  lab.voiceOf = (audio) => {
    const [mediaStreamTrack] = audio?.srcObject?.getAudioTracks() ?? [];
    voice = voice?.mediaStreamTrack === mediaStreamTrack ? voice : { mediaStreamTrack };
    return mediaStreamTrack ? voice : null;
  };
}
