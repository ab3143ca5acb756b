#!/usr/bin/env python3
"""Counts what each step of a span's path costs, in instructions and allocations, and says which budget is broken.

    make bench-budgets                          (or: python3 Tests/bench/budgets.py --help)

Each case of micro-bench runs under callgrind for some spans and for twice as many; the difference, by span, is free of the
start. Instructions repeat to within a few in a thousand, whatever else the machine does, so the budgets of budgets.json are
tight: a change that breaks one either pays for it in the commit that raises it, or is mended. A figure far below its budget
is a budget to lower. The result is written to .bench/budgets.json too.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from table import CHECKOUT, HERE, OUT, Row, print_table, write_json

BUDGETS = HERE / "budgets.json"
SPANS = {"parse": 2_000, "encode": 5_000, "commit": 5_000, "deliver": 10_000, "route": 2_000}
ALLOCATORS = {"malloc", "calloc", "realloc", "aligned_alloc", "posix_memalign"}
# Sets and dictionaries in the same order each time; and no `rep movsb` in memcpy, which valgrind counts as an instruction a byte.
NEVER = 1 << 40
REPEATABLE = {
    "SWIFT_DETERMINISTIC_HASHING": "1",
    "GLIBC_TUNABLES": f"glibc.cpu.x86_rep_movsb_threshold={NEVER}:glibc.cpu.x86_rep_stosb_threshold={NEVER}",
}
# A budget this much above what is measured is one to lower.
SLACK = 0.9


@dataclass(frozen=True)
class Cost:
    """What a run took in all."""

    instructions: int
    allocations: int


def without_debug_info(binary: Path) -> Path:
    """A copy that Debian's valgrind can read: it gives up on newer DWARF. The names of functions stay."""
    copy = OUT / "micro-bench"
    subprocess.run(["objcopy", "--strip-debug", binary, copy], check=True)
    return copy


def cost(binary: Path, case: str, spans: int, keep: Path | None = None) -> Cost:
    """Runs a case under callgrind."""
    with tempfile.TemporaryDirectory() as folder:
        out = keep or Path(folder) / "out"
        words = ["valgrind", "--tool=callgrind", "--compress-pos=no", f"--callgrind-out-file={out}", binary, case, str(spans)]
        environment = {**os.environ, **REPEATABLE}
        run = subprocess.run(words, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=900)
        if run.returncode != 0:
            raise SystemExit(f"budgets: {case} ended with status {run.returncode}:\n{run.stdout[-3000:]}")
        return read(out)


def read(out: Path) -> Cost:
    """Adds up a file of callgrind's: the total, and the calls of what allocates. Names are given once, then by number."""
    names: dict[str, str] = {}
    callee, calls, total = "", 0, 0
    for line in out.read_text(errors="replace").splitlines():
        if match := re.match(r"c?fn=\((\d+)\)(?: (.*))?$", line):
            if match[2]:
                names[match[1]] = match[2]
            callee = names[match[1]] if line[0] == "c" else ""
        elif line.startswith("calls=") and callee.split("@")[0].split("'")[0] in ALLOCATORS:
            calls += int(line[6:].split()[0])
        elif line.startswith(("totals:", "summary:")):
            total = int(line.split()[1])
    return Cost(total, calls)


def measured(binary: Path, case: str) -> tuple[float, float]:
    """Instructions and allocations of a span."""
    spans = SPANS[case]
    one, two = cost(binary, case, spans), cost(binary, case, 2 * spans)
    return (two.instructions - one.instructions) / spans, (two.allocations - one.allocations) / spans


def main() -> int:
    """Measures what was asked for; 1 where a budget is broken."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--binary", type=Path, default=CHECKOUT / ".build/release/micro-bench", help="default: the release build")
    parser.add_argument("--only", nargs="+", choices=list(SPANS), default=list(SPANS), help="cases to run (default all)")
    words = parser.parse_args()
    OUT.mkdir(exist_ok=True)
    binary = without_debug_info(words.binary)
    budgets = json.loads(BUDGETS.read_text())
    rows: list[Row] = []
    for case in words.only:
        print(f"  {case}", file=sys.stderr)
        for what, value in zip(("instructions", "allocations"), measured(binary, case)):
            rows.append(Row(f"{case}: {what}", "/span", [value], most=budgets[case][what]))
    print_table(rows)
    write_json("budgets", rows)
    broken = [row.name for row in rows if not row.kept]
    loose = [row.name for row in rows if row.most and row.values[0] < row.most * SLACK and row.most > 1]
    if loose:
        print(f"\nfar below, so {BUDGETS.name} may be lowered: {', '.join(loose)}")
    if broken:
        print(f"\nbroken: {', '.join(broken)}")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
