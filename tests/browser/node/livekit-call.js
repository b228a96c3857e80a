// Two people on LiveKit's client for Node.js, in one room: what each sends, the other gets. A program of its own, because the
// client's native part may end it.
//
//   livekit-call.js ws://HOST:PORT TOKEN_OF_ANNA TOKEN_OF_BEN
//
// Anna shows a red picture and plays a tone of 1,000 Hz; Ben answers her call and gets her message. Prints what came of it as
// lines of JSON.
import { setTimeout as sleep } from "node:timers/promises";
import * as rtc from "@livekit/rtc-node";

const RATE = 48_000;
const HZ = 1_000;
const [WIDTH, HEIGHT] = [320, 240];
const RED = [200, 20, 20, 255];
const [url, tokenOfAnna, tokenOfBen] = process.argv.slice(2);

const say = (what) => console.log(JSON.stringify(what));
const options = (source) => Object.assign(new rtc.TrackPublishOptions(), { source, simulcast: false });

async function* samples() {
  for (let at = 0; ; at += RATE / 100) {
    const wave = Int16Array.from({ length: RATE / 100 }, (_, n) => Math.sin((2 * Math.PI * HZ * (at + n)) / RATE) * 10_000);
    yield new rtc.AudioFrame(wave, RATE, 1, wave.length);
  }
}

const play = async (source) => {
  for await (const frame of samples()) await source.captureFrame(frame);
};

const show = async (source) => {
  const pixels = new Uint8Array(WIDTH * HEIGHT * 4).map((_, at) => RED[at % 4]);
  for (;;) {
    source.captureFrame(new rtc.VideoFrame(pixels, WIDTH, HEIGHT, rtc.VideoBufferType.RGBA));
    await sleep(1000 / 15);
  }
};

const see = async (track) => {
  for await (const { frame } of new rtc.VideoStream(track)) {
    const { width, height, data } = frame.convert(rtc.VideoBufferType.RGBA);
    return { width, height, rgb: [...data.subarray(0, 3)] };
  }
};

/** The frequency of the first half second that is no silence, by how often the wave rises through zero. */
const hear = async (track) => {
  let heard = [];
  for await (const { data } of new rtc.AudioStream(track, RATE, 1)) {
    const isSilent = data.every((sample) => Math.abs(sample) < 1_000);
    heard = isSilent ? [] : [...heard, ...data];
    if (heard.length < RATE / 2) continue;
    return { hz: 2 * heard.filter((sample, at) => sample >= 0 && heard[at - 1] < 0).length };
  }
};

const [anna, ben] = [new rtc.Room(), new rtc.Room()];
const senses = { [rtc.TrackKind.KIND_VIDEO]: see, [rtc.TrackKind.KIND_AUDIO]: hear };
ben.on(rtc.RoomEvent.TrackSubscribed, async (track, _, { identity }) =>
  say({ from: identity, ...(await senses[track.kind](track)) }),
);
ben.on(rtc.RoomEvent.DataReceived, (payload, { identity }, _, topic) =>
  say({ from: identity, topic, said: new TextDecoder().decode(payload) }),
);
ben.on(rtc.RoomEvent.ParticipantDisconnected, ({ identity }) => say({ left: identity }));
await ben.connect(url, tokenOfBen, { autoSubscribe: true, dynacast: false });
await anna.connect(url, tokenOfAnna, { autoSubscribe: true, dynacast: false });

const [audio, video] = [new rtc.AudioSource(RATE, 1), new rtc.VideoSource(WIDTH, HEIGHT)];
const microphone = rtc.LocalAudioTrack.createAudioTrack("microphone", audio);
const camera = rtc.LocalVideoTrack.createVideoTrack("camera", video);
await anna.localParticipant.publishTrack(microphone, options(rtc.TrackSource.SOURCE_MICROPHONE));
await anna.localParticipant.publishTrack(camera, options(rtc.TrackSource.SOURCE_CAMERA));
void play(audio);
void show(video);

ben.localParticipant.registerRpcMethod("greet", async ({ callerIdentity, payload }) => `${payload}, ${callerIdentity}`);
const call = { destinationIdentity: "Ben", method: "greet", payload: "hello" };
say({ answer: await anna.localParticipant.performRpc(call) });
await anna.localParticipant.publishData(new TextEncoder().encode("hi"), { reliable: true, topic: "chat" });

// Whoever reads this has seen enough.
process.stdin.resume();
process.stdin.once("end", async () => {
  await anna.disconnect();
  await sleep(300);
  process.exit(0);
});
