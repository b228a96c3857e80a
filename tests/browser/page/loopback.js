// Runs in the page: two peer connections of one page, for the proof of the eye and the ear.
{
  const lab = (globalThis.lab ??= {});

  lab.loopback = async ({ rgb, hz }) => {
    const near = new RTCPeerConnection();
    const far = new RTCPeerConnection();
    near.onicecandidate = ({ candidate }) => candidate && void far.addIceCandidate(candidate);
    far.onicecandidate = ({ candidate }) => candidate && void near.addIceCandidate(candidate);
    const camera = lab.camera({ rgb });
    const microphone = lab.microphone({ hz });
    far.ontrack = ({ track }) => {
      if (track.kind === "video") lab.eyes.set("far", lab.watch(track));
      else lab.ears.set("far", lab.listen(track));
    };
    const video = near.addTrack(camera.track);
    const audio = near.addTrack(microphone.track);
    await near.setLocalDescription();
    await far.setRemoteDescription(near.localDescription);
    await far.setLocalDescription();
    await near.setRemoteDescription(far.localDescription);
    lab.unplug = async () => {
      await video.replaceTrack(null);
      await audio.replaceTrack(null);
    };
  };
}
