"""One person on LiveKit's client for Python, with a picture of one colour and a tone: see person.py.

    livekit_person.py ws://HOST:PORT TOKEN R,G,B HZ

Told `{"do": "say", "topic": …, "text": …}`, says that to all; `mute` and `unmute` have a `source`, which is `camera` or
`microphone`. Tells also `{"told": text, "from": whom, "topic": …}`, `{"left": whom}` and `{"muted": source, "of": whom, "is": …}`. The end of
the input is the end of the call.
"""

import asyncio
import sys

import numpy
from livekit import rtc

from person import RATE, Ear, Eye, orders, say

WIDTH, HEIGHT = 320, 240
SOURCES = {
    rtc.TrackSource.SOURCE_CAMERA: "camera",
    rtc.TrackSource.SOURCE_MICROPHONE: "microphone",
}


async def play(source: rtc.AudioSource, hz: int):
    at = 0
    while True:
        times = numpy.arange(at, at + RATE // 100) / RATE
        samples = (numpy.sin(2 * numpy.pi * hz * times) * 10_000).astype(numpy.int16)
        await source.capture_frame(rtc.AudioFrame(samples.tobytes(), RATE, 1, len(samples)))
        at += len(samples)


async def show(source: rtc.VideoSource, rgb):
    """A colour, with a white bar that moves in the black of its upper edge."""
    shown = 0
    while True:
        picture = numpy.empty((HEIGHT, WIDTH, 4), dtype=numpy.uint8)
        picture[:] = (*rgb, 255)
        bar = shown * 8 % WIDTH
        picture[:20, :, :3] = 0
        picture[:20, bar : bar + 24] = 255
        source.capture_frame(rtc.VideoFrame(WIDTH, HEIGHT, rtc.VideoBufferType.RGBA, picture.tobytes()))
        shown += 1
        await asyncio.sleep(1 / 12)


async def see(track: rtc.Track, whom: str):
    eye = Eye(whom)
    async for event in rtc.VideoStream(track, capacity=1):
        if not eye.wants():
            continue
        frame = event.frame.convert(rtc.VideoBufferType.RGBA)
        eye.look(numpy.frombuffer(frame.data, dtype=numpy.uint8).reshape(frame.height, frame.width, 4))


async def hear(track: rtc.Track, whom: str):
    ear = Ear(whom)
    async for event in rtc.AudioStream(track, sample_rate=RATE, num_channels=1):
        ear.hear(numpy.frombuffer(event.frame.data, dtype=numpy.int16))


def follow(room: rtc.Room, tasks: list):
    @room.on("track_subscribed")
    def on_track(track, publication, participant):
        watch = see if track.kind == rtc.TrackKind.KIND_VIDEO else hear
        tasks.append(asyncio.ensure_future(watch(track, participant.name)))

    @room.on("data_received")
    def on_data(packet):
        sender = packet.participant.name if packet.participant else None
        say(told=packet.data.decode(), **{"from": sender}, topic=packet.topic)

    room.on("participant_disconnected", lambda who: say(left=who.name))
    room.on("track_muted", lambda who, track: say(muted=SOURCES.get(track.source), of=who.name, **{"is": True}))
    room.on("track_unmuted", lambda who, track: say(muted=SOURCES.get(track.source), of=who.name, **{"is": False}))


async def publish(room: rtc.Room, rgb, hz: int, tasks: list):
    audio, video = rtc.AudioSource(RATE, 1), rtc.VideoSource(WIDTH, HEIGHT)
    microphone = rtc.LocalAudioTrack.create_audio_track("microphone", audio)
    camera = rtc.LocalVideoTrack.create_video_track("camera", video)
    tasks += [asyncio.ensure_future(play(audio, hz)), asyncio.ensure_future(show(video, rgb))]
    add = room.local_participant.publish_track
    # A tone is no voice: it would not be sent.
    await add(microphone, rtc.TrackPublishOptions(source=rtc.TrackSource.SOURCE_MICROPHONE, dtx=False))
    await add(camera, rtc.TrackPublishOptions(source=rtc.TrackSource.SOURCE_CAMERA, simulcast=False))
    return {"microphone": microphone, "camera": camera}


async def main(url, token, colour, hz):
    room, tasks = rtc.Room(), []
    follow(room, tasks)
    await room.connect(url, token)
    tracks = await publish(room, [int(part) for part in colour.split(",")], int(hz), tasks)
    say(ready=True)
    async for order in orders():
        if order["do"] == "say":
            await room.local_participant.publish_data(order["text"], topic=order["topic"])
        elif order["do"] == "mute":
            tracks[order["source"]].mute()
        elif order["do"] == "unmute":
            tracks[order["source"]].unmute()
    await room.disconnect()
    for task in tasks:
        task.cancel()


asyncio.run(main(*sys.argv[1:]))
