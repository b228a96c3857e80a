"""Views by WHEP with aiortc, decodes what comes, and prints what it is as one line of JSON.

Usage: aiortc_view.py URL. Ends when enough pictures and sound were decoded; fails after a while.
"""

import asyncio
import json
import sys

from aiortc import RTCPeerConnection

from senses import heard, seen
from session import session

PICTURES = 20
SOUNDS = 50


async def see(track):
    """The last of many pictures."""
    for _ in range(PICTURES):
        frame = await track.recv()
    return seen(frame)


async def hear(track):
    """A second of sound."""
    frames = [await track.recv() for _ in range(SOUNDS)]
    return heard(frames[5:])


async def main(url):
    peer = RTCPeerConnection()
    tasks = {}

    @peer.on("track")
    def come(track):
        tasks[track.kind] = asyncio.ensure_future(see(track) if track.kind == "video" else hear(track))

    for kind in ("audio", "video"):
        peer.addTransceiver(kind, direction="recvonly")
    async with session(peer, url):
        picture, sound = await asyncio.wait_for(asyncio.gather(tasks["video"], tasks["audio"]), 40)
        print(json.dumps({"picture": picture, "sound": sound}), flush=True)


asyncio.run(main(sys.argv[1]))
