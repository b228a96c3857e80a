#!/usr/bin/env python3
"""How much one call hears of what others do to the server: a room of five with audio, alone and beside floods, a room of
500, a burst of joins, and more load than a core can carry. A Markdown table goes to standard output, progress to
standard error.

    benches/fairness.py [--runs N] [--only TEXT] [--json FILE] [--urgent]

The server is on core 0; the call, the crowds and the floods are on core 1. There the call has the right of way (as root
by real-time priority, else by nice values), so that its figures are the server's. What another program takes from core 0
is measured, too: the machine should have nothing else to do. If it has, --urgent gives the server real-time priority as
well (then never more than 95 % of the core, with pauses of 50 ms when it wants all of it). docs/performance.md says what the figures are.
"""

import argparse
import contextlib
import json
import os
import socket
import statistics
import struct
import subprocess
import sys
import time
import zlib

from measuring import LOAD_CORE, Load, dropped, prepare, say, server

# The call that is listened to: 1,000 packets/s out. It is measured this long before anything happens, and after.
CALL = "--rooms 1 --publishers 5 --subscribers 0 --profile conference-audio --duration 90s --seed 7"
ALONE_SECONDS, BESIDE_SECONDS, AFTER_SECONDS = 3, 4, 3
# What is promised, and what "normal again" means: no packet takes this much longer than the call's worst one alone.
LIMIT_MS = 5
FLOOD_BYTES = 172


def right_of_way():
    """What a command is put behind so that it gets the core at once when it wants it."""
    try:
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(5))
        os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))
        return ["chrt", "-f", "5"]
    except PermissionError:
        say("not root: the call shares its core by nice values, and its own lag may show")
        return []


# Floods -----------------------------------------------------------------------------------------------------------


def stun(transaction):
    """A check as browsers send it, whole but for whom it is from: nobody has these credentials."""

    def attribute(kind, value):
        return struct.pack("!HH", kind, len(value)) + value + bytes(-len(value) % 4)

    body = attribute(0x0006, b"nobodyknows:thisname") + attribute(0x0024, struct.pack("!I", 0x6EFFFFFF))
    body += attribute(0x802A, bytes(8)) + attribute(0x0008, os.urandom(20))
    header = struct.pack("!HHI12s", 1, len(body) + 8, 0x2112A442, transaction)
    check = zlib.crc32(header + body) ^ 0x5354554E
    return header + body + struct.pack("!HHI", 0x8028, 4, check)


def rtp(number):
    return struct.pack("!BBHII", 0x80, 111, number & 0xFFFF, 960 * number, 0x0BADCAFE) + os.urandom(FLOOD_BYTES - 12)


FLOODS = {
    "garbage": lambda number: os.urandom(FLOOD_BYTES),
    "STUN": lambda number: stun(os.urandom(12)),
    "RTP": rtp,
}


def flood(kind, port, runs):
    """What the process of a flood does: sends as fast as it can until it is ended. `runs`: 50 with each call, by GSO."""
    source = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    source.bind(("127.9.9.9", 0))
    source.connect(("127.0.0.1", port))
    datagrams = [FLOODS[kind](number) for number in range(512)]
    if runs:
        size = len(datagrams[0])
        source.setsockopt(socket.SOL_UDP if hasattr(socket, "SOL_UDP") else 17, 103, size)
        datagrams = [b"".join(datagrams[at : at + 50]) for at in range(0, 500, 50)]
    send, count = source.send, 0
    each = 50 if runs else 1
    while True:
        for datagram in datagrams:
            # Answers of "port unreachable" and a full queue are no reason to stop.
            with contextlib.suppress(OSError):
                send(datagram)
        count += each * len(datagrams)
        if os.getppid() == 1:
            return
        print(count, flush=True)


class Flood:
    """A flood as a disturbance: it lasts for a time, and says how much it sent."""

    def __init__(self, kind, runs=False):
        self.kind, self.runs = kind, runs

    def run(self, port, _pid):
        # Below the call, should that have no real-time priority.
        command = ["taskset", "-c", LOAD_CORE, "nice", "-n", "5", sys.executable, os.path.abspath(__file__)]
        command += ["--flood", self.kind, "--port", str(port)] + (["--in-runs"] if self.runs else [])
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        process.stdout.readline()
        began = time.monotonic()
        time.sleep(BESIDE_SECONDS + 0.3)
        process.kill()
        ended = time.monotonic()
        lines = process.stdout.read().split("\n")
        process.wait()
        sent = int([line for line in lines if line][-1])
        return {"began": began, "from": began, "to": ended, "ended": ended}, f"{sent / (ended - began):,.0f} datagrams/s", None


