"""Two people on LiveKit's client for Python, in one room: what each sends, the other gets.

    livekit_call.py ws://HOST:PORT TOKEN_OF_ANNA TOKEN_OF_BEN

Anna shows a red picture and plays a tone of 440 Hz, then says something and calls Ben (RPC). Prints what Ben sees and hears as
lines of JSON, what he was told and has answered, then what he sees of her as she leaves. Waits for the end of its input.
"""

import asyncio
import json
import sys

import numpy
from livekit import rtc

RATE = 48_000
WIDTH, HEIGHT = 320, 240


def say(**what):
    print(json.dumps(what), flush=True)


async def play(source: rtc.AudioSource):
    at = 0
    while True:
        times = numpy.arange(at, at + RATE // 100) / RATE
        samples = (numpy.sin(2 * numpy.pi * 440 * times) * 10_000).astype(numpy.int16)
        await source.capture_frame(rtc.AudioFrame(samples.tobytes(), RATE, 1, len(samples)))
        at += len(samples)


async def show(source: rtc.VideoSource):
    picture = numpy.tile(numpy.array([200, 20, 20, 255], dtype=numpy.uint8), (HEIGHT, WIDTH, 1)).tobytes()
    while True:
        source.capture_frame(rtc.VideoFrame(WIDTH, HEIGHT, rtc.VideoBufferType.RGBA, picture))
        await asyncio.sleep(1 / 15)


async def see(track: rtc.Track):
    async for event in rtc.VideoStream(track, format=rtc.VideoBufferType.RGBA):
        frame = event.frame
        pixels = numpy.frombuffer(frame.data, dtype=numpy.uint8).reshape(frame.height, frame.width, 4)
        rgb = [int(value) for value in pixels[:, :, :3].mean(axis=(0, 1))]
        return {"width": frame.width, "height": frame.height, "rgb": rgb}


async def hear(track: rtc.Track):
    samples = numpy.array([], dtype=numpy.int16)
    async for event in rtc.AudioStream(track, sample_rate=RATE, num_channels=1):
        samples = numpy.append(samples, numpy.frombuffer(event.frame.data, dtype=numpy.int16))
        window = samples[-RATE // 2 :]
        # Until there is half a second of it that is no silence.
        if len(window) < RATE // 2 or numpy.abs(window[: RATE // 10]).max() < 1000:
            continue
        spectrum = numpy.abs(numpy.fft.rfft(window * numpy.hanning(len(window))))
        hz = int(numpy.argmax(spectrum) * RATE / len(window))
        return {"hz": hz, "loudest": int(numpy.abs(window).max())}


async def main():
    url, token_of_anna, token_of_ben = sys.argv[1:4]
    ben, anna = rtc.Room(), rtc.Room()
    seen, heard = asyncio.Queue(), asyncio.Queue()
    told, left = asyncio.Queue(), asyncio.Event()
    tasks = []

    @ben.on("track_subscribed")
    def on_track(track, publication, participant):
        async def watch():
            if track.kind == rtc.TrackKind.KIND_VIDEO:
                await seen.put((participant.identity, publication.source, await see(track)))
            else:
                await heard.put((participant.identity, publication.source, await hear(track)))

        tasks.append(asyncio.ensure_future(watch()))

    @ben.on("data_received")
    def on_data(packet):
        told.put_nowait((packet.participant.identity, packet.topic, packet.data.decode()))

    @ben.on("participant_disconnected")
    def on_left(participant):
        left.set()

    await ben.connect(url, token_of_ben)
    await anna.connect(url, token_of_anna)
    audio, video = rtc.AudioSource(RATE, 1), rtc.VideoSource(WIDTH, HEIGHT)
    microphone = rtc.LocalAudioTrack.create_audio_track("microphone", audio)
    camera = rtc.LocalVideoTrack.create_video_track("camera", video)
    tasks += [asyncio.ensure_future(play(audio)), asyncio.ensure_future(show(video))]
    publish = anna.local_participant.publish_track
    await publish(microphone, rtc.TrackPublishOptions(source=rtc.TrackSource.SOURCE_MICROPHONE))
    await publish(camera, rtc.TrackPublishOptions(source=rtc.TrackSource.SOURCE_CAMERA, simulcast=False))
    for queue in (seen, heard):
        identity, source, what = await queue.get()
        say(identity=identity, source=source, **what)

    @ben.local_participant.register_rpc_method("greet")
    async def greet(call):
        return f"{call.payload}, {call.caller_identity}"

    await anna.local_participant.publish_data("good morning", topic="chat")
    answer = await anna.local_participant.perform_rpc(destination_identity="ben", method="greet", payload="hello")
    say(told=await told.get(), answer=answer)
    await anna.disconnect()
    await left.wait()
    say(left=True)
    await ben.disconnect()
    for task in tasks:
        task.cancel()
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)


asyncio.run(main())
