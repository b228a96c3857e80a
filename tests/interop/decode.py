"""Opens a file as a player does, decodes all of it, and prints what it is as one line of JSON.

Usage: decode.py FILE.
"""

import json
import sys

import av

from senses import heard, seen

with av.open(sys.argv[1]) as file:
    stream = file.streams[0]
    frames = list(file.decode(stream))
    what = seen(frames[-1]) if stream.type == "video" else heard(frames[5:])
    seconds = float(frames[-1].time - frames[0].time)
    print(json.dumps({**what, "codec": stream.codec_context.name, "frames": len(frames), "seconds": seconds}))
