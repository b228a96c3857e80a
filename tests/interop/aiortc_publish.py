"""Publishes a moving test pattern and a tone by WHIP with aiortc, until standard input ends.

Usage: aiortc_publish.py URL. Prints one line of JSON once connected.
"""

import asyncio
import fractions
import json
import sys

import av
import numpy
from aiortc import AudioStreamTrack, RTCPeerConnection, VideoStreamTrack

from session import session

WIDTH, HEIGHT = 320, 240
TONE_HZ = 440


class Pattern(VideoStreamTrack):
    """Red, with a white bar that moves."""

    async def recv(self):
        pts, time_base = await self.next_timestamp()
        picture = numpy.zeros((HEIGHT, WIDTH, 3), numpy.uint8)
        picture[:, :, 0] = 200
        bar = (pts // 3000 * 4) % WIDTH
        picture[:20, bar : bar + 16] = 255
        frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
        frame.pts, frame.time_base = pts, time_base
        return frame


class Tone(AudioStreamTrack):
    """A sine."""

    sent = 0

    async def recv(self):
        silence = await super().recv()
        count = silence.samples
        at = (numpy.arange(count) + self.sent) / silence.sample_rate
        self.sent += count
        wave = (numpy.sin(2 * numpy.pi * TONE_HZ * at) * 10_000).astype(numpy.int16)
        frame = av.AudioFrame.from_ndarray(wave.reshape(1, -1), format="s16", layout="mono")
        frame.sample_rate, frame.pts = silence.sample_rate, silence.pts
        frame.time_base = fractions.Fraction(1, silence.sample_rate)
        return frame


async def main(url):
    peer = RTCPeerConnection()
    connected = asyncio.Event()

    @peer.on("connectionstatechange")
    def changed():
        if peer.connectionState == "connected":
            connected.set()

    for track in (Tone(), Pattern()):
        peer.addTransceiver(track, direction="sendonly")
    async with session(peer, url) as location:
        await asyncio.wait_for(connected.wait(), 20)
        print(json.dumps({"session": str(location)}), flush=True)
        await asyncio.to_thread(sys.stdin.read)


asyncio.run(main(sys.argv[1]))
