#!/usr/bin/env python3
"""Measures the release build of tracefwd on this machine and prints one table.

    make bench                                  (or: python3 Tests/bench/bench.py --help)

Load generator, daemon and sink run side by side on the loopback, so a figure includes what the other two cost. Every
figure is the median of `--runs` runs, each on a fresh spool; a run in which a span is missing fails the whole bench.
Only the standard library is used. The result is written to .bench/result.json too.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

HERE = Path(__file__).resolve().parent
CHECKOUT = HERE.parent.parent
OUT = CHECKOUT / ".bench"
START_SECONDS = 20
DRAIN_SECONDS = 180

Figures = dict[str, float]


@dataclass(frozen=True)
class Options:
    """What the command line asked for."""

    binary: Path
    spans: int
    runs: int
    connections: int
    destinations: list[int]
    alone: int
    udp_rate: int
    udp_seconds: float
    only: list[str]
    check: bool


@dataclass
class Row:
    """One line of the table: a figure of each run, and the limit it is held against."""

    name: str
    unit: str
    values: list[float] = field(default_factory=list)
    least: float | None = None
    most: float | None = None

    @property
    def median(self) -> float:
        """The figure that the table shows."""
        return statistics.median(self.values)

    @property
    def kept(self) -> bool:
        """Whether the median is within the limit, if there is one."""
        return (self.least is None or self.median >= self.least) and (self.most is None or self.median <= self.most)

    def limit(self) -> str:
        """The limit as a person writes it."""
        if self.least is not None:
            return f">= {number(self.least)}"
        return f"<= {number(self.most)}" if self.most is not None else ""


class BenchError(Exception):
    """The bench cannot go on; the message says what to do."""


# ---------------------------------------------------------------------------------------------------- parts


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
class Daemon:
    """A running tracefwd, looked at through /proc."""

    process: subprocess.Popen
    socket_path: Path
    http_port: int
    seconds_to_ready: float = 0

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

    def forget_peak(self) -> None:
        """VmHWM counts anew from now on."""
        Path(f"/proc/{self.process.pid}/clear_refs").write_text("5")

    def is_ready(self) -> bool:
        """Whether the unix socket takes a connection, and /readyz says that spans are taken."""
        try:
            with socket.socket(socket.AF_UNIX) as probe:
                probe.connect(str(self.socket_path))
            with urllib.request.urlopen(f"http://127.0.0.1:{self.http_port}/readyz", timeout=10) as answer:
                return answer.status == 200
        except OSError:
            return False

    def metrics(self) -> str:
        """The Prometheus page."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.http_port}/metrics", timeout=10) as answer:
            return answer.read().decode()


@contextmanager
def configured(destinations: dict, durability: str = "fsync", **sections: object) -> Iterator[Path]:
    """A configuration with a fresh spool, in a folder below .bench/ that goes at the end. `sections` replace or add."""
    folder = OUT / "run"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
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
    for name, section in sections.items():
        config[name] = {**config[name], **section} if isinstance(section, dict) else section
    (folder / "tracefwd.yaml").write_text(json.dumps(config, indent=1))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def running(binary: Path, folder: Path) -> Iterator[Daemon]:
    """Runs tracefwd on what `configured` made, and stops it by its own pid."""
    config = json.loads((folder / "tracefwd.yaml").read_text())
    begin = time.monotonic()
    with open(folder / "stderr", "wb") as log:
        process = subprocess.Popen([binary, "run", "--config", folder / "tracefwd.yaml"], stdout=log, stderr=log)
    it = Daemon(process, folder / "in.sock", int(config["sources"]["http"]["listen"].rpartition(":")[2]))
    try:
        wait_until(lambda: it.is_ready() or process.poll() is not None, START_SECONDS, "the daemon to be ready", every=0.005)
        it.seconds_to_ready = time.monotonic() - begin
        if process.poll() is not None:
            raise BenchError(f"tracefwd ended with status {process.returncode}:\n{(folder / 'stderr').read_text()[-3000:]}")
        yield it
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@contextmanager
def daemon(binary: Path, destinations: dict, durability: str = "fsync", **sections: object) -> Iterator[Daemon]:
    """Runs tracefwd on a fresh spool."""
    with configured(destinations, durability, **sections) as folder, running(binary, folder) as it:
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


# ---------------------------------------------------------------------------------------------------- scenarios


def throughput(options: Options, tools: Path, destinations: int, durability: str) -> Figures:
    """From the first byte on the unix socket to the last span at the last destination."""
    with sink(tools, options.spans) as port, daemon(options.binary, collectors(destinations, port), durability) as it:
        cpu, written = it.cpu_seconds(), it.bytes_written()
        load = loadgen(
            tools, "--socket", it.socket_path, "--spans", options.spans, "--connections", options.connections, "--ack-every", 1000
        )
        wanted = options.spans * destinations
        wait_until(lambda: sink_stats(port)["spans"] >= wanted, DRAIN_SECONDS, f"{wanted} spans to arrive")
        stats = sink_stats(port)
        if load["accepted"] != options.spans or stats["unique"] != wanted or stats["malformed"]:
            raise BenchError(f"spans are missing: the load was {load}, the sink has {stats}")
        return {
            "spans_per_second": options.spans / (stats["last_at"] - load["started_at"]),
            "acked_per_second": options.spans / load["seconds"],
            "cpu_us": (it.cpu_seconds() - cpu) * 1e6 / options.spans,
            "written": (it.bytes_written() - written) / options.spans,
            "peak_mib": it.memory_mib("VmHWM"),
            "ack_p50_us": load["ack_us"]["p50"],
            "ack_p99_us": load["ack_us"]["p99"],
            "spans_per_request": stats["spans"] / stats["requests"],
            "repeated": stats["repeated"],
        }


