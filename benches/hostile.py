#!/usr/bin/env python3
"""What a call feels of a stranger who attacks the server from one address, as hard as one address can. A Markdown table
goes to standard output, progress to standard error.

    benches/hostile.py [--seconds N] [--json FILE] [--urgent] [ATTACK ...]

For each attack a server of its own is started with the default configuration (STRAIT_BIN names another program than
target/release/strait), with a conference of four and a call of five with audio alone in two rooms. The attack lasts N
seconds (10), in rooms of its own. Right is that the calls keep all pictures, that the server withholds none, and that
99 of 100 audio packets are no more than 10 ms on their way. The exit code is 1 if anything is not right.

The server is on core 0; calls and attacks share core 1, where the calls go first. The machine should have nothing else to
do: else the delays are the machine's. With --urgent, as root, server, calls and attacks go before everything else that it
does. docs/testing.md says more.
"""

import argparse
import contextlib
import json
import multiprocessing
import os
import signal
import socket
import sys
import time
import urllib.request

from measuring import LOAD_CORE, Load, prepare, say, server
from stranger import BINARY, PING, Pour, Stranger, check, description, forever, frame, message, paced, section

# The stranger's address, which is not that of the calls.
STRANGER = "127.0.0.66"
# The most connections that one address may have, by default.
CONNECTIONS = 64
# Some of the 10,000 that a server takes by default are left for the calls.
IDLE = 9_900
LIMIT_MS = 10
# Messages a second by each connection: nearly as many as signalling.messages_per_second allows (50), so that no connection
# is cut for being too fast.
MESSAGES = 48
PICTURES = "--rooms 1 --publishers 1 --subscribers 3 --profile conference --seed 3"
AUDIO = "--rooms 1 --publishers 5 --subscribers 0 --profile conference-audio --seed 4"


# Attacks. Each takes the port, gets ready, and returns what is to be called with the seconds for which it lasts. That returns
# what it did: a Pour, whatever it was counted by.
# ---------------------------------------------------------------------------------------------------------------------


def nothing(_port):
    """No attack at all: what the calls are like alone."""
    def act(seconds):
        time.sleep(seconds)
        return Pour()

    return act


def joined(port, room, **more):
    one = Stranger(port, STRANGER)
    kind, data = one.join(room, **more)
    if kind != "joined":
        raise ConnectionError(data)
    return one, data


def pour_by_all(port, loads, rooms=False, a_second=MESSAGES):
    """Everybody says the same again and again, by as many connections as there may be."""
    # Makes way for others: a connection that is refused or cut is opened again.
    def another(pour):
        number = pour.closed + len(pour.selector.get_map())
        one, _ = joined(port, f"stranger-{number}" if rooms else "stranger")
        pour.add(one.stream, paced(forever(*loads), a_second))

    pour = Pour(another)
    for _ in range(CONNECTIONS - 4):
        with contextlib.suppress(OSError):
            another(pour)
    return pour.run


def long_offers(port):
    """An offer with thousands of SSRC lines, below the limit of a message."""
    lines = [f"a=ssrc:{number + 1} cname:c" for number in range(9000)]
    offer = description(section("audio", "a", "recvonly"), section("video", "v", "sendonly", lines))
    return pour_by_all(port, [frame(message("offer", {"sdp": offer, "publications": []}))])


def long_lists(port):
    """Offers whose rids list the same payload type thousands of times, in sections with as many formats as there may be."""
    formats = " ".join(str(number) for number in range(128) if number != 96)
    rids = [f"a=rid:r{number} send pt={','.join(['1'] * 4000)}" for number in range(8)]
    lines = [*rids, "a=simulcast:send " + ";".join(f"r{number}" for number in range(8))]

    def video(number):
        mid, own = section("video", f"v{number}", "sendonly", lines)
        return mid, [f"{own[0]} {formats}", *own[1:]]

    offer = description(section("audio", "a", "recvonly"), *(video(number) for number in range(3)))
    return pour_by_all(port, [frame(message("offer", {"sdp": offer, "publications": []}))])


