"""What stands on the disk after a kill, read from a copy of the spool's files, so that the daemon finds them as the kill left them."""

from __future__ import annotations

import re
import shutil
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans

from crash.platform import Copy, otlp_copies

LedgerKey = tuple[str, str, str]


@dataclass(frozen=True)
class Cursor:
    """How far a destination was."""

    position: int
    settled: list[tuple[int, int]]

    def has(self, span: int) -> bool:
        """Whether the id was settled."""
        return span <= self.position or any(first <= span <= last for first, last in self.settled)


@dataclass
class Look:
    """The durable state at one kill."""

    oldest: int
    accepted: int
    cursors: dict[str, Cursor]
    ledgers: dict[str, dict[LedgerKey, int]]
    letters: dict[str, list[Copy]]
    """Dead letters with their spans."""
    unknown: dict[str, set[int]]
    """Numbers that a `partial_unknown` letter names."""
    fresh: list[tuple[int, Copy]] = field(default_factory=list)
    """Ids that were not seen before, with the spans that they hold."""


def copy_files(spool: Path, folder: Path) -> Path:
    """The database and its WAL beside each other in `folder`; without the index, which SQLite makes anew."""
    folder.mkdir(exist_ok=True)
    for name in (spool.name, spool.name + "-wal"):
        (folder / name).unlink(missing_ok=True)
        if (spool.parent / name).exists():
            shutil.copyfile(spool.parent / name, folder / name)
    (folder / f"{spool.name}-shm").unlink(missing_ok=True)
    return folder / spool.name


class Reader:
    """Reads copies of one spool, one after the other; what it has decoded once it does not decode again."""

    def __init__(self) -> None:
        self.read_through = 0
        self._letters: dict[int, Copy] = {}

    def look(self, path: Path) -> Look:
        """Everything of a copy."""
        if not path.exists():
            return Look(1, 0, {}, {}, {}, {})
        # Reading alone leaves the WAL as it is: `spool verify` is to find it so.
        database = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
        try:
            if database.execute("PRAGMA user_version").fetchone() == (0,):
                # The very first start was killed before it had made the tables.
                return Look(1, 0, {}, {}, {}, {})
            names = dict(database.execute("SELECT id, name FROM consumers"))
            oldest, accepted = database.execute("SELECT coalesce(min(first_id), 1), coalesce(max(last_id), 0) FROM segments").fetchone()
            look = Look(oldest, accepted, {}, {name: {} for name in names.values()}, {}, {})
            for name, position, settled in database.execute("SELECT name, position, settled FROM consumers"):
                pairs = [pair.split("-") for pair in settled.split(",") if pair]
                look.cursors[name] = Cursor(position, [(int(first), int(last)) for first, last in pairs])
            for consumer, outcome, reason, route, spans in database.execute("SELECT consumer, outcome, reason, route, spans FROM ledger"):
                if consumer in names:
                    look.ledgers[names[consumer]][outcome, reason, route] = spans
            self._read_letters(database, names, look)
            look.fresh = list(self._fresh(database))
            self.read_through = max(self.read_through, accepted)
            return look
        finally:
            database.close()

    def _fresh(self, database: sqlite3.Connection) -> Iterator[tuple[int, Copy]]:
        rows = database.execute(
            "SELECT first_id, last_id, format, payload FROM segments WHERE last_id > ? ORDER BY first_id", (self.read_through,)
        )
        for first, last, form, payload in rows:
            if form == 0:
                continue  # ids that the daemon itself knows to be lost: whoever was acknowledged among them is missed by the books
            assert form == 1, f"segment {first} has format {form}, which this harness cannot read"
            copies = spans_of(payload)
            assert len(copies) == last - first + 1, f"segment {first} to {last} holds {len(copies)} spans"
            yield from ((span, copy) for span, copy in enumerate(copies, first) if span > self.read_through)

    def _read_letters(self, database: sqlite3.Connection, names: dict[int, str], look: Look) -> None:
        held = {span for (span,) in database.execute("SELECT span FROM dead_spans")}
        for span in held - self._letters.keys():
            (payload,) = database.execute("SELECT payload FROM dead_spans WHERE span = ?", (span,)).fetchone()
            (self._letters[span],) = spans_of(payload)
        for consumer, span, reason, detail in database.execute("SELECT consumer, span, reason, detail FROM dead_letters"):
            name = names[consumer]
            if reason == "partial_unknown":
                _, _, numbers = detail.partition(": refused ")
                look.unknown.setdefault(name, set()).update(int(number) for number in re.findall(r"\d+", numbers))
            else:
                look.letters.setdefault(name, []).append(self._letters[span])


def spans_of(payload: bytes) -> list[Copy]:
    """Spans stand back to back, each an OTLP `ResourceSpans` with one span: a message ends where the next has its resource or its spans."""
    copies: list[Copy] = []
    begin = at = 0
    complete = False
    while at < len(payload):
        tag = payload[at] >> 3
        if complete and tag in (1, 2):
            copies += otlp_copies(ResourceSpans.FromString(payload[begin:at]))
            begin, complete = at, False
        complete = complete or tag == 2
        size = shift = 0
        while True:
            at += 1
            size |= (payload[at] & 0x7F) << shift
            shift += 7
            if payload[at] < 0x80:
                break
        at += 1 + size
    return [*copies, *otlp_copies(ResourceSpans.FromString(payload[begin:]))]
