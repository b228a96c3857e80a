"""Views by WHEP with GStreamer, decodes what comes, and prints what it is as one line of JSON.

Usage: gstreamer_view.py URL. Ends when enough pictures and sound were decoded.
"""

import sys

from gstreamer_peer import GLib, Gst, GstWebRTC, Peer

PICTURES = 20
SAMPLES = 48_000

RECEIVE = {
    "audio": "application/x-rtp,media=audio,encoding-name=OPUS,payload=97,clock-rate=48000,encoding-params=(string)2",
    "video": "application/x-rtp,media=video,encoding-name=VP8,payload=96,clock-rate=90000",
}
DECODE = {
    "video": "rtpvp8depay ! vp8dec ! videoconvert ! video/x-raw,format=RGB ! appsink name=sink emit-signals=true sync=false",
    "audio": "rtpopusdepay ! opusdec ! audioconvert ! audioresample ! audio/x-raw,format=S16LE,channels=1,rate=48000 ! "
    "appsink name=sink emit-signals=true sync=false",
}


class Viewer(Peer):
    """Looks and listens."""

    def __init__(self, url):
        super().__init__(url, "pipeline. ( webrtcbin name=peer bundle-policy=max-bundle )")
        self.pictures, self.wave, self.picture, self.sound = 0, [], None, None
        for caps in RECEIVE.values():
            direction = GstWebRTC.WebRTCRTPTransceiverDirection.RECVONLY
            self.webrtc.emit("add-transceiver", direction, Gst.Caps.from_string(caps))
        self.webrtc.connect("pad-added", self.come)

    def come(self, _webrtc, pad):
        if pad.direction != Gst.PadDirection.SRC:
            return
        kind = pad.get_current_caps().get_structure(0).get_string("media")
        decoder = Gst.parse_bin_from_description(DECODE[kind], True)
        decoder.get_by_name("sink").connect("new-sample", self.see if kind == "video" else self.hear)
        self.pipeline.add(decoder)
        decoder.sync_state_with_parent()
        pad.link(decoder.get_static_pad("sink"))

    def see(self, sink):
        sample = sink.emit("pull-sample")
        self.pictures += 1
        if self.pictures == PICTURES:
            size = sample.get_caps().get_structure(0)
            width, height = size.get_value("width"), size.get_value("height")
            data = sample.get_buffer().extract_dup(0, sample.get_buffer().get_size())
            # Rows are padded to four bytes, which 320 pixels fill; the mean of the lower half.
            below = data[len(data) // 2 :]
            mean = [round(sum(below[channel::3]) / len(below[channel::3])) for channel in range(3)]
            self.picture = {"width": width, "height": height, "rgb": mean}
            self.finish()
        return Gst.FlowReturn.OK

    def hear(self, sink):
        buffer = sink.emit("pull-sample").get_buffer()
        wave = memoryview(buffer.extract_dup(0, buffer.get_size())).cast("h")
        if len(self.wave) < 2 * SAMPLES:
            self.wave.extend(wave)
            if len(self.wave) >= 2 * SAMPLES:
                second = self.wave[SAMPLES:]
                rises = sum(before < 0 <= after for before, after in zip(second, second[1:]))
                self.sound = {"hz": round(rises * SAMPLES / len(second)), "loudest": float(max(map(abs, second)))}
                self.finish()
        return Gst.FlowReturn.OK

    def finish(self):
        if self.picture and self.sound:
            GLib.idle_add(self.tell)

    def tell(self):
        self.say({"picture": self.picture, "sound": self.sound})
        self.loop.quit()


Viewer(sys.argv[1]).run()