def whip_offers(port):
    """The same by WHIP, where there are no messages to be counted."""
    lines = [f"a=ssrc:{number + 1} cname:c" for number in range(2300)]
    body = description(section("video", "v", "sendonly", lines)).encode()
    head = f"POST /whip/stranger HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/sdp\r\nContent-Length: {len(body)}\r\n\r\n"

    def another(pour):
        stream = socket.socket()
        stream.bind((STRANGER, 0))
        stream.connect(("127.0.0.1", port))
        pour.add(stream, forever(head.encode() + body))

    pour = Pour(another)
    for _ in range(8):
        another(pour)
    return pour.run


def large_offers(port):
    """Ordinary offers with as many sections as there may be."""
    sections = [section("audio", "a", "recvonly")] + [section("video", f"v{n}", "recvonly") for n in range(150)]
    load = frame(message("offer", {"sdp": description(*sections), "publications": []}))
    return pour_by_all(port, [load], rooms=True)


def new_sections(port):
    """Sections that are stopped and replaced by others, again and again."""
    def loads():
        made = 0
        while True:
            made += 1
            audio = section("audio", "a", "recvonly")
            # A place is free once what was there has been stopped.
            for stopped in (False, True):
                others = [section("video", f"n{made}-{n}", "recvonly", stopped=stopped) for n in range(150)]
                yield frame(message("offer", {"sdp": description(audio, *others), "publications": []}))

    pour = Pour()
    for number in range(CONNECTIONS - 4):
        one, _ = joined(port, f"stranger-{number}")
        pour.add(one.stream, paced(loads(), MESSAGES))
    return pour.run


def rooms(port):
    """Joins a new room, is cut off, and joins the next."""
    def act(seconds):
        done, until = Pour(), time.monotonic() + seconds
        while time.monotonic() < until:
            done.whole += 1
            with contextlib.suppress(OSError):
                joined(port, f"taken-{done.whole}")[0].cut()
        kind, data = Stranger(port, "127.0.0.77").join("an-honest-room")
        done.note = "" if kind == "joined" else f"nobody else is let in: {data['code']}"
        return done

    return act


def many_tracks(port):
    """Many tracks in one room, of which one comes and goes: news for everybody, about everything that waits for a slot."""
    return tracks_come_and_go(port, 15)


def all_tracks(port):
    """The same, and everybody takes all of theirs away and brings them back."""
    return tracks_come_and_go(port, 0)


def tracks_come_and_go(port, kept):
    pour = Pour()
    sections = [section("audio", "a", "recvonly")] + [section("video", f"v{n}", "sendonly") for n in range(16)]
    offer = description(*sections)
    publications = [{"mid": f"v{n}", "source": "camera"} for n in range(16)]
    turns = [frame(message("offer", {"sdp": offer, "publications": publications[:count]})) for count in (kept, 16)]
    viewing = description(section("audio", "a", "recvonly"), section("video", "v", "recvonly"))
    people = []
    for number in range(CONNECTIONS - 4):
        one, _ = joined(port, "stranger", autoSubscribe=number % 2 == 0)
        one.stream.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
        one.offer(offer if number % 2 else viewing, publications if number % 2 else ())
        people.append(one)
    for number, one in enumerate(people):
        pour.add(one.stream, paced(forever(*turns), MESSAGES) if number % 2 else forever(b""))
    return pour.run


def news(port):
    """Everybody says something to everybody, as long as may be."""
    data = {"topic": "t", "payload": "x" * 15_000}
    return pour_by_all(port, [frame(message("data", data))])


def nonsense(port):
    """What is no message: text that is no JSON, binary frames and pings."""
    loads = [frame("{"), frame(b"x" * 60, BINARY), frame(b"", PING)]
    return pour_by_all(port, [b"".join(loads) * 50], a_second=10_000)


