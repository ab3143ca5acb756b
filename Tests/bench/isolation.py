#!/usr/bin/env python3
"""Measures what eleven dead destinations cost the one that is well: with them and without them, in turns, on one machine.

    make bench-isolation                        (or: python3 Tests/bench/isolation.py --help)

Each run is a fresh daemon: first a constant load, at which the time from the write on the socket to the arrival is taken,
then a load as fast as it goes, at which the throughput is. The dead ones have been failing since before the first, and as
many batches wait for each as it may have. The healthy one lingers 20 ms, so that its linger hides nothing.
A pair is one run without them and one with them, right after each other, the order alternating; a figure is the ratio of
a pair, and the table tells the median of the pairs with their range: a noisy machine moves both sides of a ratio. The CPU
has no limit: the attempts of the dead ones are in it. A span that the healthy one does not get fails the whole bench. The
result is written to .bench/isolation.json too.
"""

from __future__ import annotations

import argparse
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from rig import BenchError, Figures, build_tools, daemon, free_port, loadgen, sink, sink_stats, wait_until
from table import CHECKOUT, Row, print_table, write_json

MOST = 1.05
DRAIN_SECONDS = 120
# More than the 64 batches of 500 spans that a destination may have made of the log, and time to fail five times.
WARM_SPANS = 40_000
WARM_SECONDS = 6


@dataclass(frozen=True)
class Options:
    """What the command line asked for."""

    binary: Path
    pairs: int
    rate: int
    seconds: float
    spans: int
    check: bool


# ---------------------------------------------------------------------------------------------------- the dead


class _Patient(BaseHTTPRequestHandler):
    """Answers by the first word of the path: a status, or `slow`, or `never`."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers.get("content-length", 0)))
        word = self.path.split("/")[1]
        if word in ("slow", "never"):
            time.sleep(5 if word == "slow" else 300)
        self.send_response(int(word) if word.isdigit() else 200)
        if word == "429":
            self.send_header("Retry-After", "3600")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *words: object) -> None:
        """Nobody reads it."""


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that gives up is what this is for."""


@contextmanager
def patient() -> Iterator[int]:
    """Runs the server that says no, or nothing; gives its port."""
    server = _Server(("127.0.0.1", 0), _Patient)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        server.server_close()


@contextmanager
def black_hole() -> Iterator[int]:
    """A port where connections are made and nothing is ever read."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(128)
        yield listener.getsockname()[1]


@contextmanager
def garbage() -> Iterator[int]:
    """A port that answers each connection with bytes that are no TLS."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with connection:
                connection.sendall(b"\x00\xffno handshake\r\n" * 8)

    threading.Thread(target=serve, daemon=True).start()
    try:
        yield listener.getsockname()[1]
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()


@contextmanager
def dead() -> Iterator[dict]:
    """The configuration of eleven OTLP destinations that are dead, each in its way, and the servers that play them."""
    with patient() as said, black_hole() as hole, garbage() as noise:
        endpoints = {
            "refused1": f"http://127.0.0.1:{free_port()}",
            "refused2": f"http://127.0.0.1:{free_port()}",
            "hole1": f"http://127.0.0.1:{hole}",
            "hole2": f"http://127.0.0.1:{hole}",
            "silent": f"http://127.0.0.1:{said}/never",
            "failing1": f"http://127.0.0.1:{said}/500",
            "failing2": f"http://127.0.0.1:{said}/503",
            "storm": f"http://127.0.0.1:{said}/429",
            "slow": f"http://127.0.0.1:{said}/slow",
            "locked": f"http://127.0.0.1:{said}/401",
            "noise": f"https://127.0.0.1:{noise}",
        }
        yield {name: {"type": "otlp", "endpoint": endpoint} for name, endpoint in endpoints.items()}


# ---------------------------------------------------------------------------------------------------- a run


