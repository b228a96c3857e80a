"""Receives webhooks with LiveKit's own receiver, and prints each event as one line of JSON.

Usage: livekit_webhooks.py KEY SECRET. Prints the port that it listens on first. Ends after `room_finished`.
"""

import json
import sys
from http.server import BaseHTTPRequestHandler, HTTPServer

from google.protobuf.json_format import MessageToDict
from livekit import api


def main(key, secret):
    receiver = api.WebhookReceiver(api.TokenVerifier(key, secret))
    finished = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"])).decode()
            # It throws unless the token is good and has the hash of this body.
            event = receiver.receive(body, self.headers["Authorization"])
            told = MessageToDict(event)
            told["contentType"] = self.headers["Content-Type"]
            print(json.dumps(told), flush=True)
            self.send_response(200)
            self.end_headers()
            if event.event == "room_finished":
                finished.append(event)

        def log_message(self, *_):
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    print(json.dumps({"port": server.server_port}), flush=True)
    while not finished:
        server.handle_request()
    sys.stdin.read()


main(*sys.argv[1:])
