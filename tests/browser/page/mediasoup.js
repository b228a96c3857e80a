// Runs in the page: one participant on the unmodified `mediasoup-client`, as an app has it whose messages go by a WebSocket, or
// by REST with a WebSocket for news. It has the same face as the participant on our own SDK (attendee.js), which it takes the
// place of.
{
  const lab = (globalThis.lab ??= {});
  const { Device } = globalThis.mediasoupClient;
  /** What is published, by source. */
  const published = new Map();
  /** What others publish, by producer: `{ user, kind, source, paused, consumer }`. */
  const producers = new Map();
  /** How others are called, by their ids. */
  const names = new Map();
  let app, device, sending, receiving;

  /** What was told of the others, in order, such as `left Ben`. */
  lab.news = [];
  /** What was told of the own session and its transports. */
  lab.connection = [];

  const wait = () => {
    let settle;
    const promise = new Promise((resolve, reject) => (settle = { resolve, reject }));
    return { promise, ...settle };
  };

  const address = (path) => `${location.origin.replace("http", "ws")}${path}`;

  /** An app whose calls and news go by one WebSocket. */
  const bySocket = async ({ name, room }) => {
    const socket = new WebSocket(address("/mediasoup"));
    const calls = new Map();
    let made = 0;
    socket.onmessage = ({ data: text }) => {
      const message = JSON.parse(text);
      const call = calls.get(message.messageId);
      if (!call) return follow(message.type.replaceAll("-", "_"), message.data);
      calls.delete(message.messageId);
      if (message.error) call.reject(new Error(message.error));
      else call.resolve(message);
    };
    await new Promise((resolve, reject) => Object.assign(socket, { onopen: resolve, onerror: reject }));
    const call = (type, data = {}) => {
      const answer = wait();
      const messageId = `${type}-${made++}`;
      calls.set(messageId, answer);
      socket.send(JSON.stringify({ type, messageId, ...data }));
      return answer.promise;
    };
    const capabilities = async () => (await fetch(`/api/router-capabilities/${room}`)).json();
    const enter = () => call("join-room", { roomId: room, participantId: name });
    // As apps do that came from mediasoup's own example: transports by REST, everything else by the socket.
    const createTransport = (direction) => post("/api/create-transport", { roomId: room, participantId: name, direction });
    return { call, capabilities, enter, createTransport, startsPaused: true, close: () => socket.close(1000) };
  };

  const post = async (path, body) => {
    const options = { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(body) };
    const response = await fetch(path, options);
    const reply = await response.json();
    if (!response.ok) throw new Error(reply.error);
    return reply;
  };

  /** An app whose calls go by REST; news come by a WebSocket, unless it does without. */
  const byRest = async ({ name, room, isDeaf = false }) => {
    const who = { channelId: room, userId: name };
    const call = (type, data = {}) => post(`/api/voice/${type}`, { ...who, ...data });
    const capabilities = async () => (await fetch(`/api/voice/rtp-capabilities/${room}`)).json();
    const createTransport = (direction) => call("create-transport", { direction });
    const enter = async () => {
      if (isDeaf) return;
      const socket = new WebSocket(address(`/api/voice/events?channelId=${room}&userId=${name}`));
      const word = { user_joined_voice: "participant_joined", user_left_voice: "participant_left", left_voice: "left" };
      socket.onmessage = ({ data: text }) => {
        const { type, data } = JSON.parse(text);
        follow(word[type] ?? type, { ...data, participantId: data?.userId });
      };
      await new Promise((resolve, reject) => Object.assign(socket, { onopen: resolve, onerror: reject }));
    };
    return { call, capabilities, enter, createTransport, startsPaused: false, close: () => call("leave") };
  };

  /** Takes news. */
  const follow = (type, data) => {
    const name = names.get(data?.participantId);
    const producer = producers.get(data?.producerId);
    const consumer = [...producers.values()].find(({ consumer }) => consumer?.id === data?.consumerId)?.consumer;
    switch (type) {
      case "participant_joined":
        names.set(data.participantId, data.name);
        return lab.news.push(`connected ${data.name}`);
      case "participant_left":
        names.delete(data.participantId);
        return lab.news.push(`left ${name}`);
      case "new_producer":
        producers.set(data.producerId, { ...data, user: data.participantId });
        return receiving && consume(data.producerId);
      case "producer_closed":
        producers.delete(data.producerId);
        return lab.news.push(`ended ${name}`);
      case "producer_paused":
      case "producer_resumed":
        if (producer) producer.paused = type === "producer_paused";
        return undefined;
      case "consumer_closed":
        return consumer?.close();
      case "transport_closed":
      case "left":
        return lab.connection.push(`${type} ${data.reason ?? data.transportId}`);
      default:
        return undefined;
    }
  };

  const connects = (transport) => {
    transport.on("connect", ({ dtlsParameters }, done, failed) => {
      app.call("connect-transport", { transportId: transport.id, dtlsParameters }).then(() => done(), failed);
    });
    transport.on("connectionstatechange", (state) => lab.connection.push(`${transport.direction} ${state}`));
    return transport;
  };

  const consume = async (producerId) => {
    const producer = producers.get(producerId);
    if (!producer || producer.isAsked) return;
    producer.isAsked = true;
    const { rtpCapabilities } = device;
    const options = await app
      .call("consume", { transportId: receiving.id, producerId, rtpCapabilities })
      .catch((error) => lab.news.push(`unsupported ${names.get(producer.user)} ${error.message}`) && null);
    if (!options) return;
    const { id, kind, rtpParameters } = options;
    const consumer = await receiving.consume({ id, producerId, kind, rtpParameters });
    producer.consumer = consumer;
    if (app.startsPaused) await app.call("resume-consumer", { consumerId: id });
  };

  lab.join = async ({ name, room, camera, microphone, options = {} }) => {
    app = await (options.by === "rest" ? byRest : bySocket)({ name, room, ...options });
    lab.find = trackOf;
    device = await Device.factory();
    await device.load({ routerRtpCapabilities: await app.capabilities() });
    await app.enter();
    sending = connects(device.createSendTransport(await app.createTransport("send")));
    sending.on("produce", ({ kind, rtpParameters, appData }, done, failed) => {
      app.call("produce", { transportId: sending.id, kind, rtpParameters, appData }).then(done, failed);
    });
    receiving = connects(device.createRecvTransport(await app.createTransport("recv")));
    for (const producerId of producers.keys()) void consume(producerId);
    if (microphone) await lab.publish({ source: "microphone", ...microphone });
    if (camera) await lab.publish({ source: "camera", ...camera });
  };

  const SIMULCAST = [4, 2, 1].map((factor) => ({ scaleResolutionDownBy: factor, maxBitrate: 2_000_000 / factor }));

  lab.publish = async ({ source, rgb, hz, width, height, fps, grain, simulcast = false, codec }) => {
    const device_ = source === "microphone" ? lab.microphone({ hz }) : lab.camera({ rgb, width, height, fps, grain });
    const producer = await sending.produce({
      track: device_.track,
      encodings: simulcast ? SIMULCAST : undefined,
      codec: codec && device.rtpCapabilities.codecs.find(({ mimeType }) => mimeType === codec),
      appData: { source },
    });
    published.set(source, { producer, device: device_ });
  };

  lab.unpublish = async (source) => {
    const { producer, device: device_ } = published.get(source);
    published.delete(source);
    producer.close();
    device_.stop();
    await app.call("close-producer", { producerId: producer.id });
  };

  lab.setMuted = async (source, muted) => {
    const { producer } = published.get(source);
    if (muted) producer.pause();
    else producer.resume();
    await app.call(muted ? "pause-producer" : "resume-producer", { producerId: producer.id });
  };

  /** New credentials for both transports, as after a change of network. */
  lab.restartIce = async () => {
    for (const transport of [sending, receiving]) {
      const { iceParameters } = await app.call("restart-ice", { transportId: transport.id });
      await transport.restartIce({ iceParameters });
    }
  };

  lab.closeTransport = async (direction) => {
    const transport = direction === "send" ? sending : receiving;
    transport.close();
    await app.call("close-transport", { transportId: transport.id });
  };

  lab.leave = async () => {
    await app.close();
    for (const transport of [sending, receiving]) transport.close();
    for (const { device: device_ } of published.values()) device_.stop();
    published.clear();
  };

  lab.ownId = () => published.get("camera")?.producer.id;
  lab.roomState = () => sending.connectionState;
  lab.participantState = (name) => ([...names.values()].includes(name) ? "connected" : null);

  const producerOf = (key) => {
    const [name, source] = key.split("/");
    return [...producers.values()].find((other) => names.get(other.user) === name && other.source === source) ?? null;
  };

  /** The tracks of consumers, as those of our own SDK are. */
  const tracks = new WeakMap();

  /** `key` is `name/source`. */
  const trackOf = (key) => {
    const producer = producerOf(key);
    const consumer = producer?.consumer;
    if (!consumer || consumer.closed) return null;
    if (!tracks.has(consumer)) {
      const { track, rtpReceiver: receiver } = consumer;
      const attach = (element) =>
        Object.assign(element, { muted: true, autoplay: true, srcObject: new MediaStream([track]) });
      tracks.set(consumer, { mediaStreamTrack: track, receiver, attach, covered: false, consumer });
    }
    return Object.assign(tracks.get(consumer), { covered: producer.paused });
  };

  lab.trackState = (key) => {
    const producer = producerOf(key);
    return producer && { muted: producer.paused, status: producer.consumer ? "live" : "waiting" };
  };

  lab.subscription = async ({ key, action }) => {
    const { consumer } = trackOf(key);
    if (action === "unsubscribe") {
      consumer.close();
      producerOf(key).isAsked = false;
      producerOf(key).consumer = null;
      return app.call("close-consumer", { consumerId: consumer.id });
    }
    return app.call(`${action}-consumer`, { consumerId: consumer.id });
  };
  lab.consumeAgain = (key) => consume([...producers].find(([, other]) => other === producerOf(key))[0]);

  /** Asks for a track as a client that knows no video codec; answers why that is refused. */
  lab.cannotConsume = (producerId) => {
    const { codecs, ...others } = device.rtpCapabilities;
    const rtpCapabilities = { ...others, codecs: codecs.filter(({ kind }) => kind === "audio") };
    const asked = app.call("consume", { transportId: receiving.id, producerId, rtpCapabilities });
    return asked.then(() => "not refused", ({ message }) => message);
  };

  /** Says how a camera is to be shown. */
  lab.prefer = ({ key, wish }) => app.call("prefer-consumer", { consumerId: trackOf(key).consumer.id, ...wish });

  lab.reception = async (key) => {
    const stats = await trackOf(key).receiver.getStats();
    const inbound = [...stats.values()].find(({ type }) => type === "inbound-rtp");
    return { ...inbound, codec: stats.get(inbound?.codecId)?.mimeType };
  };
}
