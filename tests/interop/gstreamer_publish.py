"""Publishes a red picture and a tone by WHIP with GStreamer, until standard input ends.

Usage: gstreamer_publish.py URL. Prints one line of JSON once connected.
"""

import sys

from gstreamer_peer import Peer

PIPELINE = """
webrtcbin name=peer bundle-policy=max-bundle
audiotestsrc is-live=true freq=440 volume=0.3 ! audio/x-raw,rate=48000 ! opusenc ! rtpopuspay pt=97 !
    application/x-rtp,media=audio,encoding-name=OPUS,payload=97 ! peer.
videotestsrc is-live=true pattern=solid-color foreground-color=0xffc80000 !
    video/x-raw,width=320,height=240,framerate=15/1 ! vp8enc deadline=1 keyframe-max-dist=30 ! rtpvp8pay pt=96 !
    application/x-rtp,media=video,encoding-name=VP8,payload=96 ! peer.
"""


class Publisher(Peer):
    """Says where its session is."""

    def connected(self):
        self.say({"session": self.session})
        self.end_with_input()


Publisher(sys.argv[1], PIPELINE).run()
