"""Two people on mediasoup's client for Python (pymediasoup), in one room: what one produces, the other consumes.

    mediasoup_call.py http://HOST:PORT ROOM

Anna, whose calls go by REST, shows a red picture and plays a tone of 440 Hz. Ben, whose calls go by a WebSocket, prints what he
sees and hears of her as one line of JSON each, then that she has left. Waits for the end of its input.
"""

import asyncio
import json
import sys

import aiohttp
from aiortc import RTCIceServer
from pymediasoup import AiortcHandler, Device
from pymediasoup.models.transport import DtlsParameters, IceCandidate, IceParameters
from pymediasoup.rtp_parameters import RtpCapabilities, RtpParameters

from senses import heard, seen
from synthetic import Pattern, Tone

PICTURES = 20
SOUNDS = 50


def plain(model):
    return model.model_dump(exclude_none=True)


class ByRest:
    """An app whose calls go by REST, in a channel."""

    def __init__(self, http, origin, room, user):
        self.http, self.base, self.room = http, f"{origin}/api/voice", room
        self.who = {"channelId": room, "userId": user}

    async def capabilities(self):
        async with self.http.get(f"{self.base}/rtp-capabilities/{self.room}") as response:
            return await response.json()

    async def call(self, name, **fields):
        async with self.http.post(f"{self.base}/{name}", json={**self.who, **fields}) as response:
            answer = await response.json()
            assert response.status == 200, (name, response.status, answer)
            return answer


class BySocket:
    """An app whose calls and news go by one WebSocket."""

    def __init__(self, http, origin, room, user):
        self.http, self.origin, self.room, self.user = http, origin, room, user
        self.calls, self.news = {}, asyncio.Queue()

    async def enter(self):
        self.socket = await self.http.ws_connect(f"{self.origin}/mediasoup")
        self.reader = asyncio.ensure_future(self.read())
        await self.call("join-room", roomId=self.room, participantId=self.user)

    async def read(self):
        async for message in self.socket:
            said = json.loads(message.data)
            waiting = self.calls.pop(said.get("messageId"), None)
            if waiting is None:
                self.news.put_nowait(said)
            else:
                waiting.set_result(said)

    async def capabilities(self):
        return (await self.call("get-router-capabilities"))["rtpCapabilities"]

    async def call(self, name, **fields):
        number = f"{name}-{len(self.calls)}-{id(fields)}"
        waiting = self.calls[number] = asyncio.get_running_loop().create_future()
        await self.socket.send_json({"type": name, "messageId": number, **fields})
        answer = await asyncio.wait_for(waiting, 20)
        assert "error" not in answer, (name, answer)
        return answer

    async def told(self, kind):
        """The next news of that kind."""
        while True:
            said = await asyncio.wait_for(self.news.get(), 20)
            if said["type"] == kind:
                return said["data"]


async def device_of(app):
    device = Device(handlerFactory=AiortcHandler.createFactory())
    await device.load(RtpCapabilities(**await app.capabilities()))
    return device


async def transport_of(app, device, direction):
    options = await app.call("create-transport", direction=direction)
    create = device.createSendTransport if direction == "send" else device.createRecvTransport
    transport = create(
        id=options["id"],
        iceParameters=IceParameters(**options["iceParameters"]),
        iceCandidates=[IceCandidate(**candidate) for candidate in options["iceCandidates"]],
        dtlsParameters=DtlsParameters(**options["dtlsParameters"]),
        sctpParameters=None,
        iceServers=[RTCIceServer(**server) for server in options.get("iceServers") or []],
    )

    @transport.on("connect")
    async def connect(dtlsParameters):
        await app.call("connect-transport", transportId=transport.id, dtlsParameters=plain(dtlsParameters))

    return transport


async def produce(app):
    transport = await transport_of(app, await device_of(app), "send")

    @transport.on("produce")
    async def made(kind, rtpParameters, appData):
        fields = {"kind": kind, "rtpParameters": plain(rtpParameters), "appData": appData}
        return (await app.call("produce", transportId=transport.id, **fields))["id"]

    await transport.produce(track=Tone(), appData={"source": "microphone"})
    await transport.produce(track=Pattern(), appData={"source": "camera"})
    return transport


async def consume(app, device, transport, producer):
    capabilities = plain(device.rtpCapabilities)
    options = await app.call(
        "consume", transportId=transport.id, producerId=producer, rtpCapabilities=capabilities
    )
    consumer = await transport.consume(
        id=options["id"],
        producerId=producer,
        kind=options["kind"],
        rtpParameters=RtpParameters(**options["rtpParameters"]),
    )
    await app.call("resume-consumer", consumerId=consumer.id)
    return consumer.track


async def main(origin, room):
    jars = [aiohttp.CookieJar(unsafe=True) for _ in range(2)]
    async with aiohttp.ClientSession(cookie_jar=jars[0]) as one, aiohttp.ClientSession(cookie_jar=jars[1]) as other:
        anna, ben = ByRest(one, origin, room, "Anna"), BySocket(other, origin, room, "Ben")
        await ben.enter()
        device = await device_of(ben)
        receiving = await transport_of(ben, device, "recv")
        sending = await produce(anna)
        tracks = {}
        for _ in range(2):
            producer = await ben.told("new-producer")
            assert (producer["participantId"], producer["paused"]) == ("Anna", False), producer
            tracks[producer["source"]] = await consume(ben, device, receiving, producer["producerId"])

        async def see():
            for _ in range(PICTURES):
                frame = await tracks["camera"].recv()
            return seen(frame)

        async def hear():
            return heard([await tracks["microphone"].recv() for _ in range(SOUNDS)][5:])

        picture, sound = await asyncio.wait_for(asyncio.gather(see(), hear()), 40)
        print(json.dumps(picture), flush=True)
        print(json.dumps(sound), flush=True)
        await anna.call("leave")
        left = await ben.told("participant-left")
        print(json.dumps({"left": left["participantId"]}), flush=True)
        for transport in (sending, receiving):
            await transport.close()
        await ben.socket.close()
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)


asyncio.run(main(*sys.argv[1:]))