def coming_back(port):
    """Resumes and is cut, as often as it goes, in a room with many others."""
    others = [joined(port, "stranger")[0] for _ in range(CONNECTIONS - 8)]
    pour = Pour()
    for other in others:
        pour.add(other.stream, forever(b""))
    one, who = joined(port, "stranger")
    one.cut()

    def act(seconds):
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            pour.whole += 1
            with contextlib.suppress(OSError):
                one = Stranger(port, STRANGER)
                one.resume("stranger", who)
                one.cut()
            if pour.whole % 20 == 0:
                pour.run(0.01)
        return pour

    return act


def checks(port):
    """Connectivity checks with the right credentials, from all participants that one address may have."""
    one, _ = joined(port, "stranger")
    _, answer = one.offer(description(section("audio", "a", "recvonly")))
    source = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    source.bind((STRANGER, 0))
    source.connect(("127.0.0.1", port))
    source.setblocking(False)
    datagrams = [check(answer["sdp"], os.urandom(12)) for _ in range(256)]

    def act(seconds):
        done, until = Pour(), time.monotonic() + seconds
        while time.monotonic() < until:
            for datagram in datagrams:
                with contextlib.suppress(OSError):
                    done.sent += source.send(datagram)
                    done.whole += 1
            with contextlib.suppress(OSError):
                while True:
                    done.received += len(source.recv(2048))
        return done

    return act


