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
    const received = {};
    far.ontrack = ({ track }) => {
      const attach = (element) => Object.assign(element, { muted: true, autoplay: true, srcObject: new MediaStream([track]) });
      received[track.kind] = { mediaStreamTrack: track, attach, covered: false };
    };
    lab.find = (kind) => received[kind];
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
