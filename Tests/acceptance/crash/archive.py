"""Reads what the `file` destination wrote, rotated and compressed files included, each line once; and knows how long the file was when."""

from __future__ import annotations

import gzip
import re
import threading
import time
from pathlib import Path

from crash.platform import Copy, native_copy


class Archive:
    """The file, followed over all runs."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._inode = 0
        self._offset = 0
        """How far the file that has this inode was read."""
        self._samples: list[tuple[float, int, int]] = []
        self._ending = threading.Event()
        self._sampler = threading.Thread(target=self._sample, daemon=True)
        self._sampler.start()

    def stop(self) -> None:
        """Ends the thread."""
        self._ending.set()
        self._sampler.join()

    def _sample(self) -> None:
        while not self._ending.wait(0.01):
            try:
                status = self.path.stat()
            except FileNotFoundError:
                continue
            # After the look: by now it was so, perhaps for long.
            at = time.monotonic()
            if not self._samples or self._samples[-1][1:] != (status.st_ino, status.st_size):
                self._samples.append((at, status.st_ino, status.st_size))

    def read(self, certain: float) -> tuple[list[Copy], list[Copy]]:
        """The lines that came since the last look: those that are known to have been there at the time `certain`, and the others."""
        rotated = self._rotated()
        # Where a kill left a file and its compressed form, the file counts.
        parts = [gzip.decompress(files[0].read_bytes()) if files[0].suffix == ".gz" else files[0].read_bytes() for files in rotated]
        current = self.path.stat().st_ino if self.path.exists() else 0
        last = self.path.read_bytes() if current else b""
        # What a kill tore is cut off when the daemon opens the file again.
        last = last[: last.rfind(b"\n") + 1]
        known = self._known(current, certain)
        skip = self._offset
        if not rotated and current != self._inode:
            skip = 0
        head = b"".join(parts)
        if rotated:
            head, begin = head[skip:], 0
        else:
            begin = skip
        early = last[begin : max(begin, last.rfind(b"\n", 0, known) + 1)]
        late = head + last[begin + len(early) :]
        self._inode, self._offset, self._samples = current, len(last), []
        copies = [native_copy(row) for row in early.splitlines()], [native_copy(row) for row in late.splitlines()]
        for file in (file for files in rotated for file in files):
            file.unlink()
        return copies

    def _known(self, inode: int, certain: float) -> int:
        """How long the file was then at least. An inode may be that of an earlier file too: only what came last counts, while it grew."""
        bound = self.path.stat().st_size if inode else 0
        for at, sampled, size in reversed(self._samples):
            if sampled != inode or size > bound:
                break
            bound = size
            if at <= certain:
                return size
        return 0

    def _rotated(self) -> list[list[Path]]:
        """The files of each rotation, the uncompressed one first; the oldest rotation first."""
        found: dict[tuple[str, int], list[Path]] = {}
        for file in sorted(self.path.parent.glob(f"{self.path.name}.*")):
            match = re.fullmatch(r".*\.(\d{8}T\d{6}Z)(?:-(\d+))?(?:\.gz)?", file.name)
            if match:
                found.setdefault((match[1], int(match[2] or 0)), []).append(file)
        return [found[key] for key in sorted(found)]
