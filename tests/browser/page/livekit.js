// Runs in the page: one participant on the unmodified `livekit-client`, with a synthetic camera and microphone. It has the
// same face as the participant on our own SDK (attendee.js), which it takes the place of.
{
  const lab = (globalThis.lab ??= {});
  const livekit = globalThis.LivekitClient;
  let room = null;
  /** What is published, by source. */
  const published = new Map();

  /** What was told of the others, in order, such as `left Ben`. */
  lab.news = [];
  /** The room's events that say how the connection is, in order. */
  lab.connection = [];

  const SOURCES = {
    microphone: livekit.Track.Source.Microphone,
    camera: livekit.Track.Source.Camera,
    screen: livekit.Track.Source.ScreenShare,
    "screen-audio": livekit.Track.Source.ScreenShareAudio,
  };

  const base64 = (text) => btoa(text).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");

  /** A token that nobody has signed, for a server that is open to everybody. */
  const unsigned = (identity, roomId) => {
    const exp = Math.floor(Date.now() / 1000) + 600;
    const claims = { iss: "devkey", sub: identity, name: identity, exp, video: { roomJoin: true, room: roomId } };
    return [{ alg: "HS256", typ: "JWT" }, claims].map((part) => base64(JSON.stringify(part))).join(".") + ".AAAA";
  };

  const follow = () => {
    const { RoomEvent } = livekit;
    const note = (state) => (participant) => lab.news.push(`${state} ${participant.name}`);
    room.on(RoomEvent.ParticipantConnected, note("connected"));
    room.on(RoomEvent.ParticipantDisconnected, note("left"));
    room.on(RoomEvent.Disconnected, (reason) => lab.connection.push(`disconnected ${livekit.DisconnectReason[reason]}`));
    for (const event of ["SignalReconnecting", "Reconnecting", "Reconnected"]) {
      room.on(RoomEvent[event], () => lab.connection.push(event));
    }
    room.on(RoomEvent.TrackStreamStateChanged, ({ source }, state, { name }) =>
      lab.news.push(`stream ${state} ${name} ${source}`),
    );
    room.on(RoomEvent.TrackSubscriptionPermissionChanged, ({ source }, status, { name }) =>
      lab.news.push(`${status} ${name} ${source}`),
    );
    room.on(RoomEvent.TrackSubscriptionFailed, (sid, participant, error) =>
      lab.news.push(`unsupported ${participant.name} ${sid} ${error}`),
    );
  };

  lab.join = async ({ name, room: id, camera, microphone, token, options }) => {
    room = new livekit.Room(options);
    lab.room = room;
    lab.find = trackOf;
    follow();
    listen();
    await room.connect(location.origin.replace("http", "ws"), token ?? unsigned(name, id));
    if (microphone) await lab.publish({ source: "microphone", ...microphone });
    if (camera) await lab.publish({ source: "camera", ...camera });
  };

  lab.publish = async ({ source, rgb, hz, width, height, fps, grain, simulcast = false, ...options }) => {
    const device = source === "microphone" ? lab.microphone({ hz }) : lab.camera({ rgb, width, height, fps, grain });
    const publication = await room.localParticipant.publishTrack(device.track, {
      source: SOURCES[source],
      simulcast,
      // A tone is no voice: it would not be sent.
      dtx: false,
      ...options,
    });
    published.set(source, { publication, device });
  };

  lab.unpublish = async (source) => {
    const { publication, device } = published.get(source);
    published.delete(source);
    await room.localParticipant.unpublishTrack(publication.track);
    device.stop();
  };

  lab.setMuted = (source, muted) => {
    const { track } = published.get(source).publication;
    return muted ? track.mute() : track.unmute();
  };

  /** The messages of others, in order. */
  lab.messages = [];

  const listen = () => {
    const decoder = new TextDecoder();
    room.on(livekit.RoomEvent.DataReceived, (payload, participant, kind, topic) =>
      lab.messages.push({ from: participant?.name, topic, payload: decoder.decode(payload) }),
    );
    room.registerTextStreamHandler("stream", async (reader, { identity }) =>
      lab.messages.push({ from: identity, topic: "stream", payload: await reader.readAll() }),
    );
    room.registerRpcMethod("greet", async ({ callerIdentity, payload }) => `${payload}, ${callerIdentity}`);
  };

  /** Sends text; `to` are identities. */
  lab.say = ({ topic, payload, to, lossy = false }) => {
    const options = { reliable: !lossy, topic, destinationIdentities: to };
    return room.localParticipant.publishData(new TextEncoder().encode(payload), options);
  };
  lab.stream = (text) => room.localParticipant.sendText(text, { topic: "stream" });
  lab.greet = (destinationIdentity, payload) =>
    room.localParticipant.performRpc({ destinationIdentity, method: "greet", payload });

  /** What is published of data tracks, by name. */
  const streams = new Map();

  lab.publishStream = async (name) => void streams.set(name, await room.localParticipant.publishDataTrack({ name }));
  /** Says something on a data track, so many letters long. */
  lab.pushTo = (name, letter, length = 1) =>
    streams.get(name).tryPush({ payload: new TextEncoder().encode(letter.repeat(length)) });
  lab.unpublishStream = (name) => streams.get(name).unpublish();

  /** The names of the data tracks of somebody. */
  lab.streamsOf = (name) => [...(participantNamed(name)?.dataTracks.values() ?? [])].map(({ info }) => info.name);

  /** From here on what comes on a data track is a message, of a letter and how many there are. */
  lab.follow = ({ name, stream }) => {
    const track = [...participantNamed(name).dataTracks.values()].find(({ info }) => info.name === stream);
    const read = async () => {
      for await (const { payload } of track.subscribe()) {
        const said = `${String.fromCharCode(payload[0])} ${payload.length}`;
        lab.messages.push({ from: name, topic: stream, payload: said });
      }
      lab.messages.push({ from: name, topic: stream, payload: "end" });
    };
    void read();
  };

  /** Runs one of the checks with which LiveKit's authors find out why somebody cannot connect. */
  lab.check = async ({ check, room: id }) => {
    const microphone = lab.microphone({ hz: 440 });
    const camera = lab.camera({ rgb: [200, 0, 0] });
    navigator.mediaDevices.getUserMedia = async ({ audio }) =>
      new MediaStream([(audio ? microphone : camera).track.clone()]);
    const url = location.origin.replace("http", "ws");
    const found = await new livekit.ConnectionCheck(url, unsigned(check, id))[check]();
    return { check, status: livekit.CheckStatus[found.status].toLowerCase(), logs: found.logs };
  };

  /** Lets those who are named here receive one's own tracks, and nobody else; without names, everybody. */
  lab.allow = (...names) => {
    const people = names.map((name) => ({ participantIdentity: participantNamed(name).identity, allowAll: true }));
    room.localParticipant.setTrackSubscriptionPermissions(names.length === 0, people);
  };

  /** The client cannot decode that codec from now on, as far as it tells others. */
  lab.cannotDecode = (codec) => {
    const { addTransceiver } = RTCPeerConnection.prototype;
    RTCPeerConnection.prototype.addTransceiver = function (kind, ...rest) {
      const transceiver = addTransceiver.call(this, kind, ...rest);
      const isVideo = kind === "video" || kind.kind === "video";
      const codecs = isVideo ? RTCRtpReceiver.getCapabilities("video").codecs : [];
      if (isVideo) transceiver.setCodecPreferences(codecs.filter(({ mimeType }) => mimeType !== `video/${codec}`));
      return transceiver;
    };
  };

  /** `udp` or `tcp`: what carries media. */
  lab.carrier = async () => {
    const [{ track }] = room.localParticipant.trackPublications.values();
    const stats = await track.sender.getStats();
    const transport = [...stats.values()].find(({ type }) => type === "transport");
    const pair = stats.get(transport.selectedCandidatePairId);
    return stats.get(pair?.localCandidateId)?.protocol;
  };

  lab.setName = (name) => room.localParticipant.setName(name);
  lab.simulate = (scenario, argument) => room.simulateScenario(scenario, argument);

  lab.leave = async () => {
    await room.disconnect();
    for (const { device } of published.values()) device.stop();
    published.clear();
  };

  /** The encodings of an own track, and which of them are switched on. */
  lab.encodings = (source) => published.get(source).publication.track.sender.getParameters().encodings;

  lab.ownId = () => room.localParticipant.sid;
  lab.roomState = () => room.state;

  const participantNamed = (name) => [...room.remoteParticipants.values()].find((other) => other.name === name);
  const publicationOf = (key) => {
    const [name, source] = key.split("/");
    return participantNamed(name)?.getTrackPublication(SOURCES[source]) ?? null;
  };

  /** `key` is `name/source`. */
  const trackOf = (key) => publicationOf(key)?.track ?? null;

  lab.participantState = (name) => (participantNamed(name) ? "connected" : null);

  lab.trackState = (key) => {
    const publication = publicationOf(key);
    return publication && { muted: publication.isMuted, status: publication.track ? "live" : "waiting" };
  };

  lab.floor = () => {
    const everybody = [room.localParticipant, ...room.remoteParticipants.values()];
    return { speakers: everybody.filter(({ isSpeaking }) => isSpeaking).map(({ name }) => name).join(", ") };
  };

  /** How good everybody's connection is. */
  lab.qualities = () =>
    [room.localParticipant, ...room.remoteParticipants.values()].map(({ connectionQuality }) => connectionQuality);

  lab.subscription = ({ key, action }) => publicationOf(key).setSubscribed(action === "subscribe");

  lab.reception = async (key) => {
    const stats = await trackOf(key).receiver.getStats();
    const inbound = [...stats.values()].find(({ type }) => type === "inbound-rtp");
    return { ...inbound, codec: stats.get(inbound?.codecId)?.mimeType };
  };
}
