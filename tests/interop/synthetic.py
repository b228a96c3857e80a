"""What aiortc's publishers show and play: a colour with a bar that moves, and a tone."""

import fractions

import av
import numpy
from aiortc import AudioStreamTrack, VideoStreamTrack

WIDTH, HEIGHT = 320, 240
RED = (200, 0, 0)
TONE_HZ = 440


class Pattern(VideoStreamTrack):
    """A colour, with a white bar that moves in the black of its upper edge."""

    def __init__(self, rgb=RED):
        super().__init__()
        self.rgb = rgb

    async def recv(self):
        pts, time_base = await self.next_timestamp()
        picture = numpy.empty((HEIGHT, WIDTH, 3), numpy.uint8)
        picture[:] = self.rgb
        bar = (pts // 3000 * 4) % WIDTH
        picture[:20] = 0
        picture[:20, bar : bar + 16] = 255
        frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
        frame.pts, frame.time_base = pts, time_base
        return frame


class Tone(AudioStreamTrack):
    """A sine."""

    def __init__(self, hz=TONE_HZ):
        super().__init__()
        self.hz, self.sent = hz, 0

    async def recv(self):
        silence = await super().recv()
        count = silence.samples
        at = (numpy.arange(count) + self.sent) / silence.sample_rate
        self.sent += count
        wave = (numpy.sin(2 * numpy.pi * self.hz * at) * 10_000).astype(numpy.int16)
        frame = av.AudioFrame.from_ndarray(wave.reshape(1, -1), format="s16", layout="mono")
        frame.sample_rate, frame.pts = silence.sample_rate, silence.pts
        frame.time_base = fractions.Fraction(1, silence.sample_rate)
        return frame
