#!/usr/bin/env python3
"""Measures the release build of tracefwd beside a plain C program and syslog-ng, and prints one table.

    make bench                                  (or: python3 Tests/bench/bench.py --help)

Load generator, daemon and sink run side by side on the loopback, so a figure includes what the other two cost. A round runs
each scenario once, one after the other, each on a fresh spool; ratios are taken within a round, so a machine that is slower
for a minute moves both sides. A figure is the median of the rounds. What needs no rounds (idle, slow rates, a spool that
grows) comes after them. The result is written to .bench/result.json too.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import peers
import scenarios
from rig import BenchError, Figures, build_tools
from table import CHECKOUT, OUT, Row, number, print_table, write_json

BYTES_A_SPAN = 1400
IDLE_SECONDS = 65
RATE_SECONDS = 20


@dataclass(frozen=True)
class Options:
    """What the command line asked for."""

    binary: Path
    spans: int
    runs: int
    connections: int
    alone: int
    paced: int
    udp_rate: int
    udp_seconds: float
    backlog: int
    only: list[str]
    check: bool


@dataclass
class Found:
    """The figures of each scenario, round by round; None for a round in which it could not run."""

    rounds: dict[str, list[Figures | None]] = field(default_factory=dict)
    idle: list[Figures] = field(default_factory=list)
    rates: list[Figures] = field(default_factory=list)
    backlog: dict[str, list[float]] = field(default_factory=dict)

    def values(self, scenario: str, key: str) -> list[float]:
        """A figure of each round."""
        return [figures[key] for figures in self.rounds.get(scenario, []) if figures is not None]

    def ratios(self, scenario: str, key: str, to: str, to_key: str = "") -> list[float]:
        """A figure over another one of the same round."""
        pairs = zip(self.rounds.get(scenario, []), self.rounds.get(to, []))
        return [one[key] / other[to_key or key] for one, other in pairs if one is not None and other is not None]

    def differences(self, scenario: str, key: str, to: str, to_key: str) -> list[float]:
        """A figure less another one of the same round."""
        pairs = zip(self.rounds.get(scenario, []), self.rounds.get(to, []))
        return [one[key] - other[to_key] for one, other in pairs if one is not None and other is not None]


def round_of(options: Options, tools: Path) -> dict[str, Callable[[], Figures | None]]:
    """The scenarios of a round, in their order: what is compared stands side by side."""
    binary, few = options.binary, max(options.spans // 4, 1)

    def to(destinations: int, spans: int, **sections: object) -> Figures:
        return scenarios.throughput(binary, tools, spans, options.connections, destinations, **sections)

    return {
        "plain C": lambda: peers.limit(tools),
        "syslog-ng": lambda: peers.syslog_ng(tools, options.spans, options.connections, is_on_disk=False),
        "one": lambda: to(1, options.spans),
        "ten routes": lambda: to(1, options.spans, routes=scenarios.TEN_ROUTES),
        "none": lambda: to(1, options.spans, durability="none"),
        "trimmed": lambda: to(1, options.spans, spool={"history": "0s"}),
        "three": lambda: to(3, few),
        "twelve": lambda: to(12, few),
        "syslog-ng on disk": lambda: peers.syslog_ng(tools, few, options.connections, is_on_disk=True),
        "alone": lambda: scenarios.alone(binary, tools, options.alone),
        "paced": lambda: scenarios.paced(binary, tools, options.paced, 10),
        "udp": lambda: scenarios.udp(binary, tools, options.udp_rate, options.udp_seconds),
    }


AFTER = ("idle", "rates", "backlog")


def measure(options: Options, tools: Path, found: Found) -> None:
    """The rounds, then what needs none."""
    chosen = {name: run for name, run in round_of(options, tools).items() if name in options.only}
    for turn in range(options.runs if chosen else 0):
        for name, run in chosen.items():
            print(f"  round {turn + 1} of {options.runs}: {name}", file=sys.stderr)
            found.rounds.setdefault(name, []).append(run())
    if "idle" in options.only:
        print(f"  idle for {IDLE_SECONDS} s", file=sys.stderr)
        found.idle = scenarios.idle(options.binary, tools, IDLE_SECONDS, options.runs)
    if "rates" in options.only:
        for turn in range(options.runs):
            print(f"  slow rates, run {turn + 1} of {options.runs}", file=sys.stderr)
            found.rates.append(scenarios.rates(options.binary, tools, RATE_SECONDS))
    if "backlog" in options.only:
        print(f"  a spool of {options.backlog:,} spans", file=sys.stderr)
        found.backlog = scenarios.backlog(options.binary, tools, options.backlog, options.runs)


# ---------------------------------------------------------------------------------------------------- rows


def peer_rows(found: Found) -> list[Row]:
    """What others do on this machine, in the same minutes."""
    absent = "" if peers.SYSLOG_NG else "not installed"
    rows = [
        Row("plain C: SQLite segments of 256 KiB, trimmed, fsynced", "spans/s", found.values("plain C", "spans_per_second")),
        Row("plain C: CPU", "us/span", found.values("plain C", "cpu_us")),
        Row("plain C: written", "B/span", found.values("plain C", "written")),
        Row("this disk: fdatasync of 16 KiB, p50", "us", found.values("plain C", "fsync_p50_us")),
        Row("this disk: fdatasync of 16 KiB, p99", "us", found.values("plain C", "fsync_p99_us")),
    ]
    for name, what in (("syslog-ng", "in memory"), ("syslog-ng on disk", "reliable disk buffer, no fsync")):
        rows += [
            Row(f"syslog-ng, {what}: end to end", "spans/s", found.values(name, "spans_per_second"), note=absent),
            Row(f"syslog-ng, {what}: CPU", "us/span", found.values(name, "cpu_us"), note=absent),
            Row(f"syslog-ng, {what}: peak resident memory", "MiB", found.values(name, "peak_mib"), note=absent),
            Row(f"syslog-ng, {what}: lost", "spans", found.values(name, "missing"), note=absent),
        ]
    return rows


def full_load_rows(found: Found) -> list[Row]:
    """As fast as it goes, to one destination."""
    return [
        Row("end to end, fsync before ack", "spans/s", found.values("one", "spans_per_second"), least=150_000),
        Row("  to syslog-ng in memory", "x", found.ratios("one", "spans_per_second", "syslog-ng")),
        Row("  to syslog-ng on disk", "x", found.ratios("one", "spans_per_second", "syslog-ng on disk"), least=1),
        Row("  to plain C, which takes no spans in and sends none", "x", found.ratios("one", "spans_per_second", "plain C")),
        Row("  to our own with durability none", "x", found.ratios("one", "spans_per_second", "none"), least=0.9),
        Row("end to end with ten routes, to that with one", "x", found.ratios("ten routes", "spans_per_second", "one"), least=0.9),
        Row("  CPU of tracefwd, to that with one", "x", found.ratios("ten routes", "cpu_us", "one")),
        Row("acknowledged", "spans/s", found.values("one", "acked_per_second")),
        Row("CPU of tracefwd", "us/span", found.values("one", "cpu_us"), most=8),
        Row("CPU of tracefwd, durability none", "us/span", found.values("none", "cpu_us")),
        Row("peak resident memory", "MiB", found.values("one", "peak_mib")),
        Row("ack every 1,000 spans under full load, p50", "us", found.values("one", "ack_p50_us")),
        Row("ack every 1,000 spans under full load, p99", "us", found.values("one", "ack_p99_us")),
        Row("spans a request", "spans", found.values("one", "spans_per_request")),
        Row("redelivered", "spans", found.values("one", "repeated"), most=0),
        Row("stored", "B/span", found.values("one", "stored")),
        Row("written to stored, nothing trimmed", "x", found.values("one", "written_ratio"), most=2.5),
        Row("written to stored, all trimmed (history: 0s)", "x", found.values("trimmed", "written_ratio"), most=2.5),
        Row("end to end, all trimmed", "spans/s", found.values("trimmed", "spans_per_second")),
    ]


def fan_out_rows(found: Found) -> list[Row]:
    """Several destinations at once."""
    rows = []
    for name, most in (("three", 2), ("twelve", 4)):
        rows += [
            Row(f"end to end to {name} destinations", "spans/s", found.values(name, "spans_per_second")),
            Row("  time to that of one", "x", found.ratios("one", "spans_per_second", name), most=most),
            Row("  CPU to that of one", "x", found.ratios(name, "cpu_us", "one"), most=most),
        ]
    return rows


def latency_rows(options: Options, found: Found) -> list[Row]:
    """How long an ack takes, and how many datagrams are taken."""
    at = f"at {options.paced:,} spans/s"
    udp = f"UDP at {options.udp_rate:,}/s"
    return [
        Row("ack alone on the line, p50", "us", found.values("alone", "p50_us")),
        Row("  less this disk's fdatasync", "us", found.differences("alone", "p50_us", "plain C", "fsync_p50_us"), most=1000),
        Row("ack alone on the line, p99", "us", found.values("alone", "p99_us")),
        Row(f"ack {at}, p50", "us", found.values("paced", "p50_us")),
        Row(f"ack {at}, p99", "us", found.values("paced", "p99_us"), most=5000),
        Row(f"{udp}: sent", "spans/s", found.values("udp", "sent_per_second"), least=options.udp_rate * 0.98),
        Row(f"{udp}: arrived at the destination", "%", found.values("udp", "arrived_percent")),
        Row(f"{udp}: dropped by the kernel, buffer of {receive_buffer()}", "spans", found.values("udp", "dropped"), most=0),
        Row(f"{udp}: lost and not counted", "spans", found.values("udp", "uncounted"), most=0),
    ]


def receive_buffer() -> str:
    """What the daemon's default of 8 MiB comes to: root may pass the kernel's limit, others may not."""
    most = int(Path("/proc/sys/net/core/rmem_max").read_text())
    return f"{(8 << 20 if os.geteuid() == 0 else min(8 << 20, most)) >> 20} MiB"


def rest_rows(found: Found) -> list[Row]:
    """Idle, and slow rates."""
    rows = []
    if found.idle:

        def of(key: str) -> list[float]:
            return [one.get(key, 0) for one in found.idle]

        rows += [
            Row("idle: resident memory", "MiB", of("mib"), most=20),
            Row("idle: resident memory without code and libraries", "MiB", of("own_mib")),
            Row("idle: wake-ups, no watchdog set", "/min", of("wake_ups"), most=0),
            *(Row(f"  {key}", "/min", of(key)) for key in sorted({key for one in found.idle for key in one if key.startswith("by ")})),
        ]
    for rate in found.rates[0] if found.rates else []:
        rows.append(Row(f"written to stored at {rate}", "x", [one[rate] for one in found.rates]))
    return rows


def backlog_rows(options: Options, found: Found) -> list[Row]:
    """A spool that grows."""
    it = found.backlog
    if not it:
        return []
    curve = [key for key in it if key.startswith("acked at ")]
    rows = [Row(f"acknowledged with {int(key.rpartition(' ')[2]):,} spans in the spool", "spans/s", it[key]) for key in curve]
    if len(curve) > 2:
        at_first, at_last = sorted(it[curve[1]]), sorted(it[curve[-1]])
        ratio = at_last[len(at_last) // 2] / at_first[len(at_first) // 2]
        rows.append(Row(f"  the last to that at {int(curve[1].rpartition(' ')[2]):,}", "x", [ratio], least=0.95))
    holding = f"with {options.backlog:,} spans"
    live = found.values("one", "spans_per_second")
    drained = it.get("drained", [])
    return [
        *rows,
        Row("peak resident memory while it grows, memory: 48MiB", "MiB", it["peak_mib"], most=64),
        Row("peak resident memory while it drains, memory: 48MiB", "MiB", it["drain_peak_mib"], most=64),
        Row(f"from exec to ready {holding}, after kill -9", "s", it["ready"] + it["ready_killed"], most=0.2),
        Row("a million of the backlog drained", "spans/s", drained),
        Row("  to live traffic", "x", [one / sorted(live)[len(live) // 2] for one in drained] if live else [], least=1),
    ]


def sections(options: Options, found: Found) -> list[Row]:
    """The whole table, without rows of what was not run."""
    rows: list[Row] = []
    for part in (
        peer_rows(found),
        full_load_rows(found),
        fan_out_rows(found),
        latency_rows(options, found),
        rest_rows(found),
        backlog_rows(options, found),
    ):
        there = [row for row in part if row.values or row.note]
        rows += ([Row("", "")] if rows and there else []) + there
    return rows


# ---------------------------------------------------------------------------------------------------- command line


def parsed_options() -> Options:
    """Reads the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    default = os.environ.get("TRACEFWD_BINARY", str(CHECKOUT / ".build/release/tracefwd"))
    all_names = [*round_of(Options(Path(), 0, 0, 0, 0, 0, 0, 0, 0, [], False), Path()), *AFTER]
    parser.add_argument("--binary", type=Path, default=Path(default), help="the tracefwd to measure (default: the release build)")
    parser.add_argument("--spans", type=int, default=2_000_000, help="spans of 1 KiB to one destination (default 2000000)")
    parser.add_argument("--runs", type=int, default=5, help="rounds (default 5)")
    parser.add_argument("--connections", type=int, default=2, help="connections of the load generator (default 2)")
    parser.add_argument("--alone", type=int, default=2000, help="spans of the one-at-a-time run (default 2000)")
    parser.add_argument("--paced", type=int, default=1000, help="spans a second of the paced run (default 1000)")
    parser.add_argument("--udp-rate", type=int, default=100_000, help="datagrams a second (default 100000)")
    parser.add_argument("--udp-seconds", type=float, default=5, help="length of the UDP run (default 5)")
    parser.add_argument("--backlog", type=int, default=10_000_000, help="spans that the growing spool comes to (default 10000000)")
    parser.add_argument("--only", nargs="+", choices=all_names, default=all_names, metavar="NAME", help=f"of: {', '.join(all_names)}")
    parser.add_argument("--quick", action="store_true", help="one short run of each, to see that all of it works")
    parser.add_argument("--check", action="store_true", help="exit with status 1 where a bar is missed")
    words = parser.parse_args()
    if words.quick:
        words.spans, words.runs, words.alone, words.udp_seconds, words.backlog = min(words.spans, 100_000), 1, 200, 1, 200_000
    del words.quick
    return Options(**vars(words))


def main() -> int:
    """Runs what was asked for; 1 where something failed."""
    options = parsed_options()
    if not os.access(options.binary, os.X_OK):
        print(f"bench: {options.binary} is not there; build it with `make release`", file=sys.stderr)
        return 2
    tools = build_tools()
    free, need = shutil.disk_usage(OUT).free, options.backlog * BYTES_A_SPAN + 2**30
    if "backlog" in options.only and free < need:
        print(f"bench: {OUT} has {number(free >> 20)} MiB free, this takes {number(need >> 20)}: give a smaller --backlog", file=sys.stderr)
        return 2
    found, rows = Found(), []
    try:
        measure(options, tools, found)
    except (BenchError, subprocess.SubprocessError) as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1
    finally:
        rows = sections(options, found)
        if rows:
            print_table(rows)
            write_json("result", rows, spans=options.spans, runs=options.runs, backlog=options.backlog)
    return 1 if options.check and not all(row.kept for row in rows) else 0


if __name__ == "__main__":
    sys.exit(main())
