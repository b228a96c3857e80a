// Runs in the page: the synthetic camera and microphone of one participant. The camera shows one
// colour with a time code along its top edge (so that every frame differs and its age can be read);
// the microphone plays one tone.
{
  const lab = (globalThis.lab ??= {});

  /** Bits of the time code: 24 of milliseconds, 4 of checksum. */
  lab.TIME_CODE = { dataBits: 24, checkBits: 4, height: 1 / 9 };

  lab.checksum = (milliseconds) => {
    let sum = 0x5;
    for (let shift = 0; shift < lab.TIME_CODE.dataBits; shift += 4) sum ^= (milliseconds >> shift) & 0xf;
    return sum;
  };

  /** A picture of noise, twice as large as it will be shown. */
  const noise = (width, height) => {
    const grain = new OffscreenCanvas(2 * width, 2 * height);
    const paper = grain.getContext("2d");
    const pixels = paper.createImageData(grain.width, grain.height);
    for (let at = 0; at < pixels.data.length; at++) pixels.data[at] = at % 4 === 3 ? 255 : Math.random() * 256;
    paper.putImageData(pixels, 0, 0);
    return grain;
  };

  /** `grain` is how much of the picture's height, at its bottom, is noise, which costs as many bits as there are. */
  lab.camera = ({ rgb, width = 320, height = 180, fps = 12, grain = 0 }) => {
    const canvas = document.createElement("canvas");
    canvas.width = width;
    canvas.height = height;
    const paper = canvas.getContext("2d");
    const bits = lab.TIME_CODE.dataBits + lab.TIME_CODE.checkBits;
    const rough = Math.round(height * grain);
    const texture = rough > 0 ? noise(width, rough) : null;

    const draw = () => {
      paper.fillStyle = `rgb(${rgb.join(",")})`;
      paper.fillRect(0, 0, width, height);
      if (texture) {
        const [left, top] = [width, rough].map((most) => Math.floor(Math.random() * most));
        paper.drawImage(texture, left, top, width, rough, 0, height - rough, width, rough);
      }
      const now = Date.now() & (2 ** lab.TIME_CODE.dataBits - 1);
      const code = now * 2 ** lab.TIME_CODE.checkBits + lab.checksum(now);
      for (let bit = 0; bit < bits; bit++) {
        paper.fillStyle = Math.floor(code / 2 ** (bits - 1 - bit)) % 2 ? "#fff" : "#000";
        const left = Math.round((bit * width) / bits);
        const right = Math.round(((bit + 1) * width) / bits);
        paper.fillRect(left, 0, right - left, height * lab.TIME_CODE.height);
      }
    };
    draw();
    const timer = setInterval(draw, 1000 / fps);
    const [track] = canvas.captureStream().getVideoTracks();
    return { track, stop: () => (clearInterval(timer), track.stop()) };
  };

  let audioContext;
  lab.audioContext = () => {
    audioContext ??= new AudioContext({ sampleRate: 48000 });
    if (audioContext.state === "suspended") void audioContext.resume();
    return audioContext;
  };

  /** Noise as loud as speech is at each pitch, roughly, and as long as nobody notices that it repeats. */
  const babble = (context, loudness) => {
    const buffer = new AudioBuffer({ length: 5 * context.sampleRate, sampleRate: context.sampleRate });
    const samples = buffer.getChannelData(0);
    for (let at = 0; at < samples.length; at++) samples[at] = Math.random() * 2 - 1;
    const noise = new AudioBufferSourceNode(context, { buffer, loop: true });
    const shape = new BiquadFilterNode(context, { type: "lowpass", frequency: 700 });
    const gain = new GainNode(context, { gain: loudness });
    noise.connect(shape).connect(gain);
    noise.start();
    return gain;
  };

  /** Where the pilot begins, how far it climbs, and in which time: as in harness/ear.js, which finds it again. */
  const SWEEP = { from: 1_500, span: 4_000, seconds: 0.4 };

  /** A pilot that climbs through the same frequencies again and again: each tells from when it is. */
  const sweep = (context) => {
    const buffer = new AudioBuffer({ length: SWEEP.seconds * context.sampleRate, sampleRate: context.sampleRate });
    const samples = buffer.getChannelData(0);
    for (let at = 0; at < samples.length; at++) {
      const time = at / context.sampleRate;
      const turns = SWEEP.from * time + ((SWEEP.span / SWEEP.seconds) * time * time) / 2;
      samples[at] = 0.1 * Math.sin(2 * Math.PI * turns);
    }
    const pilot = new AudioBufferSourceNode(context, { buffer, loop: true });
    pilot.start();
    return pilot;
  };

  /**
   * A tone; with `noise` what sounds like speech around it; and with `sweep` what is loud is the noise, and a pilot by which
   * harness/ear.js tells what is heard twice.
   */
  lab.microphone = ({ hz, noise = false, sweep: withSweep = false }) => {
    const context = lab.audioContext();
    const tone = new OscillatorNode(context, { frequency: hz });
    const volume = new GainNode(context, { gain: withSweep ? 0.05 : 0.3 });
    const out = new MediaStreamAudioDestinationNode(context, { channelCount: 1 });
    tone.connect(volume).connect(out);
    if (noise || withSweep) babble(context, withSweep ? 0.6 : 0.12).connect(out);
    if (withSweep) sweep(context).connect(out);
    tone.start();
    const [track] = out.stream.getAudioTracks();
    return { track, stop: () => (tone.stop(), track.stop()) };
  };
}