def requests(port):
    """Requests for pages, pipelined."""
    def another(pour):
        stream = socket.socket()
        stream.bind((STRANGER, 0))
        stream.connect(("127.0.0.1", port))
        pour.add(stream, forever(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n" * 50))

    pour = Pour(another)
    for _ in range(8):
        another(pour)
    return pour.run


def idle(port):
    """As many connections as a server takes, by many addresses. Each begins a request and never ends it."""
    streams = []
    for number in range(IDLE):
        stream = socket.socket()
        network, host = divmod(number // CONNECTIONS, 250)
        stream.bind((f"127.0.{network + 1}.{host + 1}", 0))
        stream.connect(("127.0.0.1", port))
        stream.sendall(b"GET / HTTP/1.1\r\n")
        streams.append(stream)

    def act(seconds):
        time.sleep(seconds)
        pour = Pour()
        pour.note = f"{len(streams)} connections"
        return pour

    return act


ATTACKS = {
    "nothing": nothing,
    "long-offers": long_offers,
    "long-lists": long_lists,
    "whip-offers": whip_offers,
    "large-offers": large_offers,
    "new-sections": new_sections,
    "rooms": rooms,
    "many-tracks": many_tracks,
    "all-tracks": all_tracks,
    "news": news,
    "nonsense": nonsense,
    "coming-back": coming_back,
    "checks": checks,
    "requests": requests,
    "idle": idle,
}


# Measuring ----------------------------------------------------------------------------------------------------------


def processor(pid):
    with open(f"/proc/{pid}/stat") as text:
        words = text.read().rsplit(")", 1)[1].split()
    return (int(words[11]) + int(words[12])) / os.sysconf("SC_CLK_TCK")


def resident(pid):
    with open(f"/proc/{pid}/statm") as text:
        return int(text.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6


def withheld(port):
    with contextlib.suppress(OSError):
        page = urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5).read().decode()
        lines = (line.split() for line in page.splitlines() if line.startswith("strait_pictures_withheld_ratio"))
        return max((float(words[-1]) for words in lines), default=0.0)
    return 0.0


def attack_process(name, port, seconds, urgent, pipe):
    if urgent:
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))
    else:
        os.nice(10)
    os.sched_setaffinity(0, {int(LOAD_CORE)})
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        act = ATTACKS[name](port)
        pipe.send("ready")
        done = act(seconds)
        note = done.note or (f"{done.closed} connections closed" if done.closed else "")
        pipe.send((done.whole, done.sent, done.received, note))
    except Exception as error:  # Whatever it is belongs into the table.
        pipe.send((0, 0, 0, f"the attack failed: {error!r}"))


def measure(name, seconds, urgent):
    first, second = (["chrt", "-f", "9"], ["chrt", "-f", "5"]) if urgent else ([], [])
    with server(first, settings={"STRAIT_LOG_LEVEL": "error"}) as (port, pid):
        whole = f"--duration {seconds + 60}s --patience 60s"
        calls = [Load(port, f"{call} {whole}", spin=False, before=second) for call in (PICTURES, AUDIO)]
        for call in calls:
            call.wait_for("measuring", 2)
        here, there = multiprocessing.Pipe()
        process = multiprocessing.Process(target=attack_process, args=(name, port, seconds, urgent, there))
        before, most, done = resident(pid), 0.0, "ready"
        process.start()
        if here.poll(120):
            done = here.recv()
        began, used = time.monotonic(), processor(pid)
        while done == "ready" and time.monotonic() < began + seconds + 45:
            most = max(most, withheld(port))
            done = here.recv() if here.poll(0.25) else done
        took = time.monotonic() - began
        share = (processor(pid) - used) / took
        grown = resident(pid) - before
        process.kill()
        if done == "ready":
            done = (0, 0, 0, "it was still at it")
        for call in calls:
            call.stop()
        pictures, audio = (call.figures() for call in calls)
    whole, sent, received, note = done
    return {
        "attack": name,
        "loadsPerSecond": whole / took,
        "sentBytes": sent,
        "receivedBytes": received,
        "processorPercent": 100 * share,
        "grownMegabytes": grown,
        "withheld": most,
        "picturesLostPercent": pictures["packets"]["video"]["lostPercent"],
        "freezes": pictures["viewing"]["freezes"],
        "audioLostPercent": audio["packets"]["audio"]["lostPercent"],
        "audioP99Millis": audio["latency"]["p99"] / 1000,
        "note": note,
    }


def is_right(row):
    kept = row["withheld"] == 0 and row["freezes"] == 0 and "nobody else" not in row["note"]
    return kept and row["audioP99Millis"] <= LIMIT_MS and row["audioLostPercent"] < 0.01


def line(row):
    times = row["receivedBytes"] / row["sentBytes"] if row["sentBytes"] else 0
    cells = [
        row["attack"],
        f"{row['loadsPerSecond']:,.0f}",
        f"{row['sentBytes'] / 1e6:,.1f} → {row['receivedBytes'] / 1e6:,.1f} (×{times:,.1f})",
        f"{row['processorPercent']:.0f} %",
        f"{row['grownMegabytes']:+.0f}",
        f"{row['withheld']:.2f}",
        f"{row['freezes']}, {row['picturesLostPercent']:.2f} %",
        f"{row['audioP99Millis']:.1f}",
        "yes" if is_right(row) else "**no**",
        row["note"],
    ]
    return "| " + " | ".join(cells) + " |"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("attacks", nargs="*", metavar="ATTACK", help=f"all of them, or some: {' '.join(ATTACKS)}")
    parser.add_argument("--seconds", type=int, default=10, help="how long each attack lasts (10)")
    parser.add_argument("--urgent", action="store_true", help="go before everything else that the machine does (as root)")
    parser.add_argument("--json", metavar="FILE", help="write the figures to this file, too")
    options = parser.parse_args()
    unknown = [name for name in options.attacks if name not in ATTACKS]
    if unknown:
        parser.error(f"there is no attack {unknown[0]}; there are {' '.join(ATTACKS)}")
    prepare("hostile")
    rows = []
    print("| attack | a second | MB to the server → back | processor | MB grown | withheld | freezes, pictures lost | audio p99, ms | right | |")
    print("|---|---|---|---|---|---|---|---|---|---|")
    for name in options.attacks or ATTACKS:
        say(name)
        rows.append(measure(name, options.seconds, options.urgent))
        print(line(rows[-1]), flush=True)
    if options.json:
        with open(options.json, "w") as file:
            json.dump(rows, file, indent=1)
    sys.exit(0 if all(is_right(row) for row in rows) else 1)


if __name__ == "__main__":
    main()