class Crowd:
    """Another load as a disturbance. What counts as beside it: its measurement, its joining, or its leaving."""

    def __init__(self, arguments, joining=False, leaving=False, kinds=False):
        self.arguments, self.joining, self.leaving, self.kinds = arguments, joining, leaving, kinds

    def run(self, port, pid):
        # Ended by hand: how long joining takes is not known.
        other = Load(port, f"{self.arguments} --duration 60s --seed 9", spin=False)
        if self.joining:
            other.wait_for("measuring", 1)
            times = {"from": other.started + 0.2, "to": other.phases.get("measuring", time.monotonic())}
        else:
            other.wait_for("measuring", 1 if self.leaving else BESIDE_SECONDS + 1)
            times = {"from": other.phases.get("measuring", other.started)}
        _, unread = dropped(port)
        other.stop()
        stopped = time.monotonic()
        figure = other.figures()
        # It drains for a second, and then all leave.
        left = stopped + 0.95
        times = {"began": other.started, "to": stopped, "ended": stopped, "until": left, **times}
        if self.leaving:
            over = time.monotonic() + 0.5
            return {"began": other.started, "from": left - 0.15, "to": over, "ended": over}, f"{figure['joined']} people", figure
        packets, use = figure["packets"], figure["server"] or {"cpuPercent": 0}
        if self.joining:
            ready = figure["joins"]["offerToReady"]["p95"] / 1000
            rate = figure["joined"] / max(times["to"] - other.started, 0.1)
            return times, f"{figure['joined']} joined, {rate:.0f} a second; ready after {ready:.1f} ms (p95)", figure
        detail = f"{packets['receivedPerSecond']:,.0f} packets/s out, {use['cpuPercent']:.0f} % of the core"
        if self.kinds:
            lost = [f"{packets[kind]['lostPercent']:.1f} % of its {kind}" for kind in ("audio", "video") if packets[kind]["expected"]]
            detail += f"; it lost {', '.join(lost)}, p99 {figure['latency']['p99'] / 1000:.0f} ms"
            if unread:
                detail += f"; of that, {unread:,} packets because it read too late itself"
        if packets["unsent"] + packets["skipped"]:
            detail += f"; {packets['unsent'] + packets['skipped']} were not sent"
        return times, detail, figure


# Scenarios --------------------------------------------------------------------------------------------------------


def worst(values):
    return max(values, default=0)


class Scenario:
    def __init__(self, name, disturbance, full=False):
        """`full`: more than a core carries. Then sound is to come late rather than be lost, and all to be well at once."""
        self.name, self.disturbance, self.full = name, disturbance, full
        self.results = []

    def run(self, before, urgent):
        with server(before if urgent else ()) as (port, pid):
            call = Load(port, CALL, spin=False, before=before)
            call.wait_for("measuring", ALONE_SECONDS)
            times, detail, other = self.disturbance.run(port, pid)
            in_queue, _ = dropped(port)
            at_end = len(call.seconds)
            call.wait_for("measuring", at_end + AFTER_SECONDS + 1)
            call.stop()
            figure = call.figures()
        zero = call.phases.get("measuring")
        if zero is None:
            sys.exit(f"fairness: the call did not begin: {figure['problems']}")
        result = self.judge(figure, {name: at - zero for name, at in times.items()})
        if self.full or in_queue:
            detail += f"; {in_queue:,} datagrams did not fit the server's queue"
        result.update(detail=detail, trusted=figure["generator"]["readLag"]["p99"] < 2000, other=other)
        self.results.append(result)
        say(f"  alone     {show(result['alone'])}\n  beside    {show(result['beside'])}\n  after     {show(result['after'])}")
        say(f"  lost {result['lost']} of {result['expected']}; normal again {again(result['normalAfter'])}; {detail}")
        if not result["trusted"]:
            say(f"  doubts: {'; '.join(figure['generator']['doubts'])}")

    def judge(self, figure, at):
        """The call's figures before, in and after the disturbance; times are seconds of its measurement."""
        seconds, tenths = figure["eachSecond"], figure["eachTenth"]

        def phase(start, end):
            whole = [second for number, second in enumerate(seconds) if start <= number and number + 1 <= end]
            whole = whole or [second for number, second in enumerate(seconds) if number < end and number + 1 > start]
            sent = [tenth for number, tenth in enumerate(tenths) if start <= number / 10 and (number + 1) / 10 <= end]
            return {
                "p50": statistics.median(second["p50"] for second in whole) / 1000 if whole else 0,
                "p99": worst(second["p99"] for second in whole) / 1000,
                "max": worst(tenth["longest"] for tenth in sent) / 1000,
                "lost": sum(4 * tenth["sent"] - tenth["received"] for tenth in sent),
                "sent": sum(4 * tenth["sent"] for tenth in sent),
            }

        alone = phase(0, at["began"])
        limit = (alone["max"] + LIMIT_MS) * 1000
        # The last tenth, from the end on, that was not as before; the call's own last ones are cut off.
        bad = [
            number
            for number, tenth in enumerate(tenths[:-2])
            if at["ended"] <= number / 10 and (number + 1) / 10 <= at.get("until", len(tenths)) and (tenth["longest"] > limit or tenth["received"] < 4 * tenth["sent"])
        ]
        return {
            "alone": alone,
            "beside": phase(at["from"], at["to"]),
            # Of crowds only until they leave, which is another matter.
            "after": phase(at["ended"], at.get("until", at["ended"] + 2)),
            "lost": figure["packets"]["lost"],
            "expected": figure["packets"]["expected"],
            "normalAfter": (bad[-1] + 1) / 10 - at["ended"] if bad else 0,
        }

    def row(self):
        def middle(phase, name):
            return statistics.median(result[phase][name] for result in self.results)

        beyond = middle("beside", "p99") - middle("alone", "p99")
        lost = statistics.median(100 * result["beside"]["lost"] / max(result["beside"]["sent"], 1) for result in self.results)
        again_after = statistics.median(result["normalAfter"] for result in self.results)
        fair = lost == 0 and (again_after <= 0.5 if self.full else beyond <= LIMIT_MS)
        star = "" if all(result["trusted"] for result in self.results) else "\\*"
        ms = " | ".join(f"{middle('alone', name):.2f} → {middle('beside', name):.2f}" for name in ("p50", "p99", "max"))
        verdict = "yes" if fair else "**no**"
        return (
            f"| {self.name} | {self.results[-1]['detail']} | {ms} | {lost:.2f} % | {again(again_after)} | {verdict}{star} |"
        )


