"""A `webrtcbin` of GStreamer that speaks WHIP or WHEP, with what Debian's Python has: what whipsink and whepsrc do.

Usage, to ask whether it can: gstreamer_peer.py ELEMENT.... Fails if one is missing.
"""

import json
import sys
import threading
import urllib.parse
import urllib.request

import gi

gi.require_version("Gst", "1.0")
gi.require_version("GstSdp", "1.0")
gi.require_version("GstWebRTC", "1.0")
from gi.repository import GLib, Gst, GstSdp, GstWebRTC  # noqa: E402

Gst.init(None)


class Peer:
    """One connection: the pipeline `description` has a webrtcbin named `peer`. Everything happens in `run`."""

    def __init__(self, url, description):
        self.url, self.session, self.failure = url, None, None
        self.loop = GLib.MainLoop()
        self.pipeline = Gst.parse_launch(description)
        self.webrtc = self.pipeline.get_by_name("peer")
        self.webrtc.connect("on-negotiation-needed", self.offer)
        self.webrtc.connect("notify::ice-gathering-state", self.gathered)
        self.webrtc.connect("notify::connection-state", self.changed)
        bus = self.pipeline.get_bus()
        bus.add_signal_watch()
        bus.connect("message::error", lambda _bus, message: self.fail(message.parse_error().debug))

    def connected(self):
        """Called once media can flow."""

    def offer(self, webrtc):
        def made(promise):
            # The offer lives as long as the reply does.
            reply = promise.get_reply()
            webrtc.emit("set-local-description", reply.get_value("offer"), Gst.Promise.new())

        webrtc.emit("create-offer", None, Gst.Promise.new_with_change_func(made))

    def gathered(self, webrtc, _property):
        complete = GstWebRTC.WebRTCICEGatheringState.COMPLETE
        if webrtc.get_property("ice-gathering-state") == complete and self.session is None:
            GLib.idle_add(self.post)

    def post(self):
        """Sends the offer with all its candidates, and takes the answer."""
        offer = self.webrtc.get_property("local-description").sdp.as_text()
        headers = {"Content-Type": "application/sdp"}
        request = urllib.request.Request(self.url, offer.encode(), headers, method="POST")
        try:
            with urllib.request.urlopen(request) as response:
                self.session = urllib.parse.urljoin(self.url, response.headers["Location"])
                answer = GstSdp.SDPMessage.new_from_text(response.read().decode())[1]
        except urllib.error.HTTPError as error:
            self.fail(error.read().decode())
            return
        kind = GstWebRTC.WebRTCSDPType.ANSWER
        answer = GstWebRTC.WebRTCSessionDescription.new(kind, answer)
        self.webrtc.emit("set-remote-description", answer, Gst.Promise.new())

    def changed(self, webrtc, _property):
        state = webrtc.get_property("connection-state")
        if state == GstWebRTC.WebRTCPeerConnectionState.CONNECTED:
            GLib.idle_add(self.connected)
        elif state == GstWebRTC.WebRTCPeerConnectionState.FAILED:
            self.fail("the connection failed")

    def fail(self, why):
        self.failure = self.failure or why
        GLib.idle_add(self.loop.quit)

    def say(self, line):
        """The one line of the script."""
        print(json.dumps(line), flush=True)

    def end_with_input(self):
        """Ends when standard input does."""

        def wait():
            sys.stdin.read()
            GLib.idle_add(self.loop.quit)

        threading.Thread(target=wait, daemon=True).start()

    def run(self):
        """Returns once it is over, with nothing left at the server."""
        self.pipeline.set_state(Gst.State.PLAYING)
        self.loop.run()
        if self.session is not None:
            with urllib.request.urlopen(urllib.request.Request(self.session, method="DELETE")) as response:
                assert response.status == 200, response.status
        self.pipeline.set_state(Gst.State.NULL)
        assert self.failure is None, self.failure


if __name__ == "__main__":
    sys.exit(not all(map(Gst.ElementFactory.find, sys.argv[1:])))
