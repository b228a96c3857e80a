"""Publishes a moving test pattern and a tone by WHIP with aiortc, until standard input ends.

Usage: aiortc_publish.py URL [KEY CERTIFICATES]. Prints one line of JSON once connected. With KEY (rsa2048, rsa4096) its
certificate is an RSA one, sent with so many more behind it, and it offers SRTP_AES128_CM_SHA1_80 alone.
"""

import asyncio
import fractions
import json
import sys

import av
import numpy
from aiortc import AudioStreamTrack, RTCPeerConnection, VideoStreamTrack, rtcpeerconnection
from aiortc.rtcdtlstransport import RTCCertificate, generate_certificate
from cryptography.hazmat.primitives.asymmetric import rsa

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


class RsaCertificate(RTCCertificate):
    """In the place of aiortc's own, which is an ECDSA one."""

    bits, chained = 2048, 0

    @classmethod
    def generateCertificate(cls):
        key = rsa.generate_private_key(public_exponent=65537, key_size=cls.bits)
        return cls(key=key, cert=generate_certificate(key))

    def _create_ssl_context(self, srtp_profiles):
        oldest = [profile for profile in srtp_profiles if profile.openssl_profile == b"SRTP_AES128_CM_SHA1_80"]
        context = super()._create_ssl_context(oldest)
        for _ in range(self.chained):
            context.add_extra_chain_cert(self._cert)
        return context


async def main(url, key=None, chained="0"):
    if key is not None:
        RsaCertificate.bits, RsaCertificate.chained = int(key.removeprefix("rsa")), int(chained)
        rtcpeerconnection.RTCCertificate = RsaCertificate
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


asyncio.run(main(*sys.argv[1:]))
