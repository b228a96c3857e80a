"""What the measuring scripts share: a server on one core, `strait load` on the other, and their figures.

Core 0 is the server's, core 1 the generator's. Progress goes to standard error.
"""

import contextlib
import json
import os
import resource
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
# Another program can be measured instead.
STRAIT = os.environ.get("STRAIT_BIN") or os.path.join(ROOT, "target/release/strait")
SERVER_CORE, LOAD_CORE = "0", "1"


def say(text):
    print(text, file=sys.stderr, flush=True)


def prepare(name):
    """Two cores, as many files as there may be, and the program as it is now."""
    if os.cpu_count() < 2:
        sys.exit(f"{name}: two cores are needed, one for the server and one for the generator")
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    if "STRAIT_BIN" not in os.environ:
        say("building")
        subprocess.run(["cargo", "build", "--release", "--locked", "--quiet"], cwd=ROOT, check=True)


def free_port(address="127.0.0.1"):
    with socket.socket() as one:
        one.bind((address, 0))
        return one.getsockname()[1]


# What crowds need that are larger than the defaults allow.
FOR_CROWDS = {
    "STRAIT_ROOMS_MAX_PARTICIPANTS": "1000",
    # Two crowds at once come from the same addresses.
    "STRAIT_SIGNALLING_MAX_CONNECTIONS_PER_ADDRESS": "1000",
    "STRAIT_TLS_ALLOW_PLAIN_HTTP": "true",
    "STRAIT_LOG_LEVEL": "warn",
}


@contextlib.contextmanager
def server(before=(), address="127.0.0.1", settings=FOR_CROWDS):
    """A server of its own for each measurement: memory and caches begin anew. `before`: what its command is put behind."""
    port = free_port(address)
    with tempfile.TemporaryDirectory() as data:
        environment = {**os.environ, "STRAIT_SERVER_DATA_DIR": data, **settings}
        command = [*before, "taskset", "-c", SERVER_CORE, STRAIT, "serve", "--listen", f"{address}:{port}"]
        process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL)
        try:
            for _ in range(200):
                with contextlib.suppress(OSError):
                    urllib.request.urlopen(f"http://{address}:{port}/health", timeout=1).read()
                    break
                time.sleep(0.05)
            # Memory before anybody joined is what growth is counted from.
            time.sleep(1)
            yield port, process.pid
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(20)


class Load:
    """A `strait load` that runs, and the file that its figures will be in."""

    def __init__(self, port, arguments, spin=True, before=(), url=None):
        handle, self.file = tempfile.mkstemp(suffix=".json")
        os.close(handle)
        url = url or f"ws://127.0.0.1:{port}"
        command = [*before, "taskset", "-c", LOAD_CORE, STRAIT, "load", "--url", url, "--json", self.file]
        command += arguments.split() + (["--spin"] if spin else [])
        self.started = time.monotonic()
        # When each phase was first heard of, and when each second of the measurement was over.
        self.phases, self.seconds = {}, []
        self.changed = threading.Condition()
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self):
        """Reads the line that there is each second; its first word is the phase, or the seconds measured."""
        self.last_words = ""
        for line in self.process.stderr:
            now = time.monotonic()
            word = line.split()[0] if line.split() else ""
            with self.changed:
                if word in ("joining", "draining"):
                    self.phases.setdefault(word, now)
                elif word.replace(".", "", 1).isdigit():
                    self.phases.setdefault("measuring", now - float(word))
                    self.seconds.append(now)
                else:
                    self.last_words = line.strip() or self.last_words
                self.changed.notify_all()
        with self.changed:
            self.phases.setdefault("over", time.monotonic())
            self.changed.notify_all()

    def wait_for(self, phase, seconds_measured=0, timeout=120):
        """Waits until that phase has begun, or so many seconds are measured, or the program has ended."""

        def there():
            return "over" in self.phases or (phase in self.phases and len(self.seconds) >= seconds_measured)

        with self.changed:
            if not self.changed.wait_for(there, timeout):
                self.process.kill()
                sys.exit(f"strait load was not {phase} after {timeout} s")

    def stop(self):
        """As Ctrl-C does: the measurement ends, and there are figures."""
        self.process.send_signal(signal.SIGINT)

    def figures(self):
        self.process.wait(600)
        with contextlib.suppress(ValueError), open(self.file) as text:
            found = json.load(text)
            os.unlink(self.file)
            return found
        with contextlib.suppress(OSError):
            os.unlink(self.file)
        sys.exit(f"strait load ended with {self.process.returncode} and left no figures: {self.last_words}")


def dropped(port):
    """Datagrams that the kernel dropped because a socket's queue was full: of the socket on that port, and of all others."""
    there, elsewhere = 0, 0
    for table in ("/proc/net/udp", "/proc/net/udp6"):
        with contextlib.suppress(OSError), open(table) as text:
            for words in (line.split() for line in list(text)[1:]):
                if int(words[1].rsplit(":", 1)[1], 16) == port:
                    there += int(words[-1])
                else:
                    elsewhere += int(words[-1])
    return there, elsewhere


def load(arguments, spin=True):
    """A whole run against a server of its own."""
    with server() as (port, _):
        return Load(port, arguments, spin).figures()


def floor():
    file = tempfile.NamedTemporaryFile(suffix=".json", delete=False).name
    command = ["cargo", "bench", "--quiet", "--bench", "floor", "--", "--json", file]
    subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
    with open(file) as text:
        return json.load(text)


def cost(figure):
    return figure["server"]["cpuMicrosPerPacket"]
