#!/usr/bin/env python3
"""Measures every bar of docs/performance.md: `strait serve` on one core, `strait load` on the other, the floor in the
same run. Prints progress to standard error and a Markdown table to standard output.

    benches/bars.py [--runs N] [--only TEXT] [--json FILE]

The machine should have nothing else to do. Each bar is measured N times (5), alternately with the others, and its median
counts; the floor (`cargo bench --bench floor`) is measured before every round. A run that the generator itself says
cannot be trusted is shown with a star.
"""

import argparse
import json
import statistics
import subprocess
import sys
import time

from measuring import ROOT, Load, cost, floor, load, prepare, say, server


class Bar:
    """What is measured, and what it must not exceed (or, for saturation, fall below)."""

    def __init__(self, name, limit, unit, measure, at_least=False):
        self.name, self.limit, self.unit, self.measure, self.at_least = name, limit, unit, measure, at_least
        self.values, self.doubted, self.details = [], False, []

    def run(self, floors):
        value, figure, detail = self.measure(floors)
        self.values.append(value)
        self.details.append(detail)
        if figure and not figure["generator"]["trusted"]:
            self.doubted = True
            say(f"  doubts: {'; '.join(figure['generator']['doubts'])}")
        say(f"  {self.name}: {value:.2f} {self.unit} ({detail})")

    def row(self):
        value = statistics.median(self.values)
        met = value >= self.limit if self.at_least else value <= self.limit
        spread = f"{min(self.values):.2f}–{max(self.values):.2f}"
        sign = "≥" if self.at_least else "≤"
        star = "\\*" if self.doubted else ""
        middle = self.details[self.values.index(sorted(self.values)[len(self.values) // 2])]
        return (
            f"| {self.name} | {sign} {self.limit:g} {self.unit} | {value:.2f}{star} | {spread} "
            f"| {'yes' if met else '**no**'} | {middle} |"
        )


def beside(figure, floors, woken):
    """The same against a floor of its shape, if there is one."""
    return f"; {cost(figure) / floors[woken]:.2f} × {floors[woken]:.2f} µs, woken as often" if woken else ""


def ratio(arguments, row, woken=None):
    """Cost of a packet against a row of the floor."""

    def measure(floors):
        figure = load(arguments)
        text = f"{cost(figure):.2f} µs against {floors[row]:.2f} µs{beside(figure, floors, woken)}"
        return cost(figure) / floors[row], figure, text

    return measure


def absolute(arguments, woken):
    def measure(floors):
        figure = load(arguments)
        rate, busy = figure["packets"]["receivedPerSecond"], figure["server"]["cpuPercent"]
        return cost(figure), figure, f"{rate:,.0f} packets/s, {busy:.0f} % of the core{beside(figure, floors, woken)}"

    return measure


def fan_out(arguments, row, packets, factor, extra_millis, woken):
    """p99 latency against what the floor needs for everything that is sent at once."""

    def measure(floors):
        figure = load(arguments)
        p99 = figure["latency"]["p99"] / 1000
        allowed = factor * packets * floors[row] / 1000 + extra_millis
        own = floors[f"{woken}: p99"] / 1000
        return p99 / allowed, figure, f"p99 {p99:.2f} ms, allowed {allowed:.2f} ms; the floor's own {own:.2f} ms"

    return measure


def saturation(arguments, rates):
    """The highest rate that arrives without loss, up to a full core."""

    def measure(_):
        best, best_figure, detail = 0, None, "nothing arrived whole"
        for rate in rates:
            figure = load(f"{arguments} --rate {rate}")
            received, lost = figure["packets"]["receivedPerSecond"], figure["packets"]["lostPercent"]
            busy = figure["server"]["cpuPercent"]
            say(f"    {received:,.0f} packets/s, {lost:.3f} % lost, {busy:.0f} % of the core")
            if lost > 0.01 or figure["packets"]["unsent"] + figure["packets"]["skipped"] > 0:
                break
            if received > best:
                best, best_figure = received, figure
                detail = f"{busy:.0f} % of the core, {cost(figure):.2f} µs per packet"
        return best / 1000, best_figure, detail

    return measure


def flat(floors):
    many = load("--rooms 400 --publishers 5 --subscribers 0 --profile conference-audio --rate 2 --duration 8s --patience 60s")
    few = load("--rooms 4 --publishers 5 --subscribers 0 --profile conference-audio --rate 200 --duration 8s")
    floor_of = [floors[f"80 4 of {people}, 4000 a second"] for people in (2000, 20)]
    text = f"{cost(many):.2f} µs with 2,000 people, {cost(few):.2f} µs with 20; the floor {floor_of[0]:.2f} and {floor_of[1]:.2f} µs"
    return cost(many) / cost(few), many, text


def latency(quantile):
    """Rooms of 20, as many as take about 60 % of the core: the machine's speed decides how many that are."""

    def measure(floors):
        for rooms in range(8, 3, -1):
            crowd = f"--rooms {rooms} --publishers 20 --subscribers 0 --profile conference-audio"
            figure = load(f"{crowd} --duration 10s --decrypt-every 10")
            busy = figure["server"]["cpuPercent"]
            if busy <= 65:
                break
        own = floors[f"80 19 of 120, 6000 a second: {quantile}"] / 1000
        text = f"{rooms} rooms, {busy:.0f} % of the core; the floor of such packets {own:.2f} ms"
        return figure["latencyToSocket"][quantile] / 1000, figure, text

    return measure


def idle_memory(_):
    figure = load("--rooms 100 --publishers 0 --subscribers 10 --duration 2s", spin=False)
    return figure["server"]["rssKibPerParticipant"], None, f"{figure['joined']} people, nobody publishes"


def subscription_memory(_):
    """What a viewer holds on top of a person who views nothing."""
    idle = load("--rooms 1 --publishers 0 --subscribers 400 --duration 2s", spin=False)
    viewing = load("--rooms 1 --publishers 1 --subscribers 400 --profile video --rate 50 --duration 5s", spin=False)
    grown = viewing["server"]["rssKibPerParticipant"] - idle["server"]["rssKibPerParticipant"]
    return grown, None, f"{viewing['server']['rssKibPerParticipant']:.0f} KiB viewing, the track's cache included"


def crowd_memory(_):
    arguments = "--rooms 100 --publishers 10 --subscribers 0 --profile conference-audio --rate 10 --payload 1100"
    figure = load(f"{arguments} --duration 8s --decrypt-every 50 --patience 60s", spin=False)
    return figure["server"]["rssKib"] / 1024, None, f"{figure['packets']['receivedPerSecond']:,.0f} packets/s"


def join_time(_):
    figure = load("--rooms 20 --publishers 1 --subscribers 9 --ramp 20 --duration 2s", spin=False)
    return figure["joins"]["offerToReady"]["p95"] / 1000, None, f"{figure['joined']} people, 20 a second"


def joining(_):
    """A call that runs while 200 a second join elsewhere."""
    with server() as (port, _):
        call = Load(port, "--rooms 10 --publishers 5 --subscribers 0 --profile conference-audio --duration 10s", False)
        time.sleep(4)
        crowd = Load(port, "--rooms 100 --publishers 1 --subscribers 9 --ramp 200 --duration 1s", False)
        joined = crowd.figures()
        figure = call.figures()
    p95 = joined["joins"]["offerToReady"]["p95"] / 1000
    return figure["latencyToSocket"]["p99"] / 1000, None, f"{joined['joined']} of {joined['people']} joined, ready p95 {p95:.1f} ms"


BARS = [
    Bar("video 1 to 50, packet by packet: cost", 1.3, "× floor", ratio("--subscribers 50 --profile video --duration 8s", "1100 single", "1100 50 of 50, 250 a second")),
    Bar("video 1 to 400, packet by packet: cost", 1.3, "× floor", ratio("--subscribers 400 --profile video --duration 8s --decrypt-every 10", "1100 single", "1100 400 of 400, 250 a second")),
    Bar("audio at saturation: cost", 1.3, "× floor", ratio("--subscribers 400 --profile audio --rate 450 --duration 8s --decrypt-every 50", "80 single")),
    Bar("frames of ten to 50: cost", 2.0, "× GSO floor", ratio("--subscribers 50 --profile frames --duration 8s", "1100 gso 10", "1100 50 of 50, 25 a second by ten")),
    Bar("frames of ten to 50: cost", 2.8, "µs", absolute("--subscribers 50 --profile frames --duration 8s", "1100 50 of 50, 25 a second by ten")),
    Bar("frames of ten to 50: p99 latency", 1.0, "× allowed", fan_out("--subscribers 50 --profile frames --duration 8s", "1100 gso 10", 500, 1.3, 0.5, "1100 50 of 50, 25 a second by ten")),
    Bar("audio 1 to 50: cost", 5.0, "µs", absolute("--subscribers 50 --profile audio --duration 8s", "80 50 of 50, 50 a second")),
    Bar("ten rooms of five, audio: cost", 6.5, "µs", absolute("--rooms 10 --publishers 5 --subscribers 0 --profile conference-audio --duration 8s", "80 4 of 50, 2500 a second")),
    Bar("saturation, singly", 220, "thousand packets/s", saturation("--subscribers 200 --profile video --duration 5s --decrypt-every 100", range(700, 1500, 100)), True),
    Bar("saturation, frames of ten", 350, "thousand packets/s", saturation("--subscribers 200 --profile frames --duration 5s --decrypt-every 100", range(1000, 2600, 200)), True),
    Bar("2,000 people against 20 at one rate: cost", 1.3, "×", flat),
    Bar("rooms of 20 at about 60 %: p99 latency", 1.0, "ms", latency("p99")),
    Bar("rooms of 20 at about 60 %: p99.9 latency", 5.0, "ms", latency("p99.9")),
    Bar("video 1 to 50: p99 latency", 1.0, "× allowed", fan_out("--subscribers 50 --profile video --duration 8s", "1100 single", 50, 1.3, 0, "1100 50 of 50, 250 a second")),
    Bar("a participant, idle: memory", 60, "KiB", idle_memory),
    Bar("a video subscription: memory", 16, "KiB", subscription_memory),
    Bar("1,000 people in 100 rooms, ten packets/s each: memory", 400, "MiB", crowd_memory),
    Bar("offer to ready, p95", 10, "ms", join_time),
    Bar("a running call's p99 while 200 a second join", 10, "ms", joining),
]


def main():
    parser = argparse.ArgumentParser(description="Measures every bar of docs/performance.md.")
    parser.add_argument("--runs", type=int, default=5, help="how often (5)")
    parser.add_argument("--only", default="", help="only bars whose name contains this")
    parser.add_argument("--json", help="write all values to this file")
    options = parser.parse_args()
    bars = [bar for bar in BARS if options.only in bar.name]
    if not bars:
        sys.exit(f"bars: no bar's name contains {options.only!r}")
    prepare("bars")
    subprocess.run(["cargo", "bench", "--locked", "--quiet", "--no-run", "--bench", "floor"], cwd=ROOT, check=True)
    floors = []
    for number in range(options.runs):
        say(f"round {number + 1} of {options.runs}: the floor")
        floors.append(floor())
        say(f"  {floors[-1]}")
        for bar in bars:
            bar.run(floors[-1])
    print("| bar | limit | median | from–to | met | of the median run |\n|---|---|---|---|---|---|")
    for bar in bars:
        print(bar.row())
    print("\n| floor, µs per packet, or where it says so of latency | median |\n|---|---|")
    for row in floors[0]:
        print(f"| {row} | {statistics.median(one[row] for one in floors):.2f} |")
    if options.json:
        with open(options.json, "w") as file:
            json.dump({"floors": floors, "bars": [{"name": bar.name, "values": bar.values} for bar in bars]}, file)


main()