def alone(options: Options, tools: Path) -> Figures:
    """One client that waits for the ack of each span: what a single fsync costs it."""
    with sink(tools, options.alone) as port, daemon(options.binary, collectors(1, port)) as it:
        load = loadgen(tools, "--socket", it.socket_path, "--spans", options.alone, "--ack-every", 1, "--window", 1)
        return {"p50_us": load["ack_us"]["p50"], "p99_us": load["ack_us"]["p99"]}


def idle(options: Options, tools: Path) -> Figures:
    """Memory and CPU of a daemon that has started and does nothing."""
    with sink(tools, 1) as port, daemon(options.binary, collectors(1, port)) as it:
        time.sleep(2)
        cpu = it.cpu_seconds()
        time.sleep(3)
        return {"mib": it.memory_mib("VmRSS"), "own_mib": it.memory_mib("RssAnon"), "cpu_percent": (it.cpu_seconds() - cpu) / 3 * 100}


def udp(options: Options, tools: Path) -> Figures:
    """The share of datagrams, sent at a fixed rate, that arrived at the destination."""
    spans = int(options.udp_rate * options.udp_seconds)
    with sink(tools, spans) as port, daemon(options.binary, collectors(1, port)) as it:
        load = loadgen(tools, "--udp", it.http_port, "--spans", spans, "--rate", options.udp_rate)
        seen, quiet_since = -1, time.monotonic()
        while time.monotonic() - quiet_since < 1.5:
            now = sink_stats(port)["spans"]
            if now != seen:
                seen, quiet_since = now, time.monotonic()
            time.sleep(0.1)
        return {"arrived_percent": sink_stats(port)["unique"] / spans * 100, "sent_per_second": spans / load["seconds"]}


def limit(tools: Path) -> dict:
    """The plain-C program, and this disk's fdatasync, in the same folder as the spool."""
    run = subprocess.run([tools / "limit", OUT, "2000"], stdout=subprocess.PIPE, text=True, check=True, timeout=300)
    return json.loads(run.stdout)


# ---------------------------------------------------------------------------------------------------- table


def repeated(options: Options, scenario: Callable[[], Figures], what: str) -> dict[str, list[float]]:
    """Runs a scenario `runs` times; the values by name."""
    values: dict[str, list[float]] = {}
    for turn in range(options.runs):
        print(f"  {what}, run {turn + 1} of {options.runs}", file=sys.stderr)
        for name, value in scenario().items():
            values.setdefault(name, []).append(value)
    return values


def throughput_rows(options: Options, tools: Path) -> list[Row]:
    """Fan-out of each size; the first one carries the limits of the project."""
    rows = []
    for count in options.destinations:
        values = repeated(options, lambda: throughput(options, tools, count, "fsync"), f"to {count} destination(s)")
        first = count == 1
        to = f"to {count} destination{'' if first else 's'}"
        rows += [
            Row(f"end to end {to}", "spans/s", values["spans_per_second"], least=50_000 if first else None),
            Row(f"acknowledged {to}", "spans/s", values["acked_per_second"]),
            Row(f"CPU of tracefwd {to}", "us/span", values["cpu_us"]),
            Row(f"peak resident memory {to}", "MiB", values["peak_mib"], most=100 if first else None),
            Row(f"written to disk {to}", "B/span", values["written"]),
            Row(f"ack under full load {to}, p50", "us", values["ack_p50_us"]),
            Row(f"ack under full load {to}, p99", "us", values["ack_p99_us"]),
            Row(f"spans a request {to}", "spans", values["spans_per_request"]),
            Row(f"redelivered {to}", "spans", values["repeated"]),
        ]
    return rows


def durability_rows(options: Options, tools: Path) -> list[Row]:
    """What the fsync costs: the same load with durability none."""
    values = repeated(options, lambda: throughput(options, tools, 1, "none"), "durability none")
    return [
        Row("end to end to 1 destination, durability none", "spans/s", values["spans_per_second"]),
        Row("acknowledged, durability none", "spans/s", values["acked_per_second"]),
    ]


def alone_rows(options: Options, tools: Path) -> list[Row]:
    """The ack of a client alone on the line, beside what the disk does."""
    values = repeated(options, lambda: alone(options, tools), "ack, alone on the line")
    return [Row("ack alone on the line, p50", "us", values["p50_us"]), Row("ack alone on the line, p99", "us", values["p99_us"])]


