"""Views by WHEP with aiortc, decodes what comes, and prints what it is as one line of JSON.

Usage: aiortc_view.py URL. Ends when enough pictures and sound were decoded; fails after a while.
"""

import asyncio
import json
import sys

import aiohttp
import numpy
from aiortc import RTCPeerConnection, RTCSessionDescription

PICTURES = 20
SOUNDS = 50


async def see(track):
    """The mean colour of the last of many pictures."""
    for _ in range(PICTURES):
        frame = await track.recv()
    picture = frame.to_ndarray(format="rgb24")
    below = picture[picture.shape[0] // 2 :]
    return {"width": frame.width, "height": frame.height, "rgb": [round(c) for c in below.mean(axis=(0, 1))]}


async def hear(track):
    """The loudest frequency in a second of sound."""
    samples = []
    for _ in range(SOUNDS):
        frame = await track.recv()
        channels = len(frame.layout.channels)
        samples.append(frame.to_ndarray().reshape(-1, channels)[:, 0])
    wave = numpy.concatenate(samples[5:]).astype(float)
    spectrum = numpy.abs(numpy.fft.rfft(wave * numpy.hanning(len(wave))))
    hz = numpy.fft.rfftfreq(len(wave), 1 / frame.sample_rate)[spectrum.argmax()]
    return {"hz": round(float(hz)), "loudest": float(numpy.abs(wave).max())}


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
