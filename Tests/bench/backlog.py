#!/usr/bin/env python3
"""Measures the daemon's memory, its intake and its start while a backlog of millions of spans grows, and while twelve
destinations drain it.

    make bench-backlog SPANS=10000000           (or: python3 Tests/bench/backlog.py --help)

Twelve OTLP destinations are down, and the spool is filled in steps of ten: each step tells the spans acknowledged a
second and the peak of the resident memory. Then the daemon is stopped and started, killed and started: seconds from exec
to ready. Then the destinations are back: each must get `--drain` spans. All of that once for each `--memory`. The limit
of a peak is that budget and what an idle daemon has (code, libraries, threads). 1 KiB a span takes some 1.1 KiB of disk,
below .bench/, and it is looked for before. The result is written to .bench/backlog.json too.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from rig import BenchError, Daemon, build_tools, collectors, configured, free_port, loadgen, running, sink, sink_stats, wait_until
from table import CHECKOUT, OUT, Row, print_table, write_json

DESTINATIONS = 12
IDLE_MIB = 30
BYTES_A_SPAN = 1400


@dataclass(frozen=True)
class Options:
    """What the command line asked for."""

    binary: Path
    spans: int
    drain: int
    memory: list[str]
    check: bool


def mebibytes(size: str) -> float:
    """What `64MiB` or `1GiB` says."""
    match = re.fullmatch(r"(\d+)(MiB|GiB)", size)
    if not match:
        raise BenchError(f"--memory {size}: write it as 64MiB or 1GiB")
    return int(match[1]) * (1024 if match[2] == "GiB" else 1)


def steps(spans: int) -> list[int]:
    """10 k, 100 k, 1 M, ... and the whole."""
    return [size for size in (10**power for power in range(4, 12)) if size < spans] + [spans]


def short(count: int) -> str:
    """A count as a person says it."""
    for unit, size in (("M", 10**6), ("k", 10**3)):
        if count >= size:
            return f"{count / size:g} {unit}"
    return str(count)


class Measured:
    """The rows of one memory budget, as they come."""

    def __init__(self, memory: str) -> None:
        self.memory = memory
        self.budget = mebibytes(memory) + IDLE_MIB
        self.rows: list[Row] = []

    def add(self, name: str, unit: str, value: float, **limits: float) -> None:
        """One figure; it is said at once too, for all of it takes minutes."""
        self.rows.append(Row(f"{self.memory}: {name}", unit, [value], **limits))
        print(f"  {self.memory}: {name}: {value:,.1f} {unit}", file=sys.stderr)

    def add_peak(self, name: str, it: Daemon) -> None:
        """The peak of the resident memory since the last one, and what of it the daemon has now for itself."""
        self.add(f"peak resident memory {name}", "MiB", it.memory_mib("VmHWM"), most=self.budget)
        self.add(f"anonymous memory after {name}", "MiB", it.memory_mib("RssAnon"))
        it.forget_peak()


def fill(options: Options, tools: Path, it: Daemon, measured: Measured) -> None:
    """Writes the backlog, step by step."""
    done = 0
    for step in steps(options.spans):
        load = loadgen(
            tools, "--socket", it.socket_path, "--first", done, "--spans", step - done, "--connections", 2, "--ack-every", 1000
        )
        if load["accepted"] != step - done:
            raise BenchError(f"spans were refused: {load}")
        measured.add(f"acknowledged up to {short(step)}", "spans/s", (step - done) / load["seconds"])
        measured.add_peak(f"filling to {short(step)}", it)
        done = step


def drain(options: Options, port: int, it: Daemon, measured: Measured) -> None:
    """Waits until each destination has its part, in steps of ten."""
    begin, spans_then = time.monotonic(), 0
    for step in steps(options.drain):

        def is_there() -> bool:
            counts = sink_stats(port)["destinations"]
            return len(counts) == DESTINATIONS and min(counts.values()) >= step

        wait_until(is_there, 3600, f"{step} spans at each destination", every=0.2)
        stats, now = sink_stats(port), time.monotonic()
        measured.add(f"drained up to {short(step)} at each of {DESTINATIONS}", "spans/s", (stats["spans"] - spans_then) / (now - begin))
        measured.add_peak(f"draining to {short(step)}", it)
        begin, spans_then = now, stats["spans"]
        if stats["malformed"] or stats["unknown"]:
            raise BenchError(f"what arrives is not what was sent: {stats}")


def measure(options: Options, tools: Path, measured: Measured) -> None:
    """Fill, start twice, drain."""
    port = free_port()
    destinations = {
        name: {**collector, "backlog": {"max": "100%", "when_full": "hold"}} for name, collector in collectors(DESTINATIONS, port).items()
    }
    spool = {"max_size": f"{options.spans * BYTES_A_SPAN * 2 // 2**20 + 1024}MiB"}
    with configured(destinations, spool=spool, memory=measured.memory) as folder:
        with running(options.binary, folder) as it:
            measured.add("resident memory, idle", "MiB", it.memory_mib("VmRSS"), most=IDLE_MIB)
            fill(options, tools, it, measured)
        with running(options.binary, folder) as it:
            measured.add("from exec to ready, after SIGTERM", "s", it.seconds_to_ready)
            measured.add_peak("of the start", it)
            it.process.kill()
            it.process.wait()
        with sink(tools, options.spans, port) as port, running(options.binary, folder) as it:
            measured.add("from exec to ready, after kill -9", "s", it.seconds_to_ready)
            drain(options, port, it, measured)


def parsed_options() -> Options:
    """Reads the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    default = os.environ.get("TRACEFWD_BINARY", str(CHECKOUT / ".build/release/tracefwd"))
    parser.add_argument("--binary", type=Path, default=Path(default), help="the tracefwd to measure (default: the release build)")
    parser.add_argument("--spans", type=int, default=10_000_000, help="spans of 1 KiB of backlog (default 10000000)")
    parser.add_argument("--drain", type=int, default=1_000_000, help="spans that each destination must get (default 1000000)")
    parser.add_argument("--memory", nargs="+", default=["64MiB", "256MiB"], metavar="SIZE", help="budgets (default 64MiB 256MiB)")
    parser.add_argument("--check", action="store_true", help="exit with status 1 where a limit is missed")
    words = parser.parse_args()
    words.drain = min(words.drain, words.spans)
    return Options(**vars(words))


def main() -> int:
    """Runs each budget; 1 where something failed."""
    options = parsed_options()
    if not os.access(options.binary, os.X_OK):
        print(f"backlog: {options.binary} is not there; build it with `swift build -c release`", file=sys.stderr)
        return 2
    tools = build_tools()
    free, need = shutil.disk_usage(OUT).free, options.spans * BYTES_A_SPAN
    if free < need + 2**30:
        print(f"backlog: {OUT} has {free >> 20:,} MiB free, this takes {need >> 20:,}: give fewer --spans", file=sys.stderr)
        return 2
    rows: list[Row] = []
    try:
        for memory in options.memory:
            measured = Measured(memory)
            try:
                measure(options, tools, measured)
            finally:
                rows += measured.rows
    except (BenchError, subprocess.SubprocessError) as error:
        print(f"backlog: {error}", file=sys.stderr)
        return 1
    finally:
        if rows:
            print_table(rows)
            write_json("backlog", rows, spans=options.spans)
    return 1 if options.check and not all(row.kept for row in rows) else 0


if __name__ == "__main__":
    sys.exit(main())