def idle_rows(options: Options, tools: Path) -> list[Row]:
    """Memory and CPU at rest."""
    values = repeated(options, lambda: idle(options, tools), "idle")
    return [
        Row("idle resident memory", "MiB", values["mib"], most=30),
        Row("idle resident memory without code and libraries", "MiB", values["own_mib"]),
        Row("idle CPU", "%", values["cpu_percent"]),
    ]


def udp_rows(options: Options, tools: Path) -> list[Row]:
    """Datagrams."""
    values = repeated(options, lambda: udp(options, tools), f"UDP at {options.udp_rate}/s")
    return [
        Row("UDP, sent", "spans/s", values["sent_per_second"]),
        Row("UDP, arrived at the destination", "%", values["arrived_percent"]),
    ]


def limit_rows(options: Options, tools: Path) -> list[Row]:
    """What stands beside the daemon's figures."""
    runs = [limit(tools) for _ in range(options.runs)]
    return [
        Row("this disk: fdatasync of 16 KiB, p50", "us", [run["fdatasync_us"]["p50"] for run in runs]),
        Row("this disk: fdatasync of 16 KiB, p99", "us", [run["fdatasync_us"]["p99"] for run in runs]),
        Row("plain C: SQLite segments, fsynced", "spans/s", [run["spans_per_second"] for run in runs]),
        Row("plain C: CPU", "us/span", [run["cpu_us_per_span"] for run in runs]),
        Row("plain C: written to disk", "B/span", [run["bytes_written_per_span"] for run in runs]),
    ]


SCENARIOS = {
    "throughput": throughput_rows,
    "durability": durability_rows,
    "alone": alone_rows,
    "limit": limit_rows,
    "idle": idle_rows,
    "udp": udp_rows,
}


def number(value: float) -> str:
    """A figure with three digits or so."""
    if value >= 1000:
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def print_table(rows: list[Row]) -> None:
    """The table, with the range of the runs beside the median."""
    print(f"\n{'':52}{'median':>12}  {'unit':<8}{'runs':<24}limit")
    for row in rows:
        spread = f"{number(min(row.values))} to {number(max(row.values))}" if len(row.values) > 1 else ""
        mark = "" if not row.limit() else " kept" if row.kept else " MISSED"
        print(f"{row.name:<52}{number(row.median):>12}  {row.unit:<8}{spread:<24}{row.limit()}{mark}")


def write_result(options: Options, rows: list[Row]) -> None:
    """The same for a machine."""
    result = {
        "machine": {"cores": os.cpu_count(), "kernel": platform.release()},
        "spans": options.spans,
        "runs": options.runs,
        "rows": as_json(rows),
    }
    (OUT / "result.json").write_text(json.dumps(result, indent=1) + "\n")


def as_json(rows: list[Row]) -> list[dict]:
    """The table's rows for a machine."""
    return [{"name": row.name, "unit": row.unit, "median": row.median, "values": row.values, "kept": row.kept} for row in rows]


def parsed_options() -> Options:
    """Reads the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    default = os.environ.get("TRACEFWD_BINARY", str(CHECKOUT / ".build/release/tracefwd"))
    parser.add_argument("--binary", type=Path, default=Path(default), help="the tracefwd to measure (default: the release build)")
    parser.add_argument("--spans", type=int, default=400_000, help="spans of 1 KiB in a throughput run (default 400000)")
    parser.add_argument("--runs", type=int, default=3, help="runs of each scenario (default 3)")
    parser.add_argument("--connections", type=int, default=2, help="connections of the load generator (default 2)")
    parser.add_argument("--destinations", type=int, nargs="+", default=[1, 3], metavar="N", help="fan-outs, e.g. 1 3 12 (default 1 3)")
    parser.add_argument("--alone", type=int, default=1000, help="spans of the one-at-a-time run (default 1000)")
    parser.add_argument("--udp-rate", type=int, default=20_000, help="datagrams a second (default 20000)")
    parser.add_argument("--udp-seconds", type=float, default=3, help="length of the UDP run (default 3)")
    parser.add_argument("--only", nargs="+", choices=list(SCENARIOS), default=list(SCENARIOS), help="scenarios to run (default all)")
    parser.add_argument("--quick", action="store_true", help="one short run of each, to see that all of it works")
    parser.add_argument("--check", action="store_true", help="exit with status 1 where a limit is missed")
    words = parser.parse_args()
    if words.quick:
        words.spans, words.runs, words.alone, words.udp_seconds = min(words.spans, 50_000), 1, 200, 1
    del words.quick
    return Options(**vars(words))


def main() -> int:
    """Runs what was asked for; 1 where something failed."""
    options = parsed_options()
    if not os.access(options.binary, os.X_OK):
        print(f"bench: {options.binary} is not there; build it with `swift build -c release`", file=sys.stderr)
        return 2
    tools = build_tools()
    rows: list[Row] = []
    try:
        for name, scenario in SCENARIOS.items():
            if name in options.only:
                rows += scenario(options, tools)
    except (BenchError, subprocess.SubprocessError) as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1
    finally:
        if rows:
            print_table(rows)
            write_result(options, rows)
    return 1 if options.check and not all(row.kept for row in rows) else 0


if __name__ == "__main__":
    sys.exit(main())
