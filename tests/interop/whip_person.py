"""One person who publishes by WHIP and views by WHEP with aiortc, with a picture of one colour and a tone: see person.py.

    whip_person.py http://HOST:PORT ROOM NAME R,G,B HZ

Told `{"do": "watch", "id": the id of a participant, "as": their name}`, views that one; `leave` has the `as` of somebody who is
viewed no longer. The end of the input is the end of everything.
"""

import asyncio
import contextlib
import sys

from aiortc import RTCPeerConnection
from aiortc.mediastreams import MediaStreamError

from person import Ear, Eye, orders, say
from session import session
from synthetic import Pattern, Tone


async def frames(track):
    """What comes of a track, until it ends."""
    with contextlib.suppress(MediaStreamError):
        while True:
            yield await track.recv()


async def see(track, whom):
    eye = Eye(whom)
    async for frame in frames(track):
        if eye.wants():
            eye.look(frame.to_ndarray(format="rgb24"))


async def hear(track, whom):
    ear = Ear(whom)
    async for frame in frames(track):
        # The samples of both channels, one after the other.
        ear.hear(frame.to_ndarray().reshape(-1)[:: len(frame.layout.channels)])


async def watch(url, whom, stopped):
    """Views by WHEP until that is to stop."""
    peer, tasks = RTCPeerConnection(), []

    @peer.on("track")
    def come(track):
        tasks.append(asyncio.ensure_future((see if track.kind == "video" else hear)(track, whom)))

    for kind in ("audio", "video"):
        peer.addTransceiver(kind, direction="recvonly")
    async with session(peer, url):
        await stopped.wait()
    await asyncio.gather(*tasks)
    say(unwatched=whom)


async def main(origin, room, name, colour, hz):
    peer, connected = RTCPeerConnection(), asyncio.Event()

    @peer.on("connectionstatechange")
    def changed():
        if peer.connectionState == "connected":
            connected.set()

    for track in (Tone(int(hz)), Pattern([int(part) for part in colour.split(",")])):
        peer.addTransceiver(track, direction="sendonly")
    views, stops = [], {}
    async with session(peer, f"{origin}/whip/{room}?name={name}"):
        await asyncio.wait_for(connected.wait(), 20)
        say(ready=True)
        async for order in orders():
            whom = order["as"]
            if order["do"] == "watch":
                url = f"{origin}/whep/{room}?participant={order['id']}"
                stops[whom] = asyncio.Event()
                views.append(asyncio.ensure_future(watch(url, whom, stops[whom])))
            elif order["do"] == "leave":
                stops.pop(whom).set()
        for stopped in stops.values():
            stopped.set()
        await asyncio.gather(*views)


asyncio.run(main(*sys.argv[1:]))
