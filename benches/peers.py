#!/usr/bin/env python3
"""Strait and Janus beside each other: the same work, by the same load generator, alternately in the same run. A Markdown
table goes to standard output, progress to standard error.

    benches/peers.py [--runs N] [--only TEXT] [--json FILE] [--address ADDRESS] [--full-ice]

Janus (`apt-get install janus`; 1.0 or newer) runs with a configuration of its own in a temporary folder: the VideoRoom
over WebSockets and nothing else. The server is on core 0, `strait load --spin` on core 1; the machine should have nothing
else to do. Each figure is the median of N runs (3).

Janus gathers no candidates on loopback, so both servers use another address of this machine; the kernel takes packets to
its own addresses over loopback all the same.
"""

import argparse
import contextlib
import json
import os
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time

from measuring import SERVER_CORE, Load, cost, free_port, prepare, say, server

PLUGINS = "audiobridge duktape echotest lua nosip recordplay sip streaming textroom videocall voicemail"
TRANSPORTS = "http mqtt nanomsg pfunix rabbitmq"
COMMON = "--duration 5s --ramp 20 --patience 20s"
WORK = {
    "audio, 1 to 50": "--subscribers 50 --profile audio",
    "video, 1 to 50, packet by packet": "--subscribers 50 --profile video",
    "video, 1 to 50, frames of ten packets": "--subscribers 50 --profile frames",
    "audio, ten rooms of five": "--rooms 10 --publishers 5 --subscribers 0 --profile conference-audio",
}


def own_address():
    """An address of this machine that is not loopback. Nothing is sent."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe, contextlib.suppress(OSError):
        probe.connect(("198.51.100.1", 9))
        return probe.getsockname()[0]
    sys.exit(
        "peers: this machine has no address but loopback, where Janus gathers no candidates; make one, as root:\n"
        "  ip link add peers0 type veth peer name peers1 && ip address add 198.18.0.1/24 dev peers0\n"
        "  ip link set peers0 up && ip link set peers1 up\n"
        "and say --address 198.18.0.1"
    )


def libraries(names):
    return ",".join(f"libjanus_{name}.so" for name in names.split())


@contextlib.contextmanager
def janus(address, full_ice):
    port = free_port(address)
    with tempfile.TemporaryDirectory() as folder:
        with open(os.path.join(folder, "janus.jcfg"), "w") as file:
            file.write(
                f'general: {{ configs_folder = "{folder}" debug_level = 2 }}\n'
                'media: { rtp_port_range = "20000-60000" }\n'
                f'nat: {{ ice_lite = {"false" if full_ice else "true"} ice_enforce_list = "{address}" }}\n'
                f'plugins: {{ disable = "{libraries(PLUGINS)}" }}\n'
                f'transports: {{ disable = "{libraries(TRANSPORTS)}" }}\n'
            )
        with open(os.path.join(folder, "janus.transport.websockets.jcfg"), "w") as file:
            file.write(f'general: {{ json = "plain" ws = true ws_port = {port} ws_ip = "{address}" wss = false }}\n')
        log = os.path.join(folder, "log")
        command = ["taskset", "-c", SERVER_CORE, "janus", "-F", folder]
        with open(log, "w") as out:
            process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out, stderr=out)
        try:
            for _ in range(200):
                with contextlib.suppress(OSError), socket.create_connection((address, port), 1):
                    break
                time.sleep(0.05)
                if process.poll() is not None:
                    sys.exit(f"peers: janus ended with {process.returncode}:\n{open(log).read()[-2000:]}")
            time.sleep(1)
            yield port, process.pid
        finally:
            process.send_signal(signal.SIGINT)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(10)
            process.kill()


def measure(name, arguments, options):
    """One run of one server."""
    if name == "Janus":
        running, extra = janus(options.address, options.full_ice), "--server janus"
    else:
        running, extra = server(address=options.address), ""
    with running as (port, pid):
        url = f"ws://{options.address}:{port}"
        figure = Load(port, f"{arguments} {COMMON} --server-pid {pid} {extra}", url=url).figures()
    if figure["problems"]:
        say(f"  {name}: {'; '.join(figure['problems'])}")
    if not figure["server"]:
        sys.exit(f"peers: nothing was measured of {name}; the lines above say why")
    latency, joins = figure["latencyToSocket"], figure["joins"]["offerToReady"]
    say(
        f"  {name}: {cost(figure):.1f} µs a packet, p50 {latency['p50']:.0f} µs, p99 {latency['p99']:.0f} µs, "
        f"{figure['packets']['lost']} lost, {figure['server']['rssKibPerParticipant']:.0f} KiB a person, "
        f"ready after {joins['p50'] / 1000:.1f} ms, {figure['srtp']}"
    )
    if doubts(figure):
        say(f"    doubts: {'; '.join(doubts(figure))}")
    return figure


def doubts(figure):
    """What the generator doubts. A server of many threads on one core waits for itself: that is no doubt of Janus' figures."""
    return [doubt for doubt in figure["generator"]["doubts"] if "kept the server" not in doubt]


