// Runs in the page: an eye and an ear for received tracks. The eye reads pixels off a real <video>,
// the ear the spectrum of what the browser decoded. `lab.find(key)`, set by whoever receives, answers
// the track of that name as the SDK's tracks are: `mediaStreamTrack`, `attach(element)`, `covered`.
{
  const lab = (globalThis.lab ??= {});
  const eyes = new WeakMap();
  const ears = new WeakMap();

  const average = (pixels) => {
    const sum = [0, 0, 0];
    for (let at = 0; at < pixels.length; at += 4) for (let c = 0; c < 3; c++) sum[c] += pixels[at + c];
    return sum.map((total) => Math.round(total / (pixels.length / 4)));
  };

  /** The time code on `paper` as drawn, right or not. */
  const readCode = (paper, width, height) => {
    const bits = lab.TIME_CODE.dataBits + lab.TIME_CODE.checkBits;
    const y = Math.floor((height * lab.TIME_CODE.height) / 2);
    const row = paper.getImageData(0, y, width, 1).data;
    let code = 0;
    for (let bit = 0; bit < bits; bit++) {
      const x = Math.floor(((bit + 0.5) * width) / bits);
      code = code * 2 + (row[x * 4 + 1] > 127 ? 1 : 0);
    }
    return code;
  };

  /** The age in milliseconds of a frame by its time code, or null where that is illegible. */
  const ageOf = (code) => {
    const { dataBits, checkBits } = lab.TIME_CODE;
    const stamp = Math.floor(code / 2 ** checkBits);
    if (lab.checksum(stamp) !== code % 2 ** checkBits) return null;
    const range = 2 ** dataBits;
    return ((Date.now() % range) - stamp + range) % range;
  };

  /** Watches a video element. */
  lab.watchElement = (video) => {
    const canvas = document.createElement("canvas");
    const paper = canvas.getContext("2d", { willReadFrequently: true });
    const draw = () => {
      canvas.width = video.videoWidth;
      canvas.height = video.videoHeight;
      paper.drawImage(video, 0, 0);
    };

    return {
      video,
      /** What is in the picture: while `code` changes, it moves. */
      look: () => {
        const { videoWidth: width, videoHeight: height } = video;
        if (!width) return { width, height, rgb: null, code: null };
        draw();
        const centre = paper.getImageData(width * 0.3, height * 0.4, width * 0.4, height * 0.4);
        return { width, height, rgb: average(centre.data), code: readCode(paper, width, height) };
      },
      /** Notes in `ages` how old each frame is when it is presented. */
      noteAges: (ages) => {
        const onFrame = () => {
          draw();
          const age = ageOf(readCode(paper, canvas.width, canvas.height));
          if (age !== null) ages.push(age);
          video.requestVideoFrameCallback(onFrame);
        };
        video.requestVideoFrameCallback(onFrame);
      },
    };
  };

  /** What a video element shows, as text that differs between pictures. */
  lab.fingerprint = (video) => {
    const paper = new OffscreenCanvas(32, 18).getContext("2d", { willReadFrequently: true });
    paper.drawImage(video, 0, 0, 32, 18);
    return paper.getImageData(0, 0, 32, 18).data.join();
  };

  /** How far the lines of a slide differ: see `Visitor.sharesSlide`. */
  lab.readSlide = (key) => {
    const video = lab.eye(key)?.video;
    if (!video?.videoWidth) return null;
    const { videoWidth: width, videoHeight: height } = video;
    const paper = new OffscreenCanvas(width, height).getContext("2d", { willReadFrequently: true });
    paper.drawImage(video, 0, 0);
    const row = paper.getImageData(width / 4, height / 2, width / 2, 1).data;
    let sum = 0;
    for (let at = 0; at + 8 < row.length; at += 4) sum += Math.abs(row[at + 1] - row[at + 9]);
    return { width, contrast: Math.round(sum / (row.length / 4 - 2)) };
  };

  const watch = (track) => {
    const video = document.createElement("video");
    track.attach(video);
    document.body.append(video);
    return lab.watchElement(video);
  };

  const listen = (mediaStreamTrack) => {
    const stream = new MediaStream([mediaStreamTrack]);
    const context = lab.audioContext();
    // Chromium feeds a remote track to Web Audio only while an element plays it too.
    const element = new Audio();
    element.muted = true;
    element.srcObject = stream;
    void element.play().catch(() => {});

    const analyser = new AnalyserNode(context, { fftSize: 8192, smoothingTimeConstant: 0 });
    const source = new MediaStreamAudioSourceNode(context, { mediaStream: stream });
    source.connect(analyser);
    const spectrum = new Float32Array(analyser.frequencyBinCount);
    const wave = new Float32Array(analyser.fftSize);

    const hear = () => {
      analyser.getFloatFrequencyData(spectrum);
      analyser.getFloatTimeDomainData(wave);
      let peak = 1;
      for (let bin = 2; bin < spectrum.length; bin++) if (spectrum[bin] > spectrum[peak]) peak = bin;
      return {
        hz: Math.round((peak * context.sampleRate) / analyser.fftSize),
        loudest: wave.reduce((top, sample) => Math.max(top, Math.abs(sample)), 0),
        clock: context.currentTime,
      };
    };
    return { hear, element, source };
  };

  /** The eye on the track of that name, opened on first use; null while there is no such picture. */
  lab.eye = (key) => {
    const track = lab.find(key);
    if (!track?.mediaStreamTrack) return null;
    if (!eyes.has(track)) eyes.set(track, watch(track));
    return eyes.get(track);
  };

  lab.look = (key) => {
    const view = lab.eye(key)?.look() ?? null;
    return view && { ...view, covered: lab.find(key).covered };
  };

  /** The colours of the first `count` frames that are shown under that name, however soon they come. */
  lab.firstFrames = async ({ key, count, within }) => {
    const deadline = Date.now() + within;
    const colours = [];
    let last;
    while (colours.length < count && Date.now() < deadline) {
      const view = lab.look(key);
      if (view?.rgb && !view.covered && view.code !== last) {
        last = view.code;
        colours.push(view.rgb);
      }
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
    return colours;
  };

  lab.hear = (key) => {
    const media = lab.find(key)?.mediaStreamTrack;
    if (!media) return null;
    if (!ears.has(media)) ears.set(media, listen(media));
    return ears.get(media).hear();
  };
}
