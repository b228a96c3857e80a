"""Publishes a moving test pattern and a tone by WHIP with aiortc, until standard input ends.

Usage: aiortc_publish.py URL [KEY CERTIFICATES]. Prints one line of JSON once connected. With KEY (rsa2048, rsa4096) its
certificate is an RSA one, sent with so many more behind it, and it offers SRTP_AES128_CM_SHA1_80 alone.
"""

import asyncio
import json
import sys

from aiortc import RTCPeerConnection, rtcpeerconnection
from aiortc.rtcdtlstransport import RTCCertificate, RTCDtlsTransport, generate_certificate
from cryptography.hazmat.primitives.asymmetric import rsa
from OpenSSL import SSL

from session import session
from synthetic import Pattern, Tone


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


async def write_records(transport):
    """aiortc sends no more than 1,500 bytes of a flight; with an RSA certificate it is longer. Here each record goes alone."""
    flight = b""
    try:
        while True:
            flight += transport._ssl.bio_read(65_536)
    except SSL.Error:
        pass
    while flight:
        length = 13 + int.from_bytes(flight[11:13], "big")
        await transport.transport._send(flight[:length])
        flight = flight[length:]


async def main(url, key=None, chained="0"):
    if key is not None:
        RsaCertificate.bits, RsaCertificate.chained = int(key.removeprefix("rsa")), int(chained)
        rtcpeerconnection.RTCCertificate = RsaCertificate
        RTCDtlsTransport._write_ssl = write_records
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
