"""What WHIP and WHEP share: an offer goes by HTTP, an answer comes back, and a DELETE ends the session."""

import contextlib

import aiohttp
from aiortc import RTCSessionDescription


@contextlib.asynccontextmanager
async def session(peer, url):
    """Negotiates for `peer`, and gives the session's URL; at the end of the block, ends the session and the peer."""
    await peer.setLocalDescription(await peer.createOffer())
    async with aiohttp.ClientSession() as http:
        headers = {"Content-Type": "application/sdp"}
        async with http.post(url, data=peer.localDescription.sdp, headers=headers) as response:
            answer = await response.text()
            assert response.status == 201, (response.status, answer)
            location = response.url.join(response.url.__class__(response.headers["Location"]))
        await peer.setRemoteDescription(RTCSessionDescription(sdp=answer, type="answer"))
        yield location
        async with http.delete(location) as response:
            assert response.status == 200, response.status
    await peer.close()
