// Runs in the page: a participant that speaks the protocol by itself, without the SDK, and publishes
// its camera in three simulcast layers.
{
  const lab = (globalThis.lab ??= {});

  lab.joinWithLayers = async ({ name, room, rgb }) => {
    const socket = new WebSocket(`ws://${location.host}/ws`);
    await new Promise((resolve, reject) => Object.assign(socket, { onopen: resolve, onerror: reject }));
    const replies = new Map();
    socket.onmessage = ({ data }) => {
      const message = JSON.parse(data);
      replies.get(message.id)?.(message);
    };
    let id = 0;
    const request = (type, data) =>
      new Promise((resolve, reject) => {
        replies.set(++id, (reply) => (reply.type === "error" ? reject(new Error(reply.data.message)) : resolve(reply.data)));
        socket.send(JSON.stringify({ type, id, data }));
      });

    await request("join", { version: 1, name, room });
    const connection = new RTCPeerConnection({ bundlePolicy: "max-bundle" });
    connection.addTransceiver("audio", { direction: "recvonly" });
    const camera = lab.camera({ rgb, width: 640, height: 360, fps: 12 });
    const transceiver = connection.addTransceiver(camera.track, {
      direction: "sendonly",
      sendEncodings: [
        { rid: "low", scaleResolutionDownBy: 4 },
        { rid: "medium", scaleResolutionDownBy: 2 },
        { rid: "high" },
      ],
    });
    await connection.setLocalDescription();
    const { sdp } = connection.localDescription;
    const answer = await request("offer", { sdp, publications: [{ mid: transceiver.mid, source: "camera" }] });
    await connection.setRemoteDescription({ type: "answer", sdp: answer.sdp });
  };
}
