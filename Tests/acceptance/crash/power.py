"""A power cut for the daemon alone: what it had written and not synced when it was killed is lost, all of it or in part (`power.c`)."""

from __future__ import annotations

import os
import random
import struct
import subprocess
from dataclasses import dataclass
from pathlib import Path

HEADER = struct.Struct("<5Q")
SECTOR = 4096


@dataclass(frozen=True)
class Change:
    """What one write or truncation replaced."""

    offset: int
    replaced: bytes
    size: int
    truncates: bool
    length: int


class Power:
    """Watches a daemon that is launched with `environment`."""

    def __init__(self, folder: Path) -> None:
        self.undo = folder / "undo"
        self.undo.mkdir()
        library = folder / "power.so"
        source = Path(__file__).with_name("power.c")
        subprocess.run(["cc", "-O1", "-shared", "-fPIC", "-Wall", "-o", library, source, "-ldl"], check=True)
        self.environment = {"LD_PRELOAD": str(library), "TRACEFWD_UNDO": str(self.undo)}

    def cut(self, place: Path, chance: random.Random) -> int:
        """Takes back changes to the files of a place, from one on or from the first that was not synced. Returns how many."""
        files = {file.stat().st_ino: file for file in place.iterdir() if file.is_file()}
        undone = 0
        for undo in self.undo.iterdir():
            changes = self.read(undo)
            file = files.get(int(undo.stem))
            undo.unlink()
            if not changes or file is None:
                continue
            lost = changes[chance.choice([0, chance.randrange(len(changes))]) :]
            undone += len(lost)
            with file.open("r+b") as stream:
                if file.name.startswith("archive") and not any(change.truncates for change in changes):
                    # What is appended reaches the disk from its begin.
                    os.ftruncate(stream.fileno(), chance.randint(lost[0].size, file.stat().st_size))
                elif file.name.startswith("spool.db") and chance.random() < 0.4:
                    # Inside the database any sector may come before any other.
                    for change in reversed(lost):
                        take_back_some(stream.fileno(), change, chance)
                else:
                    for change in reversed(lost):
                        os.pwrite(stream.fileno(), change.replaced, change.offset)
                        os.ftruncate(stream.fileno(), change.size)
        return undone

    def forget(self) -> None:
        """The power stayed on."""
        for undo in self.undo.iterdir():
            undo.unlink()

    def read(self, undo: Path) -> list[Change]:
        """The records of a file; the kill may have torn the last, whose change was never made then."""
        data = undo.read_bytes()
        changes = []
        at = 0
        while at + HEADER.size <= len(data):
            offset, replaced, size, truncates, length = HEADER.unpack_from(data, at)
            at += HEADER.size
            if at + replaced <= len(data):
                changes.append(Change(offset, data[at : at + replaced], size, bool(truncates), length))
            at += replaced
        return changes


def take_back_some(file: int, change: Change, chance: random.Random) -> None:
    """Some sectors are as they were; those that are new read as zeros. The file keeps its size."""
    before = change.replaced + bytes(max(0, change.length - len(change.replaced)))
    at = 0
    while at < len(before):
        size = min(SECTOR - (change.offset + at) % SECTOR, len(before) - at, os.fstat(file).st_size - change.offset - at)
        if size <= 0:
            return
        if chance.random() < 0.5:
            os.pwrite(file, before[at : at + size], change.offset + at)
        at += size
