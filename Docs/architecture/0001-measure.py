"""Writes 100,000 spans of 1 KiB to SQLite, 256 a commit, a row a span or a segment a commit; trims all but the newest 64 commits.

python3 Docs/architecture/0001-measure.py DIRECTORY        what it writes there it removes again
"""

import os
import sqlite3
import sys
import time

SPANS, A_COMMIT, KEPT, SPAN = 100_096, 256, 64, 1024


def written() -> int:
    """Bytes that this process has sent to the disk."""
    with open("/proc/self/io") as lines:
        return next(int(line.split()[1]) for line in lines if line.startswith("write_bytes"))


def measure(path: str, segments: bool) -> tuple[float, float]:
    """CPU in us a span, and bytes written for each byte of spans."""
    database = sqlite3.connect(path, isolation_level=None)
    database.executescript("PRAGMA page_size=16384; PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL")
    database.executescript("PRAGMA wal_autocheckpoint=1024; PRAGMA secure_delete=FAST")
    database.execute("CREATE TABLE log (first_id INTEGER PRIMARY KEY, last_id INTEGER, at INTEGER, directory BLOB, payload BLOB)")
    span, payload, directory = os.urandom(SPAN), os.urandom(SPAN * A_COMMIT), os.urandom(17 * A_COMMIT)
    cpu, before = time.process_time(), written()
    for first in range(1, SPANS + 1, A_COMMIT):
        database.execute("BEGIN IMMEDIATE")
        if segments:
            database.execute("INSERT INTO log VALUES (?, ?, 0, ?, ?)", (first, first + A_COMMIT - 1, directory, payload))
        else:
            database.executemany("INSERT INTO log VALUES (?, 0, 0, NULL, ?)", ((first + i, span) for i in range(A_COMMIT)))
        database.execute("DELETE FROM log WHERE first_id < ?", (first - KEPT * A_COMMIT,))
        database.execute("COMMIT")
    cpu, bytes_written = time.process_time() - cpu, written() - before
    database.close()
    for suffix in ("", "-wal", "-shm"):
        if os.path.exists(path + suffix):
            os.unlink(path + suffix)
    return cpu / SPANS * 1e6, bytes_written / (SPANS * SPAN)


for name, segments in (("a row a span", False), ("a segment a commit", True)):
    cpu, times = measure(os.path.join(sys.argv[1], "measure.db"), segments)
    print(f"{name:20} {cpu:5.2f} us a span, {times:4.2f} bytes written a byte of span")
