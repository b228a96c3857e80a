"""Views by WHEP with aiortc, decodes what comes, and prints what it is as one line of JSON.

Usage: aiortc_view.py URL. Ends when enough pictures and sound were decoded; fails after a while.
"""

import asyncio
import json
import sys

import aiohttp
from aiortc import RTCPeerConnection, RTCSessionDescription

from senses import heard, seen

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
    await peer.setLocalDescription(await peer.createOffer())
    async with aiohttp.ClientSession() as http:
        headers = {"Content-Type": "application/sdp"}
        async with http.post(url, data=peer.localDescription.sdp, headers=headers) as response:
            answer = await response.text()
            assert response.status == 201, (response.status, answer)
            session = response.url.join(response.url.__class__(response.headers["Location"]))
        await peer.setRemoteDescription(RTCSessionDescription(sdp=answer, type="answer"))
        picture, sound = await asyncio.wait_for(asyncio.gather(tasks["video"], tasks["audio"]), 40)
        print(json.dumps({"picture": picture, "sound": sound}), flush=True)
        async with http.delete(session) as response:
            assert response.status == 200, response.status
    await peer.close()


asyncio.run(main(sys.argv[1]))
