"""The table that the benches print, and the same for a machine."""

from __future__ import annotations

import json
import os
import platform
import statistics
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

HERE = Path(__file__).resolve().parent
CHECKOUT = HERE.parent.parent
OUT = CHECKOUT / ".bench"


@dataclass
class Row:
    """One line of the table: a figure of each run, and the bar it is held against."""

    name: str
    unit: str
    values: Sequence[float] = field(default_factory=list)
    least: float | None = None
    most: float | None = None
    note: str = ""

    @property
    def median(self) -> float | None:
        """The figure that the table shows; None where nothing could be measured."""
        return statistics.median(self.values) if self.values else None

    @property
    def kept(self) -> bool:
        """Whether the median is within the bar, if there is one."""
        if self.median is None:
            return self.bar() == ""
        return (self.least is None or self.median >= self.least) and (self.most is None or self.median <= self.most)

    def bar(self) -> str:
        """The bar as a person writes it."""
        if self.least is not None:
            return f">= {number(self.least)}"
        return f"<= {number(self.most)}" if self.most is not None else ""


def number(value: float) -> str:
    """A figure with three digits or so."""
    if value >= 1000:
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def print_table(rows: list[Row]) -> None:
    """The table, with the range of the runs beside the median. Rows without a name are gaps."""
    width = max(len(row.name) for row in rows) + 2
    print(f"\n{'':{width}}{'median':>10}  {'unit':<9}{'runs':<22}bar")
    for row in rows:
        if not row.name:
            print()
            continue
        values = row.values
        spread = f"{number(min(values))} to {number(max(values))}" if len(values) > 1 else ""
        mark = "" if not row.bar() else f"{row.bar()} {'kept' if row.kept else 'MISSED'}"
        median = "-" if row.median is None else number(row.median)
        print(f"{row.name:<{width}}{median:>10}  {row.unit:<9}{spread:<22}{mark}{row.note}".rstrip())


def as_json(rows: list[Row]) -> list[dict]:
    """The table's rows for a machine."""
    return [
        {"name": row.name, "unit": row.unit, "median": row.median, "values": list(row.values), "bar": row.bar(), "kept": row.kept}
        for row in rows
        if row.name
    ]


def revision() -> str:
    """What is measured, as git names it."""
    run = subprocess.run(["git", "-C", CHECKOUT, "describe", "--always", "--dirty"], stdout=subprocess.PIPE, text=True)
    return run.stdout.strip()


def write_json(name: str, rows: list[Row], **about: object) -> None:
    """Writes .bench/<name>.json."""
    machine = {"cores": os.cpu_count(), "kernel": platform.release()}
    text = json.dumps({"revision": revision(), "machine": machine, **about, "rows": as_json(rows)}, indent=1)
    (OUT / f"{name}.json").write_text(text + "\n")
