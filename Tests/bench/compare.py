#!/usr/bin/env python3
"""Measures two revisions of tracefwd in turns on one machine, and prints what changed.

    make bench-compare BASE=<rev>               (or: python3 Tests/bench/compare.py --help)

BASE is built in release mode in a folder of its own below .bench/base, from what git has of it; the other side is the
checkout as it is. A pair is a run of each, right after each other, the order alternating; a ratio is taken within a pair,
and the table tells the median of the pairs with their range. A change is said to be one where all pairs but one in ten
agree on its direction; else it is noise. The result is written to .bench/compare.json too.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import scenarios
from rig import BenchError, Figures, build_tools
from table import CHECKOUT, OUT, Row, print_table, write_json

# What is measured: key, name, unit, and whether more is better.
TABLE = [
    ("spans_per_second", "end to end", "spans/s", True),
    ("cpu_us", "CPU of tracefwd", "us/span", False),
    ("peak_mib", "peak resident memory", "MiB", False),
    ("written_ratio", "written to stored", "x", False),
    ("alone_p50_us", "ack alone on the line, p50", "us", False),
    ("paced_p99_us", "ack at 1,000 spans/s, p99", "us", False),
]


@dataclass(frozen=True)
class Options:
    """What the command line asked for."""

    base: str
    binary: Path
    base_binary: Path | None
    spans: int
    pairs: int


def build_base(revision: str) -> Path:
    """The release binary of a revision. Built once; dependencies are shared by all that were ever built."""
    run = subprocess.run(["git", "-C", CHECKOUT, "rev-parse", "--verify", f"{revision}^{{commit}}"], stdout=subprocess.PIPE, text=True)
    if run.returncode != 0:
        raise BenchError(f"git knows no revision {revision}: give BASE=<rev>")
    commit = run.stdout.strip()
    folder, kept = OUT / "base", OUT / "base" / f"tracefwd-{commit[:12]}"
    if kept.exists():
        return kept
    source = folder / "source"
    shutil.rmtree(source, ignore_errors=True)
    source.mkdir(parents=True)
    with subprocess.Popen(["git", "-C", CHECKOUT, "archive", commit], stdout=subprocess.PIPE) as archive:
        subprocess.run(["tar", "-x", "-C", source], stdin=archive.stdout, check=True)
    if (CHECKOUT / "Package.resolved").exists():
        shutil.copy(CHECKOUT / "Package.resolved", source)
    print(f"  building {revision} below {folder}", file=sys.stderr)
    words = ["swift", "build", "-c", "release", "--product", "tracefwd", "--package-path", source, "--scratch-path", folder / "build"]
    subprocess.run(words, check=True, stdout=sys.stderr)
    shutil.copy(folder / "build" / "release" / "tracefwd", kept)
    return kept


def run(binary: Path, tools: Path, options: Options) -> Figures:
    """All that is compared of one binary."""
    alone = scenarios.alone(binary, tools, 1000)
    paced = scenarios.paced(binary, tools, 1000, 5)
    full = scenarios.throughput(binary, tools, options.spans, 2)
    return {**full, "alone_p50_us": alone["p50_us"], "paced_p99_us": paced["p99_us"]}


def verdict(ratios: list[float], more_is_better: bool) -> str:
    """What the pairs agree on; a few of them agree by chance."""
    if len(ratios) < 5:
        return "too few pairs to tell"
    for is_more, agree in ((True, sum(ratio > 1 for ratio in ratios)), (False, sum(ratio < 1 for ratio in ratios))):
        if agree >= len(ratios) * 0.9:
            return "better" if is_more == more_is_better else "WORSE"
    return "noise"


def rows_of(options: Options, pairs: list[tuple[Figures, Figures]]) -> list[Row]:
    """What both sides measured, and the ratio."""
    rows: list[Row] = []
    for key, name, unit, more_is_better in TABLE:
        ratios = [head[key] / base[key] for base, head in pairs]
        rows += [
            Row(f"{name}: {options.base}", unit, [base[key] for base, _ in pairs]),
            Row(f"{name}: here", unit, [head[key] for _, head in pairs]),
            Row("  here to there", "x", ratios, note=verdict(ratios, more_is_better)),
        ]
    return rows


def parsed_options() -> Options:
    """Reads the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    default = CHECKOUT / ".build/release/tracefwd"
    parser.add_argument("base", help="the revision to compare with, as git names it")
    parser.add_argument("--binary", type=Path, default=default, help="the tracefwd of this side (default: the release build)")
    parser.add_argument("--base-binary", type=Path, help="the tracefwd of the other side (default: it is built)")
    parser.add_argument("--spans", type=int, default=500_000, help="spans of 1 KiB in a run (default 500000)")
    parser.add_argument("--pairs", type=int, default=5, help="pairs of runs (default 5)")
    return Options(**vars(parser.parse_args()))


def main() -> int:
    """Runs the pairs; 1 where something failed."""
    options = parsed_options()
    tools = build_tools()
    pairs: list[tuple[Figures, Figures]] = []
    try:
        base = options.base_binary or build_base(options.base)
        for side in (base, options.binary):
            if not os.access(side, os.X_OK):
                raise BenchError(f"{side} is not there; build it with `make release`")
        for turn in range(options.pairs):
            print(f"  pair {turn + 1} of {options.pairs}", file=sys.stderr)
            found = {}
            for side in (base, options.binary) if turn % 2 == 0 else (options.binary, base):
                found[side] = run(side, tools, options)
            pairs.append((found[base], found[options.binary]))
    except (BenchError, subprocess.SubprocessError) as error:
        print(f"compare: {error}", file=sys.stderr)
        return 1
    finally:
        if pairs:
            rows = rows_of(options, pairs)
            print_table(rows)
            write_json("compare", rows, base=options.base, spans=options.spans, pairs=len(pairs))
    return 0


if __name__ == "__main__":
    sys.exit(main())
