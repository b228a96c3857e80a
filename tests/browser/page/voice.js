// Runs in the page: what the gate of a microphone lets through.
{
  const lab = (globalThis.lab ??= {});

  /** Milliseconds in which `hz` is heard well, by the zero crossings of 5 ms each. */
  const heardOf = (samples, rate, hz) => {
    const size = Math.round(rate / 200);
    let heard = 0;
    for (let from = 0; from + size < samples.length; from += size) {
      let crossings = 0;
      let top = 0;
      for (let at = from + 1; at < from + size; at++) {
        if (samples[at - 1] < 0 !== samples[at] < 0) crossings++;
        top = Math.max(top, Math.abs(samples[at]));
      }
      if (top > 0.1 && Math.abs(crossings * 100 - hz) < hz / 4) heard += 5;
    }
    return heard;
  };

  /**
   * A room with some noise in it, and in the middle 100 ms of one tone and 400 ms of another: how much of each is let through,
   * and how much of the noise, in milliseconds.
   */
  lab.voiceThroughGate = async () => {
    const { VoiceGate, audioContext } = await import("/sdk/strait.js");
    const context = audioContext();
    const rate = context.sampleRate;
    const buffer = new AudioBuffer({ length: 3 * rate, sampleRate: rate });
    const samples = buffer.getChannelData(0);
    for (let at = 0; at < samples.length; at++) {
      const ms = (at * 1000) / rate - 1500;
      const hz = ms < 0 || ms >= 500 ? 0 : ms < 100 ? 1000 : 2000;
      samples[at] = (Math.random() - 0.5) * 0.002 + (hz && 0.3 * Math.sin((2 * Math.PI * hz * at) / rate));
    }
    const source = new AudioBufferSourceNode(context, { buffer });
    const microphone = new MediaStreamAudioDestinationNode(context, { channelCount: 1 });
    source.connect(microphone);
    const gate = new VoiceGate();
    gate.mode = "voice";
    const track = await gate.through(microphone.stream.getAudioTracks()[0]);
    const openings = [];
    gate.on("open", ({ detail }) => openings.push(detail.isOpen));
    const reader = new MediaStreamTrackProcessor({ track, maxBufferSize: 1000 }).readable.getReader();
    const ended = new Promise((resolve) => (source.onended = resolve));
    source.start();
    void ended.then(() => track.stop());
    const out = [];
    for (;;) {
      const { done, value: data } = await reader.read();
      if (done) break;
      const frame = new Float32Array(data.numberOfFrames);
      data.copyTo(frame, { planeIndex: 0, format: "f32-planar" });
      out.push(...frame);
      data.close();
    }
    const silent = out.filter((sample) => sample === 0).length;
    return { first: heardOf(out, rate, 1000), rest: heardOf(out, rate, 2000), silent: silent / out.length, openings };
  };

  /** Words of 100 ms of one tone and 400 ms of another, in a room with some noise in it, one after the other without end. */
  const words = (context) => {
    const rate = context.sampleRate;
    const buffer = new AudioBuffer({ length: 2 * rate, sampleRate: rate });
    const samples = buffer.getChannelData(0);
    for (let at = 0; at < samples.length; at++) {
      const ms = (at * 1000) / rate - 1000;
      const hz = ms < 0 || ms >= 500 ? 0 : ms < 100 ? 1000 : 2000;
      samples[at] = (Math.random() - 0.5) * 0.002 + (hz && 0.3 * Math.sin((2 * Math.PI * hz * at) / rate));
    }
    return new AudioBufferSourceNode(context, { buffer, loop: true });
  };

  /** Publishes such words through a gate that lets voices through. */
  lab.speakThroughGate = async () => {
    const { VoiceGate, audioContext } = await import("/sdk/strait.js");
    const context = audioContext();
    const source = words(context);
    const microphone = new MediaStreamAudioDestinationNode(context, { channelCount: 1 });
    source.connect(microphone);
    const gate = new VoiceGate();
    gate.mode = "voice";
    await lab.publishTrack(await gate.through(microphone.stream.getAudioTracks()[0]), { source: "microphone" });
    source.start();
  };

  /** From here on notes how long each key that is pressed takes until there is sound in what the page sends. */
  lab.noteKeys = async () => {
    const delays = [];
    lab.keyDelays = () => delays;
    let pressedAt = null;
    document.addEventListener("keydown", (event) => event.repeat || (pressedAt = event.timeStamp), { capture: true });
    const track = strait.localParticipant.track("microphone").mediaStreamTrack;
    const reader = new MediaStreamTrackProcessor({ track, maxBufferSize: 100 }).readable.getReader();
    for (;;) {
      const { done, value: data } = await reader.read();
      if (done) return;
      const frame = new Float32Array(data.numberOfFrames);
      data.copyTo(frame, { planeIndex: 0, format: "f32-planar" });
      data.close();
      if (pressedAt === null || !frame.some((sample) => Math.abs(sample) > 0.001)) continue;
      // The page reads it a little later than it is sent, and a busy machine still later.
      delays.push(performance.now() - pressedAt);
      pressedAt = null;
    }
  };
}
