"""Publishes by WHIP and views by WHEP with aiortc, and exchanges messages on data channels of one label between the two.

Usage: aiortc_data.py WHIP-URL WHEP-URL. Prints what each has heard, as one line of JSON.
"""

import asyncio
import json
import sys

from aiortc import RTCPeerConnection
from aiortc.mediastreams import AudioStreamTrack

from session import session

LARGE = bytes(range(256)) * 200


class Talker:
    """A peer with a data channel, and what it hears there."""

    def __init__(self):
        self.peer = RTCPeerConnection()
        self.heard = asyncio.Queue()

    def opens(self, label, **options):
        channel = self.peer.createDataChannel(label, **options)
        self.is_open = asyncio.Event()
        channel.on("open", self.is_open.set)
        channel.on("message", self.heard.put_nowait)
        self.channel = channel

    async def hears(self):
        return await asyncio.wait_for(self.heard.get(), 20)


async def main(whip, whep):
    publisher, viewer = Talker(), Talker()
    publisher.peer.addTrack(AudioStreamTrack())
    viewer.peer.addTransceiver("audio", direction="recvonly")
    publisher.opens("board")
    viewer.opens("board", ordered=False, maxRetransmits=3)
    async with session(publisher.peer, whip), session(viewer.peer, whep):
        for talker in (publisher, viewer):
            await asyncio.wait_for(talker.is_open.wait(), 20)
        publisher.channel.send("a line")
        text = await viewer.hears()
        viewer.channel.send(LARGE)
        large = await publisher.hears()
        viewer.channel.send("")
        empty = await publisher.hears()
        print(json.dumps({"text": text, "large": large == LARGE, "empty": empty}), flush=True)


asyncio.run(main(*sys.argv[1:]))