def row(work, name, figures):
    def middle(value):
        return statistics.median(value(figure) for figure in figures)

    def latency(quantile):
        return middle(lambda figure: figure["latencyToSocket"][quantile]) / 1000

    costs = [cost(figure) for figure in figures]
    lost = sum(figure["packets"]["lost"] for figure in figures)
    missing = sum(figure["people"] - figure["joined"] for figure in figures)
    star = "\\*" if any(doubts(figure) for figure in figures) else ""
    return (
        f"| {work} | {name} | {middle(lambda figure: figure['packets']['receivedPerSecond']):,.0f} "
        f"| {statistics.median(costs):.1f} ({min(costs):.1f}–{max(costs):.1f}){star} "
        f"| {latency('p50'):.2f} | {latency('p99'):.2f} | {latency('max'):.1f} "
        f"| {lost}{f', {missing} people missing' if missing else ''} "
        f"| {middle(lambda figure: figure['server']['rssKibPerParticipant']):.0f} "
        f"| {middle(lambda figure: figure['joins']['offerToReady']['p50']) / 1000:.1f} "
        f"| {middle(lambda figure: figure['joins']['offerToReady']['p95']) / 1000:.1f} |"
    )


def main():
    parser = argparse.ArgumentParser(description="Strait and Janus beside each other.")
    parser.add_argument("--runs", type=int, default=3, help="how often (3)")
    parser.add_argument("--only", default="", help="only work whose name contains this")
    parser.add_argument("--json", help="write all figures to this file")
    parser.add_argument("--address", help="an address of this machine, not loopback; found by itself")
    parser.add_argument("--full-ice", action="store_true", help="Janus checks connectivity, too (by default it is ICE-lite)")
    options = parser.parse_args()
    if not shutil.which("janus"):
        sys.exit("peers: there is no janus; install it: apt-get install janus")
    work = {name: arguments for name, arguments in WORK.items() if options.only in name}
    if not work:
        sys.exit(f"peers: no work's name contains {options.only!r}")
    options.address = options.address or own_address()
    prepare("peers")
    found = {(name, peer): [] for name in work for peer in ("Strait", "Janus")}
    for number in range(options.runs):
        for name, arguments in work.items():
            say(f"round {number + 1} of {options.runs}: {name}")
            # Whoever comes second finds a warmer machine: they take turns at it.
            for peer in ("Strait", "Janus") if number % 2 == 0 else ("Janus", "Strait"):
                found[name, peer].append(measure(peer, arguments, options))
    print("| work | server | packets/s out | CPU, µs per packet | p50, ms | p99, ms | longest, ms | lost | KiB per person | ready, p50, ms | p95, ms |")
    print("|---|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|")
    for (name, peer), figures in found.items():
        print(row(name, peer, figures))
    if options.json:
        with open(options.json, "w") as file:
            json.dump([{"work": name, "server": peer, "figures": figures} for (name, peer), figures in found.items()], file)


main()
