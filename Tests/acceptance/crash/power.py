"""A power cut for the daemon alone: what it had written and not synced when it was killed is lost, all of it or in part (`power.c`)."""

from __future__ import annotations

import os
import random
import struct
import subprocess
from dataclasses import dataclass
from pathlib import Path

HEADER = struct.Struct("<5Q")


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
        """Takes back changes to the files of a place: all that were not synced, the last of them, or any. Returns how many."""
        files = {file.stat().st_ino: file for file in place.iterdir() if file.is_file()}
        undone = 0
        for undo in self.undo.iterdir():
            changes = self.read(undo)
            file = files.get(int(undo.stem))
            undo.unlink()
            if not changes or file is None:
                continue
            first = chance.choice([0, chance.randrange(len(changes))])
            # What is appended reaches the disk from its begin; inside the database any page may come before any other.
            appends = file.name.startswith("archive")
            any_of = not appends and chance.random() < 0.4
            with file.open("r+b") as stream:
                if appends and not any(change.truncates for change in changes):
                    os.ftruncate(stream.fileno(), chance.randint(changes[first].size, file.stat().st_size))
                    undone += len(changes) - first
                    continue
                for change in reversed(changes[first:]):
                    if any_of and chance.random() < 0.5:
                        continue
                    undone += 1
                    take_back(stream.fileno(), change, keeps_size=any_of)
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


def take_back(file: int, change: Change, keeps_size: bool) -> None:
    """As it was before the change. Where later changes stay, so does the size: what has never reached the disk reads as zeros."""
    os.pwrite(file, change.replaced, change.offset)
    if not keeps_size:
        os.ftruncate(file, change.size)
    elif not change.truncates:
        size = os.fstat(file).st_size
        begin, end = change.offset + len(change.replaced), min(change.offset + change.length, size)
        if begin < end:
            os.pwrite(file, bytes(end - begin), begin)
