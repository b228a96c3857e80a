"""What the programs share that play one person of a story: they are told what to do, and tell what they see and hear, in lines
of JSON.

Told is `{"do": what, ...}`; said is `{"sees": whom, "rgb": [r, g, b], "frames": how many so far}` and
`{"hears": whom, "hz": what, "loudest": how loud, from 0 to 1}`, twice a second at most, and whatever else the program tells.
"""

import asyncio
import json
import sys

import numpy

RATE = 48_000
#: Sound is told of in pieces that long, in seconds.
PIECE = 0.5


def say(**what):
    print(json.dumps(what), flush=True)


async def orders():
    """What the program is told to do, until the end of its input."""
    reader = asyncio.StreamReader()
    protocol = asyncio.StreamReaderProtocol(reader)
    await asyncio.get_running_loop().connect_read_pipe(lambda: protocol, sys.stdin)
    while line := await reader.readline():
        yield json.loads(line)


class Eye:
    """Tells what the pictures of somebody show."""

    def __init__(self, whom):
        self.whom, self.frames, self.told = whom, 0, 0.0

    def wants(self):
        """Counts a picture. Whether it is to be looked at."""
        self.frames += 1
        now = asyncio.get_running_loop().time()
        if now - self.told < PIECE / 2:
            return False
        self.told = now
        return True

    def look(self, pixels):
        """Looks at the middle of a picture: rows of pixels with three or four numbers each."""
        height, width = pixels.shape[:2]
        middle = pixels[height * 2 // 5 : height * 4 // 5, width // 3 : width * 2 // 3, :3]
        say(sees=self.whom, rgb=[round(float(value)) for value in middle.mean(axis=(0, 1))], frames=self.frames)


class Ear:
    """Tells what the sound of somebody is."""

    def __init__(self, whom):
        self.whom, self.samples = whom, numpy.array([], dtype=numpy.int16)

    def hear(self, samples):
        """Takes samples of one channel, 16 bits each."""
        self.samples = numpy.append(self.samples, samples)
        length = int(RATE * PIECE)
        if len(self.samples) < length:
            return
        piece, self.samples = self.samples[:length], self.samples[length:]
        spectrum = numpy.abs(numpy.fft.rfft(piece * numpy.hanning(length)))
        hz = round(float(numpy.argmax(spectrum)) / PIECE)
        say(hears=self.whom, hz=hz, loudest=float(numpy.abs(piece.astype(float)).max()) / 32768)