def run(options: Options, tools: Path, beside: dict) -> Figures:
    """Constant load, then full load; the figures of the healthy destination, and what the daemon spent on a span."""
    steady = int(options.rate * options.seconds)
    whole = WARM_SPANS + steady + options.spans
    with sink(tools, whole) as port:
        healthy = {"healthy": {"type": "otlp", "endpoint": f"http://127.0.0.1:{port}/0", "linger": "20ms"}}
        with daemon(options.binary, {**healthy, **beside}, spool={"max_size": "4GiB"}) as it:
            sent = 0

            def send(spans: int, *words: object) -> dict:
                nonlocal sent
                load = loadgen(tools, "--socket", it.socket_path, "--spans", spans, "--first", sent, *words)
                sent += spans
                wait_until(lambda: sink_stats(port)["unique"] >= sent, DRAIN_SECONDS, f"{sent} spans to arrive")
                if load["accepted"] != spans:
                    raise BenchError(f"spans were refused: {load}")
                return load

            send(WARM_SPANS)
            time.sleep(WARM_SECONDS)
            sink_stats(port, last=True)
            cpu = it.cpu_seconds()
            send(steady, "--rate", options.rate)
            steady_cpu = (it.cpu_seconds() - cpu) * 1e6 / steady
            took = sink_stats(port)["took_us"]
            cpu = it.cpu_seconds()
            load = send(options.spans, "--connections", 2, "--ack-every", 1000)
            return {
                "p50_us": took["p50"],
                "p99_us": took["p99"],
                "steady_cpu_us": steady_cpu,
                "spans_per_second": options.spans / (sink_stats(port)["last_at"] - load["started_at"]),
                "cpu_us": (it.cpu_seconds() - cpu) * 1e6 / options.spans,
            }


def pair(options: Options, tools: Path, turn: int) -> tuple[Figures, Figures]:
    """A run alone and a run beside the dead ones."""
    found: dict[str, Figures] = {}
    for side in ("alone", "beside") if turn % 2 == 0 else ("beside", "alone"):
        print(f"  pair {turn + 1} of {options.pairs}, {side}", file=sys.stderr)
        with ExitStack() as stack:
            found[side] = run(options, tools, stack.enter_context(dead()) if side == "beside" else {})
    return found["alone"], found["beside"]


# ---------------------------------------------------------------------------------------------------- table


def rows_of(options: Options, pairs: list[tuple[Figures, Figures]]) -> list[Row]:
    """What both sides measured, and the ratios that have limits."""
    at = f"at {options.rate:,} spans/s"
    table = [
        ("spans_per_second", "throughput at full load", "spans/s"),
        ("p50_us", f"write to arrival {at}, p50", "us"),
        ("p99_us", f"write to arrival {at}, p99", "us"),
        ("steady_cpu_us", f"CPU of tracefwd {at}", "us/span"),
        ("cpu_us", "CPU of tracefwd at full load", "us/span"),
    ]
    rows = []
    for key, name, unit in table:
        rows.append(Row(f"{name}, alone", unit, [alone[key] for alone, _ in pairs]))
        rows.append(Row(f"{name}, beside", unit, [beside[key] for _, beside in pairs]))
        ratio = Row("  ratio, beside to alone", "", [beside[key] / alone[key] for alone, beside in pairs])
        if key == "spans_per_second":
            ratio.least = 2 - MOST
        elif key in ("p50_us", "p99_us"):
            ratio.most = MOST
        rows.append(ratio)
    return rows


def parsed_options() -> Options:
    """Reads the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    default = os.environ.get("TRACEFWD_BINARY", str(CHECKOUT / ".build/release/tracefwd"))
    parser.add_argument("--binary", type=Path, default=Path(default), help="the tracefwd to measure (default: the release build)")
    parser.add_argument("--pairs", type=int, default=7, help="pairs of runs (default 7)")
    parser.add_argument("--rate", type=int, default=2000, help="spans a second of the constant load (default 2000)")
    parser.add_argument("--seconds", type=float, default=10, help="length of the constant load (default 10)")
    parser.add_argument("--spans", type=int, default=400_000, help="spans of 1 KiB of the full load (default 400000)")
    parser.add_argument("--check", action="store_true", help="exit with status 1 where a limit is missed")
    return Options(**vars(parser.parse_args()))


def main() -> int:
    """Runs the pairs; 1 where something failed."""
    options = parsed_options()
    if not os.access(options.binary, os.X_OK):
        print(f"isolation: {options.binary} is not there; build it with `swift build -c release`", file=sys.stderr)
        return 2
    tools = build_tools()
    pairs: list[tuple[Figures, Figures]] = []
    rows: list[Row] = []
    try:
        for turn in range(options.pairs):
            pairs.append(pair(options, tools, turn))
    except (BenchError, subprocess.SubprocessError) as error:
        print(f"isolation: {error}", file=sys.stderr)
        return 1
    finally:
        if pairs:
            rows = rows_of(options, pairs)
            print_table(rows)
            write_json("isolation", rows, pairs=len(pairs))
    return 1 if options.check and not all(row.kept for row in rows) else 0


if __name__ == "__main__":
    sys.exit(main())
