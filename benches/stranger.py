"""A stranger's client for `hostile.py`: a WebSocket, session descriptions and STUN, by hand and without a library, so that
it can say what no client would."""

import base64
import hashlib
import hmac
import json
import os
import re
import selectors
import socket
import struct
import time
import zlib

FINGERPRINT = ":".join(["AB"] * 32)
# A frame's opcodes (RFC 6455 §5.2).
TEXT, BINARY, PING = 1, 2, 9


def frame(payload, opcode=TEXT):
    """A frame of a client's: masked with zeros, which changes nothing."""
    if isinstance(payload, str):
        payload = payload.encode()
    size = len(payload)
    if size < 126:
        length = bytes([0x80 | size])
    elif size < 1 << 16:
        length = struct.pack("!BH", 0x80 | 126, size)
    else:
        length = struct.pack("!BQ", 0x80 | 127, size)
    return bytes([0x80 | opcode]) + length + bytes(4) + payload


def message(kind, data, number=None):
    return json.dumps({"type": kind, "data": data, **({} if number is None else {"id": number})})


class Stranger:
    """One WebSocket, from one address."""

    def __init__(self, port, source):
        self.stream = socket.socket()
        self.stream.bind((source, 0))
        self.stream.settimeout(10)
        self.stream.connect(("127.0.0.1", port))
        key = base64.b64encode(os.urandom(16)).decode()
        self.stream.sendall(
            f"GET /ws HTTP/1.1\r\nHost: localhost:{port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n\r\n".encode()
        )
        head, self.unread = b"", b""
        while b"\r\n\r\n" not in head:
            head += self._more()
        head, self.unread = head.split(b"\r\n\r\n", 1)
        if b" 101 " not in head:
            raise ConnectionError(head.decode())
        self.asked = 0

    def _more(self):
        data = self.stream.recv(1 << 20)
        if not data:
            raise ConnectionError("closed")
        return data

    def _frame(self):
        while True:
            head = self.unread[:2]
            if len(head) == 2:
                size, at = head[1] & 0x7F, 2
                if size == 126:
                    size, at = int.from_bytes(self.unread[2:4], "big"), 4
                elif size == 127:
                    size, at = int.from_bytes(self.unread[2:10], "big"), 10
                if len(self.unread) >= at + size:
                    payload, self.unread = self.unread[at : at + size], self.unread[at + size :]
                    return head[0] & 0x0F, payload
            self.unread += self._more()

    def ask(self, kind, data):
        """Says something and waits for the reply, whatever else comes before it."""
        self.asked += 1
        self.stream.sendall(frame(message(kind, data, self.asked)))
        while True:
            opcode, payload = self._frame()
            if opcode == 8:
                raise ConnectionError("closed by the server")
            reply = json.loads(payload) if opcode == TEXT else {}
            if reply.get("id") == self.asked:
                return reply["type"], reply["data"]

    def join(self, room, **more):
        return self.ask("join", {"version": 1, "name": "Stranger", "room": room, **more})

    def resume(self, room, joined):
        who = {"participantId": joined["participantId"], "secret": joined["secret"]}
        return self.ask("resume", {"version": 1, "room": room, **who})

    def offer(self, sdp, publications=()):
        return self.ask("offer", {"sdp": sdp, "publications": list(publications)})

    def cut(self):
        """Ends the connection at once, without a goodbye."""
        self.stream.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.stream.close()


# Session descriptions -----------------------------------------------------------------------------------------------


def section(kind, mid, direction, more=(), stopped=False):
    payload_types, codec = ("111", "111 opus/48000/2") if kind == "audio" else ("96", "96 VP8/90000")
    lines = [
        f"m={kind} {0 if stopped else 9} UDP/TLS/RTP/SAVPF {payload_types}",
        "c=IN IP4 0.0.0.0",
        f"a=mid:{mid}",
        "a=ice-ufrag:strg",
        "a=ice-pwd:strangerstrangerstranger",
        f"a=fingerprint:sha-256 {FINGERPRINT}",
        "a=setup:active",
        "a=rtcp-mux",
        f"a={direction}",
        f"a=rtpmap:{codec}",
        *more,
    ]
    return mid, lines


