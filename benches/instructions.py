#!/usr/bin/env python3
"""What a forwarded packet costs a released server in instructions: the same on a busy machine as on a quiet one.

    benches/instructions.py PROGRAM [PROGRAM ...] [--function PATTERN] [--load PROGRAM]

Each program serves `strait load` of its own build, or that of --load so that all are given the same packets to forward, and
records the call; then it replays the trace under callgrind (Debian:
`apt-get install valgrind`). Counted is the fan-out: what is done for a packet between the cache and the buffer that it is
sent from, for each packet that is sent. Left out are the cipher and libc, which choose their instructions by the
processor. Prints a table to standard output, and what each function takes to standard error.

Packets that came while the server was busy go to a viewer in one run, which is cheaper: compare rows whose runs are equally
long, and measure again where they are not.
"""

import argparse
import collections
import glob
import os
import subprocess
import tempfile

import measuring
from measuring import Load, say, server

WORKLOADS = {
    "audio 1 to 50": "--subscribers 50 --profile audio --duration 8s",
    "frames of ten to 50": "--subscribers 50 --profile frames --duration 4s",
    "a room of five, audio": "--publishers 5 --subscribers 0 --profile conference-audio --duration 12s",
}
LIBC = ("libc.so", "ld-linux", "libm.so")
CIPHER = ("aws_lc", "aes_", "aesni", "gcm", "ghash", "vaes", "sha1_", "OPENSSL", "AES_", "skip_iv", "aead", "EVP_")
SENT, RUN = "MediaSink>::sent", "MediaSink>::to"


def is_ours(function, library):
    return not any(part in library for part in LIBC) and not any(part in function for part in CIPHER)


def read(profile):
    """Returns the instructions of each function of our own, how many packets were sent, and in how many runs."""
    instructions, sent, runs = collections.Counter(), 0, 0
    library, function, called, of_call = "", "", "", False
    for line in profile:
        name, _, value = line.rstrip("\n").partition("=")
        if name == "ob":
            library = value
        elif name == "fn":
            function = value
        elif name == "cfn":
            called = value
        elif name == "calls":
            # The next line is what the call cost, which the called function lists itself.
            of_call = True
            calls = int(value.split()[0])
            sent += calls if SENT in called else 0
            runs += calls if RUN in called else 0
        elif line[:1].isdigit():
            if not of_call and is_ours(function, library):
                instructions[function] += int(line.split()[1])
            of_call = False
    return instructions, sent, runs


def measure(program, arguments, function, load):
    measuring.STRAIT = program
    with tempfile.TemporaryDirectory() as folder:
        os.environ["STRAIT_RECORD_DIR"] = folder
        with server() as (port, _):
            measuring.STRAIT = load or program
            Load(port, arguments, spin=False).figures()
        del os.environ["STRAIT_RECORD_DIR"]
        trace, profile = glob.glob(f"{folder}/*.trace")[0], os.path.join(folder, "profile")
        valgrind = f"valgrind --quiet --tool=callgrind --compress-strings=no --compress-pos=no --callgrind-out-file={profile}"
        command = [*valgrind.split(), f"--toggle-collect={function}", program, "replay", trace]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        with open(profile) as text:
            return read(text)


def main():
    parser = argparse.ArgumentParser(description="Counts a released server's instructions for a forwarded packet.")
    parser.add_argument("programs", nargs="+", help="released programs to compare")
    parser.add_argument("--function", default="*Room>::forward_track", help="what is counted, with all that it calls")
    parser.add_argument("--load", metavar="PROGRAM", help="whose `strait load` is served, instead of each program's own")
    options = parser.parse_args()
    print("| workload | program | packets | packets a run | instructions a packet |\n|---|---|--:|--:|--:|")
    for name, arguments in WORKLOADS.items():
        for program in options.programs:
            instructions, sent, runs = measure(program, arguments, options.function, options.load)
            print(f"| {name} | {program} | {sent} | {sent / runs:.2f} | {instructions.total() / sent:.0f} |", flush=True)
            for function, count in instructions.most_common(16):
                say(f"{count / sent:9.1f}  {function}")


if __name__ == "__main__":
    main()
