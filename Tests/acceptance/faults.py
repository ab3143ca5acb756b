"""What must be so after every fault, and the mounts that some of them need."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from client import Client, send_all
from daemon import Daemon, Status, eventually
from sink import OTLPSink
from spans import Span, ids, make_spans


def journal(daemon: Daemon, *words: str) -> list[str]:
    """The lines of the journal in which all of these words stand."""
    return [row for row in daemon.log.splitlines() if all(word in row for word in words)]


def assert_told(daemon: Daemon, *words: str, at_most: int = 12) -> None:
    """The journal says so, soon, and does not say it over and over."""
    with contextlib.suppress(AssertionError):
        eventually(lambda: journal(daemon, *words))
    rows = journal(daemon, *words)
    assert rows, f"no line with {words} in:\n{daemon.log[-4000:]}"
    assert len(rows) <= at_most, f"{len(rows)} lines with {words}, for example:\n" + "\n".join(rows[:20])


def assert_no_flood(daemon: Daemon, at_most: int) -> None:
    """The whole journal of this daemon has no more lines than that."""
    rows = daemon.log.splitlines()
    assert len(rows) <= at_most, f"{len(rows)} lines:\n" + "\n".join(rows[:60])


def assert_others_are_served(daemon: Daemon, healthy: OTLPSink, count: int = 20) -> list[Span]:
    """Another writer is acknowledged, another destination gets it; the spans."""
    spans = make_spans(count)
    answer = send_all(daemon.socket, spans)
    assert (answer["accepted"], answer["rejected"]) == (count, 0), answer
    healthy.wait(lambda: set(ids(spans)) <= set(healthy.span_ids))
    return spans


def assert_sound(daemon: Daemon, accepted: int) -> Status:
    """The books balance (`status` checks that), nothing waits, and the file is what it should be."""
    status = daemon.settled()
    assert status.accepted == accepted
    for name in status.destinations:
        assert sum(status.outcomes(name).values()) == accepted, (name, status.outcomes(name))
    assert "sound" in daemon.call("spool", "verify")
    return status


def fill(daemon: Daemon, reason: str, most: int = 400, size: int = 50_000) -> list[Span]:
    """Sends until spans are rejected with this reason; those that were acknowledged."""
    taken: list[Span] = []
    group = 20  # an answer lists no more mistakes than that
    with Client(daemon.socket, timeout=60) as client:
        for turn in range(most):
            spans = make_spans(group, input="x" * size)
            client.send(*spans)
            answer = client.ask()
            rejected = {error["line"] - turn * (group + 1) - 1 for error in answer["errors"]}
            taken += [span for index, span in enumerate(spans) if index not in rejected]
            assert answer["accepted"] == group - len(rejected)
            if rejected:
                assert {error["reason"] for error in answer["errors"]} == {reason}, answer
                return taken
    raise AssertionError(f"no span was rejected after {len(taken)}")


# ---------------------------------------------------------------------------------------------------- mounts


def _mount(*words: str | Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("needs root: it mounts a small file system")
    result = subprocess.run(["mount", *map(str, words)], capture_output=True, text=True)
    if result.returncode:
        pytest.skip(f"needs a mount, which cannot be made here: {result.stderr.strip()}")


@contextlib.contextmanager
def small_disk(place: Path, mebibytes: int, *options: str) -> Iterator[Path]:
    """A tmpfs of this size."""
    place.mkdir(exist_ok=True)
    _mount("-t", "tmpfs", "-o", ",".join([f"size={mebibytes}m", *options]), "tmpfs", place)
    try:
        yield place
    finally:
        subprocess.run(["umount", "--lazy", place], check=True)


class BreakableDisk:
    """An ext4 file system on a loop device. `abort` does to it what the kernel does after an error of the disk: nothing is written any
    more, whatever is open."""

    def __init__(self, folder: Path, mebibytes: int = 64) -> None:
        if not shutil.which("mkfs.ext4"):
            pytest.skip("needs mkfs.ext4 (e2fsprogs)")
        self._image = folder / "disk.img"
        self.place = folder / "disk"
        self.place.mkdir()
        with open(self._image, "wb") as image:
            image.truncate(mebibytes << 20)
        subprocess.run(["mkfs.ext4", "-q", self._image], check=True, capture_output=True)
        self._mounted = False
        self.mount()

    def mount(self, options: str = "loop") -> None:
        """Mounts it."""
        _mount("-o", options, self._image, self.place)
        self._mounted = True

    def abort(self) -> None:
        """From now on it is read-only."""
        subprocess.run(["mount", "-o", "remount,abort", self.place], check=True)

    def repair(self) -> None:
        """What a person does: unmount, check, mount. Nobody may have a file open on it."""
        self.unmount()
        result = subprocess.run(["e2fsck", "-fy", self._image], capture_output=True, text=True)
        assert result.returncode in (0, 1), result.stdout + result.stderr
        self.mount()

    def unmount(self) -> None:
        """Takes it away."""
        if self._mounted:
            subprocess.run(["umount", self.place], check=True)
            self._mounted = False
