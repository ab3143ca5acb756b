"""What came out of a campaign, for a person."""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from crash.books import SETTLE_SECONDS, Books
from daemon import Status

EXPLANATION = """
again         spans that a later run sent again
of            the bound of that: spans that were taken, and not settled on disk, at the kills
worst kill    the same, of one kill
flight        the most that were under way at a kill, and that may be
early         the most that were answered before what is proved to be settled, and that may be (crash/__init__.py, 5)
lost answers  spans that came again in the same run, because a frozen or killed platform's answer was lost
replayed      copies of dead letters"""


@dataclass
class Summary:
    """Counts kills and recoveries; the rest stands in the books."""

    kills: Counter[str] = field(default_factory=Counter)
    met: Counter[str] = field(default_factory=Counter)
    """Kills that were to wait for something, and did not wait in vain."""
    cuts: int = 0
    """Kills that were power cuts too."""
    undone: int = 0
    """Writes that these took back."""
    recoveries: list[float] = field(default_factory=list)
    """Seconds from a start after a kill until the sources are open."""
    seconds: float = 0

    def text(self, books: Books, status: Status) -> str:
        """The table."""
        again = sum(1 for number in books.like if books.log[number] and books.log[books.like[number]])
        ages = [age for one in books.destinations.values() for age in one.ages]
        windows = [max(0, kill.at - kill.proof + SETTLE_SECONDS) for kill in books.kills.values()]
        header = ["", "delivered", "dead", "expired", "again", "of", "worst kill", "flight", "early", "lost answers", "replayed"]
        table = [header]
        for name, one in books.destinations.items():
            outcomes = Counter(status.outcomes(name))
            flight, early = f"{one.flight} / {one.in_flight_max}", f"{one.early} / {one.in_flight_max}"
            values = [outcomes["delivered"], outcomes["dead"], outcomes["expired"], one.redelivered, one.exposed, one.worst]
            table.append([name, *map(str, values), flight, early, str(one.lost_answers), str(one.replayed)])
        kills = ", ".join(f"{kill} {count}" for kill, count in self.kills.most_common())
        return "\n".join(
            [
                f"rounds {self.kills.total()} in {self.seconds:.0f} s: {kills}; met: {dict(self.met)}",
                f"of these as a power cut: {self.cuts}, which took back {self.undone} writes that were not synced",
                f"spans: {len(books.state)} written, {status.accepted} accepted, {books.acknowledged} acknowledged, 0 of these lost",
                f"accepted twice, because their writer was told nothing and sent them again: {again}",
                f"from a start after a kill until the sources are open: {extent(self.recoveries)}",
                f"age at a kill of the oldest answer whose verdict was lost: {extent(ages)}",
                f"from proof - 100 ms to the kill: {extent(windows)}",
                *columns(table),
                EXPLANATION,
            ]
        )


def extent(seconds: Sequence[float]) -> str:
    """Median and maximum."""
    return f"median {statistics.median(seconds):.3f} s, most {max(seconds):.3f} s" if seconds else "none"


def columns(table: list[list[str]]) -> list[str]:
    """Rows with their columns under each other."""
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    return ["  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True)) for row in table]
