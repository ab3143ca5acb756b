"""What the benches are made of: a daemon looked at through /proc, a collector that only counts, and a load generator.

Only the standard library is used. All of it stays on the loopback, and below .bench/.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from table import HERE, OUT

START_SECONDS = 60
Figures = dict[str, float]


class BenchError(Exception):
    """The bench cannot go on; the message says what to do."""


def build_tools() -> Path:
    """Compiles the C tools that are older than their source; returns their folder."""
    folder = OUT / "bin"
    folder.mkdir(parents=True, exist_ok=True)
    for name, libraries in (("loadgen", ["-lpthread"]), ("sink", []), ("limit", ["-lsqlite3"])):
        source, target = HERE / f"{name}.c", folder / name
        if not target.exists() or target.stat().st_mtime < source.stat().st_mtime:
            subprocess.run(["cc", "-O2", "-Wall", "-std=gnu11", "-o", target, source, *libraries], check=True)
    return folder


def free_port() -> int:
    """A TCP port that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@contextmanager
def sink(tools: Path, expect: int, port: int = 0) -> Iterator[int]:
    """Runs the counting collector, on a port of its own by default; gives its port."""
    words = [tools / "sink", "--expect", str(expect), "--port", str(port)]
    process = subprocess.Popen(words, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout
        yield int(process.stdout.readline())
    finally:
        process.terminate()
        process.wait(10)


def sink_stats(port: int, last: bool = False) -> dict:
    """What the collector has counted. `last`: how long spans take is counted anew after it."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/stats{'/last' if last else ''}", timeout=10) as answer:
        return json.load(answer)


@dataclass
class Process:
    """A running process, looked at through /proc."""

    process: subprocess.Popen

    def _fields(self, name: str) -> dict[str, str]:
        lines = Path(f"/proc/{self.process.pid}/{name}").read_text().splitlines()
        return {key: value.strip() for key, _, value in (line.partition(":") for line in lines)}

    def cpu_seconds(self) -> float:
        """User and system time so far."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def memory_mib(self, name: str) -> float:
        """VmRSS (now), VmHWM (most so far) or RssAnon (now, without what is mapped from files)."""
        return int(self._fields("status")[name].split()[0]) / 1024

    def bytes_written(self) -> int:
        """Bytes sent to the disk so far."""
        return int(self._fields("io")["write_bytes"])

    def wake_ups(self) -> dict[str, int]:
        """How often each thread has slept and been woken so far."""
        counts: dict[str, int] = {}
        for status in Path(f"/proc/{self.process.pid}/task").glob("*/status"):
            text = status.read_text()
            name, woken = re.search(r"Name:\t(.*)", text), re.search(r"\nvoluntary_ctxt_switches:\t(\d+)", text)
            if name and woken:
                counts[name[1]] = counts.get(name[1], 0) + int(woken[1])
        return counts

    def forget_peak(self) -> None:
        """VmHWM counts anew from now on."""
        Path(f"/proc/{self.process.pid}/clear_refs").write_text("5")


@dataclass
class Daemon(Process):
    """A running tracefwd."""

    socket_path: Path
    http_port: int
    seconds_to_ready: float = 0

    def metric(self, name: str) -> float:
        """The sum of the samples of a family on the Prometheus page."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.http_port}/metrics", timeout=10) as answer:
            page = answer.read().decode()
        return sum(float(value) for value in re.findall(rf"^{name}(?:{{.*}})? (\S+)$", page, re.MULTILINE))


@contextmanager
def scratch(name: str = "run") -> Iterator[Path]:
    """A folder below .bench/ that goes at the end."""
    folder = OUT / name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def configured(destinations: dict, durability: str = "fsync", name: str = "run", **sections: object) -> Iterator[Path]:
    """A configuration with a fresh spool, in a folder below .bench/ that goes at the end. `sections` replace or add."""
    with scratch(name) as folder:
        port = free_port()
        config = {
            "spool": {"path": str(folder / "spool.db"), "durability": durability},
            "sources": {
                "unix": {"path": str(folder / "in.sock")},
                "udp": {"listen": f"127.0.0.1:{port}"},
                "http": {"listen": f"127.0.0.1:{port}"},
            },
            "control": {"path": str(folder / "control.sock")},
            "destinations": destinations,
            "routes": [{"name": "all", "to": list(destinations)}],
        }
        for key, section in sections.items():
            config[key] = {**config[key], **section} if isinstance(section, dict) else section
        (folder / "tracefwd.yaml").write_text(json.dumps(config, indent=1))
        yield folder


@contextmanager
def running(binary: Path, folder: Path) -> Iterator[Daemon]:
    """Runs tracefwd on what `configured` made, until it says READY as systemd would hear it; stops it by its own pid."""
    config = json.loads((folder / "tracefwd.yaml").read_text())
    # No path: a socket's path must be short, and a checkout's may be long.
    notified = f"\0tracefwd-bench-{os.getpid()}-{folder.name}"
    with open(folder / "stderr", "wb") as log, socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notices:
        notices.bind(notified)
        notices.settimeout(0.2)
        environment = {**os.environ, "NOTIFY_SOCKET": notified.replace("\0", "@")}
        begin = time.monotonic()
        process = subprocess.Popen(
            [binary, "run", "--config", folder / "tracefwd.yaml"], stdout=log, stderr=log, env=environment
        )
        it = Daemon(process, folder / "in.sock", int(config["sources"]["http"]["listen"].rpartition(":")[2]))
        try:
            while not is_ready(notices):
                if process.poll() is not None:
                    raise BenchError(f"tracefwd ended with status {process.returncode}:\n{(folder / 'stderr').read_text()[-3000:]}")
                if time.monotonic() > begin + START_SECONDS:
                    raise BenchError(f"waited {START_SECONDS} s for the daemon to be ready")
            it.seconds_to_ready = time.monotonic() - begin
            yield it
        finally:
            stop(process)


def is_ready(notices: socket.socket) -> bool:
    """Whether the next datagram says so; false too where none came in time."""
    try:
        return b"READY=1" in notices.recv(4096).split(b"\n")
    except TimeoutError:
        return False


def stop(process: subprocess.Popen) -> None:
    """Ends a process of ours, and waits for it."""
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(30)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


@contextmanager
def daemon(binary: Path, destinations: dict, durability: str = "fsync", name: str = "run", **sections: object) -> Iterator[Daemon]:
    """Runs tracefwd on a fresh spool."""
    with configured(destinations, durability, name, **sections) as folder, running(binary, folder) as it:
        yield it


def wait_until(condition: Callable[[], bool], seconds: float, what: str, every: float = 0.02) -> None:
    """Polls; says what it waited for when it gives up."""
    limit = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > limit:
            raise BenchError(f"waited {seconds:.0f} s for {what}")
        time.sleep(every)


def loadgen(tools: Path, *words: object) -> dict:
    """Runs the load generator to its end; its summary."""
    run = subprocess.run([tools / "loadgen", *map(str, words)], stdout=subprocess.PIPE, text=True, timeout=900)
    if not run.stdout:
        raise BenchError(f"loadgen ended with status {run.returncode}")
    return json.loads(run.stdout)


def collectors(count: int, port: int) -> dict:
    """The configuration of `count` OTLP destinations on the one sink."""
    return {f"collector{i}": {"type": "otlp", "endpoint": f"http://127.0.0.1:{port}/{i}"} for i in range(count)}
