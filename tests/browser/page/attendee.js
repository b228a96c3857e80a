// Runs in the page: one participant on the real SDK, with a synthetic camera and microphone.
{
  const lab = (globalThis.lab ??= {});
  let room = null;
  /** What is published, by source. */
  const published = new Map();

  /** The msid streams of each received MediaStreamTrack: the SDK keeps its connection to itself. */
  const streamsOf = new WeakMap();
  /** The newest connection. */
  let connection = null;
  /** All of them. */
  const connections = [];
  /** Whether nobody but the server finds a path to this browser, as behind a NAT that lets nobody in. */
  let isUnreachable = false;
  /** The browser's own certificate for media, if it is not to be an ECDSA one. */
  let certificates;
  /** The connection's data channels, in order. */
  const channels = [];
  /** The same, with a password that answers no connectivity check. */
  const elsewhere = ({ type, sdp }) => ({ type, sdp: sdp.replace(/^(a=ice-pwd:).*$/gm, "$1wrongwrongwrongwrongwrong") });

  /** How much sound is to be sent in a packet, milliseconds, if not as much as browsers like. */
  let ptime = null;
  /** The same, as one who wants that much in a packet says it. */
  const inPacketsOf = (ptime, { type, sdp }) => ({
    type,
    sdp: sdp
      .split(/^(?=m=)/m)
      .map((section) => (section.startsWith("m=audio") ? section.replace(/^a=mid:/m, `a=ptime:${ptime}\r\na=mid:`) : section))
      .join(""),
  });

  globalThis.RTCPeerConnection = class extends RTCPeerConnection {
    constructor(configuration) {
      super(certificates ? { ...configuration, certificates } : configuration);
      connection = this;
      connections.push(this);
      this.addEventListener("track", ({ track, streams }) => streamsOf.set(track, streams.map(({ id }) => id)));
    }

    setRemoteDescription(description) {
      const isLite = description.sdp.includes("a=ice-lite");
      const said = ptime ? inPacketsOf(ptime, description) : description;
      return super.setRemoteDescription(isUnreachable && !isLite ? elsewhere(said) : said);
    }

    addIceCandidate(candidate) {
      return isUnreachable ? Promise.resolve() : super.addIceCandidate(candidate);
    }

    createDataChannel(label, init) {
      const channel = super.createDataChannel(label, init);
      channels.push(channel);
      return channel;
    }

    createOffer(options) {
      if (options?.iceRestart) lab.iceRestarts++;
      return super.createOffer(options);
    }
  };

  /** How often the SDK restarted ICE. */
  lab.iceRestarts = 0;

  /** What was told of the others, in order, such as `reconnecting Ben`. */
  lab.news = [];
  /** The room's errors, in order. */
  lab.errors = [];

  /** The messages of others, in order; of bytes what `digest` makes of them. */
  lab.messages = [];

  /** Sends a message; `bytes` stands for so many bytes. Answers what the others should hear. */
  lab.say = async ({ topic, payload, bytes, to, lossy }) => {
    const said = bytes === undefined ? payload : Uint8Array.from({ length: bytes }, (_, at) => (at * 7 + (at >> 8)) & 255);
    const ids = to?.map((name) => participantNamed(name).participantId);
    await room.sendData(topic, said, ids, { lossy });
    return bytes === undefined ? said : digest(said);
  };

  /** How many bytes there are, and a sum in which each counts by its place. */
  const digest = (bytes) => `${bytes.length} bytes, ${bytes.reduce((sum, byte, at) => (sum * 31 + byte + at) % 1e9, 0)}`;

  /** Each data channel's label and state, in order. */
  lab.channelStates = () => channels.map(({ label, readyState }) => `${label} ${readyState}`);

  /** Opens a channel of the page's own beside the SDK's; what comes by it are messages of nobody. */
  lab.openChannel = async ({ label, ...init }) => {
    const channel = connection.createDataChannel(label, init);
    channel.binaryType = "arraybuffer";
    channel.onmessage = ({ data }) => {
      const payload = typeof data === "string" ? data : digest(new Uint8Array(data));
      lab.messages.push({ topic: label, payload });
    };
    await new Promise((resolve) => channel.addEventListener("open", resolve));
  };

  lab.sayOn = ({ label, text }) => channels.find((channel) => channel.label === label).send(text);

  const follow = () => {
    const states = new WeakMap();
    const note = (participant, state) => {
      if (states.get(participant) === state) return;
      states.set(participant, state);
      lab.news.push(`${state} ${participant.name}`);
    };
    room.on("participant-joined", ({ detail: { participant } }) => note(participant, participant.state));
    room.on("participant-changed", ({ detail: { participant } }) => {
      if (!participant.isLocal) note(participant, participant.state);
    });
    room.on("participant-left", ({ detail: { participant } }) => note(participant, "left"));
    room.on("data", ({ detail: { participant, topic, payload } }) => {
      const isBytes = payload instanceof Uint8Array;
      lab.messages.push({ from: participant?.name, topic, payload: isBytes ? digest(payload) : payload });
    });
    room.on("error", ({ detail: { error } }) => lab.errors.push(`${error.code}: ${error.message}`));
  };

  const rsa = { name: "RSASSA-PKCS1-v1_5", publicExponent: new Uint8Array([1, 0, 1]), hash: "SHA-256" };

  lab.join = async ({ name, room: id, camera, microphone, rsaBits, options, packetMs = null, ...behaviour }) => {
    isUnreachable = behaviour.isUnreachable ?? false;
    ptime = packetMs;
    const { Room } = await import("/sdk/strait.js");
    if (rsaBits) certificates = [await RTCPeerConnection.generateCertificate({ ...rsa, modulusLength: rsaBits })];
    room = new Room({ environment: { createAudio: lab.createAudio }, ...options });
    lab.find = trackOf;
    follow();
    if (microphone) await lab.publish({ source: "microphone", ...microphone });
    if (camera) await lab.publish({ source: "camera", ...camera });
    await room.join({ name, room: id });
  };

  lab.publish = async ({ source, rgb, hz, noise, sweep, width, height, fps, grain, ...options }) => {
    const device = source === "microphone" ? lab.microphone({ hz, noise, sweep }) : lab.camera({ rgb, width, height, fps, grain });
    const track = await room.publish(device.track, { source, ...options });
    published.set(source, { track, device });
  };

  lab.publishTrack = (track, options) => room.publish(track, options);

  lab.iceState = async () => (await room.getStats()).connection.iceState;

  /** How packets travel, as the SDK's statistics say. */
  lab.path = async () => (await room.getStats()).connection.path;

  /** Milliseconds to the server and back over that path. */
  lab.roundTrip = async () => (await room.getStats()).connection.rttMs;

  lab.unpublish = async (source) => {
    const { track, device } = published.get(source);
    published.delete(source);
    await room.unpublish(track);
    device.stop();
  };

  lab.setMuted = (source, muted) => published.get(source).track.setMuted(muted);

  lab.leave = () => {
    room.leave();
    for (const { device } of published.values()) device.stop();
    published.clear();
  };

  /** How many connections there are to the server, and straight to others: the server's side of ICE is lite. */
  lab.connections = () => {
    const open = connections.filter(({ connectionState }) => connectionState === "connected");
    const toServer = open.filter(({ remoteDescription }) => remoteDescription.sdp.includes("a=ice-lite")).length;
    return { toServer, straight: open.length - toServer };
  };

  /** Bytes sent on all connections that are open, and were; of Firefox, which does not tell more, those of media alone. */
  lab.sentBytes = async () => {
    for (const pc of connections) {
      if (pc.connectionState === "closed") continue;
      const stats = [...(await pc.getStats()).values()];
      const told = ["transport", "outbound-rtp"].map((wanted) =>
        stats.filter(({ type, bytesSent }) => type === wanted && bytesSent !== undefined),
      );
      const ofOne = ({ bytesSent = 0, headerBytesSent = 0 }) => bytesSent + headerBytesSent;
      sentOn.set(pc, told.find(({ length }) => length > 0)?.reduce((sum, one) => sum + ofOne(one), 0) ?? 0);
    }
    return [...sentOn.values()].reduce((sum, bytes) => sum + bytes, 0);
  };
  const sentOn = new Map();

  /** By which way this page hears and sees the others, while it is not moving. */
  lab.way = () => (room.topology?.movingTo === null ? room.topology.mode : "moving");

  /** Whose a received MediaStreamTrack is. */
  lab.ownerOf = (media) => {
    for (const { name, tracks } of room?.participants.values() ?? [])
      for (const { legs } of tracks) if (legs.some(({ receiver }) => receiver.track === media)) return name;
    return null;
  };

  const numbers = new WeakMap();
  let tracksSeen = 0;
  /** Each track of the others with a number of its own, which it keeps as long as it is the same object. */
  lab.trackNumbers = () =>
    [...room.participants.values()]
      .flatMap(({ name, tracks }) =>
        [...tracks].map((track) => {
          if (!numbers.has(track)) numbers.set(track, ++tracksSeen);
          return `${name} ${track.source} ${numbers.get(track)}`;
        }),
      )
      .sort();

  lab.ownId = () => room.localParticipant.participantId;
  lab.roomState = () => room.state;

  const participantNamed = (name) => [...room.participants.values()].find((other) => other.name === name);

  /** `key` is `name/source`. */
  const trackOf = (key) => {
    const [name, source] = key.split("/");
    return participantNamed(name)?.track(source) ?? null;
  };

  /** How loud somebody is played, 1 as they come. */
  lab.setVolume = ({ name, volume }) => {
    participantNamed(name).volume = volume;
  };

  lab.participantState = (name) => participantNamed(name)?.state ?? null;

  lab.floor = () => {
    const everybody = [room.localParticipant, ...room.participants.values()];
    return {
      dominant: everybody.find(({ dominant }) => dominant)?.name ?? null,
      speakers: everybody.filter(({ heardSpeaking }) => heardSpeaking).map(({ name }) => name).join(", "),
    };
  };

  lab.trackState = (key) => {
    const track = trackOf(key);
    if (!track) return null;
    const { muted, paused, status, reason } = track;
    return { muted, paused, status, reason };
  };

  lab.subscription = ({ key, action }) =>
    ({
      subscribe: (track) => track.subscribe(),
      unsubscribe: (track) => track.unsubscribe(),
      pause: (track) => track.setPaused(true),
      resume: (track) => track.setPaused(false),
    })[action](trackOf(key));

  /** Sends another tone of the same source from now on, as from another device. */
  lab.exchange = async ({ source, ...order }) => {
    const { track, device } = published.get(source);
    const other = source === "microphone" ? lab.microphone(order) : lab.camera(order);
    await track.replace(other.track);
    device.stop();
    published.set(source, { track, device: other });
  };

  const tiles = new Map();

  /** Shows a track in a tile that is so tall, at the top of the window; of no height: not at all. */
  lab.showTile = async ({ key, height }) => {
    const { followTile } = await import("/sdk/strait.js");
    if (!tiles.has(key)) {
      const video = document.createElement("video");
      Object.assign(video.style, { position: "fixed", top: 0, left: 0, zIndex: 1 });
      document.body.append(video);
      tiles.set(key, video);
      const track = trackOf(key);
      track.attach(video);
      followTile(track, video);
    }
    const { style } = tiles.get(key);
    style.display = height === 0 ? "none" : "block";
    style.height = `${height}px`;
    style.width = `${(height * 16) / 9}px`;
  };

  lab.prefer = ({ key, wish }) => trackOf(key).prefer(wish);

  /** What is sent of the camera: the statistics of each encoding, by its rid. */
  lab.sending = async () => {
    const stats = [...(await connection.getStats()).values()];
    const encodings = stats.filter(({ type, rid }) => type === "outbound-rtp" && rid);
    return Object.fromEntries(encodings.map((encoding) => [encoding.rid, encoding]));
  };

  lab.streams = (key) => streamsOf.get(trackOf(key).mediaStreamTrack);

  /** Packets of sound received of each other person, by the way by which they are heard. */
  lab.packets = async () => {
    const packets = {};
    for (const { name } of room.participants.values())
      packets[name] = trackOf(`${name}/microphone`)?.receiver
        ? ((await lab.reception(`${name}/microphone`)).packetsReceived ?? 0)
        : 0;
    return packets;
  };

  lab.reception = async (key) => {
    const stats = await trackOf(key).receiver.getStats();
    const inbound = [...stats.values()].find(({ type }) => type === "inbound-rtp");
    return { ...inbound, codec: stats.get(inbound?.codecId)?.mimeType };
  };
}