def description(*sections, bundled=None):
    mids = " ".join(bundled if bundled is not None else [mid for mid, _ in sections])
    lines = ["v=0", "o=- 1 2 IN IP4 127.0.0.1", "s=-", "t=0 0", f"a=group:BUNDLE {mids}"]
    return "\r\n".join(lines + [line for _, own in sections for line in own]) + "\r\n"


# STUN ---------------------------------------------------------------------------------------------------------------


def check(answer, transaction):
    """A connectivity check with the right credentials: what the server's own answer says (RFC 8489, RFC 8445 §7.1)."""
    ufrag = re.search(r"a=ice-ufrag:(\S+)", answer).group(1)
    password = re.search(r"a=ice-pwd:(\S+)", answer).group(1)

    def attribute(kind, value):
        return struct.pack("!HH", kind, len(value)) + value + bytes(-len(value) % 4)

    def header(following):
        return struct.pack("!HHI12s", 1, len(body) + following, 0x2112A442, transaction)

    body = attribute(0x0006, f"{ufrag}:strg".encode()) + attribute(0x0024, struct.pack("!I", 0x6EFFFFFF))
    body += attribute(0x802A, bytes(8)) + attribute(0x0025, b"")
    signature = hmac.new(password.encode(), header(24) + body, hashlib.sha1).digest()
    body += attribute(0x0008, signature)
    body += attribute(0x8028, struct.pack("!I", zlib.crc32(header(8) + body) ^ 0x5354554E))
    return header(0) + body


# As fast as it goes -------------------------------------------------------------------------------------------------


class Pour:
    """Writes to many streams whatever they take, each its own bytes again and again, and reads what comes. `again` makes a
    stream anew that the server has closed."""

    def __init__(self, again=None):
        self.selector = selectors.DefaultSelector()
        self.again = again
        self.sent = self.received = self.closed = self.whole = 0
        self.note = ""

    def add(self, stream, loads):
        """`loads`: an endless iterator over what is written; `b""` stands for "wait a little"."""
        stream.setblocking(False)
        events = selectors.EVENT_READ | selectors.EVENT_WRITE
        self.selector.register(stream, events, [loads, memoryview(b"")])

    def _write(self, stream, state):
        loads, left = state
        if not left:
            left = memoryview(next(loads))
            if not left:
                return False
            self.whole += 1
        size = stream.send(left)
        self.sent += size
        state[1] = left[size:]
        return True

    def _step(self, key, events):
        stream, was_busy = key.fileobj, False
        if events & selectors.EVENT_READ:
            data = stream.recv(1 << 20)
            if not data:
                raise ConnectionError("closed")
            self.received += len(data)
            was_busy = True
        return (events & selectors.EVENT_WRITE and self._write(stream, key.data)) or was_busy

    def run(self, seconds):
        """Goes on for so many seconds. Returns itself, with what was counted."""
        until = time.monotonic() + seconds
        while time.monotonic() < until and self.selector.get_map():
            was_busy = False
            for key, events in self.selector.select(0.05):
                try:
                    was_busy |= bool(self._step(key, events))
                except BlockingIOError:
                    continue
                except OSError:
                    self.closed += 1
                    self.selector.unregister(key.fileobj)
                    key.fileobj.close()
                    if self.again:
                        try:
                            self.again(self)
                        except OSError:
                            time.sleep(0.05)
            if not was_busy:
                time.sleep(0.001)
        return self


def forever(*loads):
    while True:
        yield from loads


def paced(loads, a_second):
    """The same, so many a second. Who sends faster than is allowed is cut, and does less harm than who knows the limits."""
    due = time.monotonic()
    for load in loads:
        while time.monotonic() < due:
            yield b""
        due = max(due + 1 / a_second, time.monotonic() - 1)
        yield load