def again(seconds):
    return "at once" if seconds <= 0 else f"after {seconds:.1f} s"


def show(phase):
    return f"p50 {phase['p50']:6.2f}  p99 {phase['p99']:6.2f}  max {phase['max']:7.2f} ms  lost {phase['lost']} of {phase['sent']}"


SCENARIOS = [
    Scenario("a flood of garbage", Flood("garbage")),
    Scenario("the same in runs of 50 (GSO)", Flood("garbage", runs=True)),
    Scenario("a flood of STUN", Flood("STUN")),
    Scenario("a flood of RTP from an unknown address", Flood("RTP")),
    Scenario("a room of 500, video", Crowd("--publishers 1 --subscribers 499 --profile video --decrypt-every 10")),
    Scenario("200 joins a second", Crowd("--rooms 100 --publishers 1 --subscribers 9 --ramp 200", joining=True)),
    Scenario("500 leave a room at once", Crowd("--publishers 1 --subscribers 499 --profile audio", leaving=True)),
    Scenario("1,000 leave 100 rooms at once", Crowd("--rooms 100 --publishers 1 --subscribers 9 --profile audio", leaving=True)),
    Scenario(
        "beyond a full core: one video to 400",
        Crowd("--publishers 1 --subscribers 400 --profile video --rate 3000 --decrypt-every 100", kinds=True),
        full=True,
    ),
    Scenario(
        "beyond a full core: eight conferences of 20",
        Crowd("--rooms 8 --publishers 20 --subscribers 0 --profile conference --decrypt-every 100 --patience 20s", kinds=True),
        full=True,
    ),
]


def main():
    parser = argparse.ArgumentParser(description="How much one call hears of what others do to the server.")
    parser.add_argument("--runs", type=int, default=1, help="how often (1)")
    parser.add_argument("--only", default="", help="only what has this in its name")
    parser.add_argument("--json", help="write all values to this file")
    parser.add_argument("--urgent", action="store_true", help="real-time priority for the server, too")
    parser.add_argument("--flood", choices=list(FLOODS), help=argparse.SUPPRESS)
    parser.add_argument("--port", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--in-runs", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.flood:
        return flood(options.flood, options.port, options.in_runs)
    scenarios = [scenario for scenario in SCENARIOS if options.only in scenario.name]
    if not scenarios:
        sys.exit(f"fairness: nothing has {options.only!r} in its name")
    prepare("fairness")
    before = right_of_way()
    for number in range(options.runs):
        for scenario in scenarios:
            say(f"round {number + 1} of {options.runs}: {scenario.name}")
            scenario.run(before, options.urgent)
    print("| beside | how much | p50, ms | p99, ms | longest, ms | lost | normal again | fair |")
    print("|---|---|---|---|---|---|---|---|")
    for scenario in scenarios:
        print(scenario.row())
    if options.json:
        with open(options.json, "w") as file:
            json.dump([{"name": scenario.name, "results": scenario.results} for scenario in scenarios], file)


main()
