"""The disk under the spool: full, read-only, its files deleted, held by a reader. Nothing acknowledged is lost, and a person is told.

What stands elsewhere: test_durability.py (kill -9, restarts, `max_size`, a second daemon on the same spool).
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from client import send_all
from conftest import MakeDaemon, MakeServer
from daemon import QUICK, Daemon, eventually
from faults import BreakableDisk, assert_no_flood, assert_others_are_served, assert_sound, assert_told, fill, journal, small_disk
from sink import OTLPSink, Reply
from spans import ids, make_spans

DISK_MIB = 128
SPOOL = {"history": "0s", "reserve": "40MiB", "max_size": "1GiB"}


@pytest.fixture
def healthy(make_server: MakeServer) -> OTLPSink:
    """A destination that takes everything."""
    return make_server(OTLPSink)


@pytest.fixture
def target(make_server: MakeServer) -> OTLPSink:
    """A destination that is down until a test says otherwise."""
    return make_server(OTLPSink, otherwise=lambda request: Reply(503))


@pytest.fixture
def disk(folder: Path) -> Iterator[Path]:
    """A file system of 128 MiB for the spool alone."""
    with small_disk(folder / "disk", DISK_MIB) as place:
        yield place


def make(make_daemon: MakeDaemon, target: OTLPSink, healthy: OTLPSink, spool: Path, **more: Any) -> Daemon:
    """A daemon with the spool at a place of its own and the destinations `bad` and `good`."""
    quick = {**QUICK, "backoff": {"base": "50ms", "max": "300ms"}}
    destinations = {"bad": {"type": "otlp", "endpoint": target.url, **quick}, "good": {"type": "otlp", "endpoint": healthy.url, **QUICK}}
    daemon = make_daemon(destinations, spool={**SPOOL, "path": str(spool), **more})
    daemon.spool = spool
    return daemon


def take_the_rest(disk: Path) -> Path:
    """A file that leaves nothing of a file system to others."""
    filler = disk / "filler"
    with open(filler, "wb", buffering=0) as file:
        try:
            while True:
                file.write(b"x" * 65536)
        except OSError:
            pass
    return filler


def assert_no_spans_are_taken(daemon: Daemon, why: str) -> None:
    """`status`, /readyz and /metrics say so."""
    said = eventually(lambda: (text := daemon.call("status")) and "NO SPANS ARE TAKEN" in text and text, 10, "status says it")
    assert why in said
    status, page = daemon.get("/readyz")
    assert (status, why in page) == (503, True), page
    assert daemon.counted("tracefwd_spool_writable") == 0
    assert daemon.get("/healthz")[0] == 200, "to restart it would not help"


def assert_all_arrive(daemon: Daemon, target: OTLPSink, healthy: OTLPSink, acknowledged: list[str], seconds: float = 40) -> None:
    """What was acknowledged is at both destinations and in the books."""
    for sink in (healthy, target):
        sink.wait(lambda sink=sink: set(acknowledged) <= set(sink.span_ids), seconds)
    status = eventually(lambda: (page := daemon.status()) and not any(page.spooled.values()) and page)
    assert status.accepted == len(acknowledged)
    assert status.outcomes("bad") == status.outcomes("good") == {"delivered": len(acknowledged)}
    assert "sound" in daemon.call("spool", "verify")


# ---------------------------------------------------------------------------------------------------- full


def test_a_full_disk_while_ingesting(make_daemon: MakeDaemon, target: OTLPSink, healthy: OTLPSink, disk: Path) -> None:
    """Spans are refused with `spool_full`, delivery and its books go on out of the reserve; with space, spans are taken again."""
    daemon = make(make_daemon, target, healthy, disk / "spool.db").start()
    acknowledged = ids(assert_others_are_served(daemon, healthy))
    filler = take_the_rest(disk)
    acknowledged += ids(fill(daemon, "spool_full"))
    assert_no_spans_are_taken(daemon, "the disk is full: free some space")
    assert_told(daemon, "error", "is full, the disk has no space left", "free some space there", at_most=1)
    healthy.wait(lambda: set(acknowledged) <= set(healthy.span_ids))
    eventually(lambda: daemon.status().spooled["good"] == 0)
    time.sleep(1.5)
    assert send_all(daemon.socket, make_spans(3))["rejected"] == 3
    assert len(journal(daemon, "rejected", "spool_full")) <= 3
    filler.unlink()
    eventually(lambda: daemon.get("/readyz")[0] == 200)
    assert_told(daemon, "info", "has space again after", at_most=1)
    acknowledged += ids(assert_others_are_served(daemon, healthy))
    target.otherwise = lambda request: Reply()
    assert_all_arrive(daemon, target, healthy, acknowledged)
    assert_no_flood(daemon, 60)
    daemon.stop()


def test_a_disk_that_fills_up_with_our_own_spans(make_daemon: MakeDaemon, target: OTLPSink, healthy: OTLPSink, disk: Path) -> None:
    """Nothing but the spool is on the disk: when the destination is back its backlog is delivered and trimmed on a full disk, and the
    space that this frees opens intake again. Nobody has to do a thing."""
    daemon = make(make_daemon, target, healthy, disk / "spool.db").start()
    acknowledged: list[str] = []
    # What was full a moment ago may have room again for what the WAL took: until it stays full.
    while daemon.get("/readyz")[0] == 200:
        acknowledged += ids(fill(daemon, "spool_full"))
        time.sleep(1)
    assert_no_spans_are_taken(daemon, "the disk is full")
    assert daemon.status().spooled["bad"] == len(acknowledged)
    target.otherwise = lambda request: Reply()
    target.wait(lambda: set(acknowledged) <= set(target.span_ids), 40)
    eventually(lambda: daemon.get("/readyz")[0] == 200, 30, "intake is open again")
    acknowledged += ids(assert_others_are_served(daemon, healthy))
    assert_all_arrive(daemon, target, healthy, acknowledged)
    assert_told(daemon, "has space again after")
    assert_no_flood(daemon, 60)
    daemon.stop()


def test_a_start_on_a_full_disk(make_daemon: MakeDaemon, target: OTLPSink, healthy: OTLPSink, disk: Path) -> None:
    """The daemon starts out of its reserve, delivers what it has, takes what fits, and all again when there is space."""
    daemon = make(make_daemon, target, healthy, disk / "spool.db").start()
    acknowledged = ids(assert_others_are_served(daemon, healthy, 200))
    daemon.kill()
    filler = take_the_rest(disk)
    target.otherwise = lambda request: Reply()
    start_unready(daemon)
    target.wait(lambda: set(acknowledged) <= set(target.span_ids))
    acknowledged += ids(fill(daemon, "spool_full"))
    assert_told(daemon, "error", "is full, the disk has no space left", "free some space there")
    filler.unlink()
    eventually(lambda: daemon.get("/readyz")[0] == 200)
    acknowledged += ids(assert_others_are_served(daemon, healthy))
    eventually(lambda: not any(daemon.status().spooled.values()))
    assert_all_arrive(daemon, target, healthy, acknowledged)
    daemon.stop()


def start_unready(daemon: Daemon) -> None:
    """Starts a daemon that is to serve, though it may take no spans yet."""
    ready = daemon.ready
    daemon.ready = lambda: pages_answer(daemon)  # type: ignore[method-assign]
    try:
        daemon.start()
    finally:
        daemon.ready = ready  # type: ignore[method-assign]


def pages_answer(daemon: Daemon) -> bool:
    """Whether /healthz does."""
    try:
        return daemon.get("/healthz")[0] == 200
    except OSError:
        return False


# ---------------------------------------------------------------------------------------------------- read-only


def test_a_file_system_that_becomes_read_only(make_daemon: MakeDaemon, target: OTLPSink, healthy: OTLPSink, folder: Path) -> None:
    """As ext4 becomes after an error of the disk. Spans are refused with `io_error`; after the repair and a restart all arrive."""
    disk = BreakableDisk(folder)
    try:
        daemon = make(make_daemon, target, healthy, disk.place / "spool.db").start()
        acknowledged = ids(assert_others_are_served(daemon, healthy, 100))
        disk.abort()
        answers = [send_all(daemon.socket, make_spans(5)) for _ in range(20)]
        assert all(answer["rejected"] == 5 for answer in answers), answers
        assert {error["reason"] for answer in answers for error in answer["errors"]} == {"io_error"}
        assert_no_spans_are_taken(daemon, "the disk failed a commit")
        assert_told(daemon, "error", "a commit failed", "see `dmesg`", at_most=6)
        time.sleep(3)
        assert_no_flood(daemon, 40)
        assert daemon.running
        daemon.status()
        daemon.stop()
        disk.repair()
        target.otherwise = lambda request: Reply()
        daemon.start()
        acknowledged += ids(assert_others_are_served(daemon, healthy))
        target.wait(lambda: set(acknowledged) <= set(target.span_ids))
        assert_sound(daemon, len(acknowledged))
        daemon.stop()
    finally:
        disk.unmount()


def test_a_start_on_a_read_only_file_system(make_daemon: MakeDaemon, target: OTLPSink, healthy: OTLPSink, folder: Path) -> None:
    """It does not start, and one sentence says why and what to do. Once it is writable, the next start finds everything."""
    disk = BreakableDisk(folder)
    try:
        daemon = make(make_daemon, target, healthy, disk.place / "spool.db").start()
        acknowledged = ids(assert_others_are_served(daemon, healthy))
        daemon.stop()
        disk.unmount()
        disk.mount("loop,ro")
        result = daemon.run("run")
        assert result.returncode == 1
        said = [row for row in result.stderr.splitlines() if "tracefwd:" in row]
        assert len(said) == 1, result.stderr
        assert "spool" in said[0] and "ead-only file system" in said[0], said
        disk.unmount()
        disk.mount()
        target.otherwise = lambda request: Reply()
        daemon.start()
        target.wait(lambda: set(acknowledged) <= set(target.span_ids))
        assert_sound(daemon, len(acknowledged))
        daemon.stop()
    finally:
        disk.unmount()


# ---------------------------------------------------------------------------------------------------- readers


@pytest.fixture
def make_held(make_daemon: MakeDaemon, healthy: OTLPSink) -> Iterator[Callable[[str], Held]]:
    """`make_held(max_size)` is a daemon, and a shell that has begun a read transaction and was forgotten."""
    made: list[Held] = []

    def make(size: str) -> Held:
        spool = {"history": "0s", "max_size": size}
        daemon = make_daemon({"good": {"type": "otlp", "endpoint": healthy.url, **QUICK}}, spool=spool).start()
        made.append(Held(daemon, healthy))
        return made[-1]

    yield make
    for each in made:
        each.reader.close()


@pytest.fixture
def held(make_held: Callable[[str], Held]) -> Held:
    """The same in a large spool."""
    return make_held("1GiB")


class Held:
    """A reader in a transaction, and what goes on meanwhile."""

    def __init__(self, daemon: Daemon, healthy: OTLPSink) -> None:
        self.daemon = daemon
        self.healthy = healthy
        self.wal = Path(f"{daemon.spool}-wal")
        self.sent = len(assert_others_are_served(daemon, healthy))
        self.reader = sqlite3.connect(f"file:{daemon.spool}?mode=ro", uri=True, isolation_level=None)
        self.reader.execute("BEGIN")
        self.reader.execute("SELECT count(*) FROM segments").fetchone()

    def send(self, count: int, size: int) -> float:
        """Sends spans, which are acknowledged; the seconds that it took."""
        begin = time.monotonic()
        assert send_all(self.daemon.socket, make_spans(count, input="x" * size))["accepted"] == count
        self.sent += count
        return time.monotonic() - begin

    def grow(self, mebibytes: int) -> None:
        """Sends until the WAL is so long; no ack waits for the reader (SQLite's own patience would be 5 s)."""
        while self.wal.stat().st_size < mebibytes << 20:
            assert self.send(4, 2_000_000) < 4


def test_a_reader_that_holds_a_transaction(held: Held) -> None:
    """It keeps the WAL from being begun anew, so that grows: a person is told what to do, spans are taken and delivered meanwhile."""
    daemon = held.daemon
    held.grow(80)
    assert_told(daemon, "warning", "write-ahead log", "a reader holds a transaction", "fuser -v", at_most=1)
    assert "a reader holds a transaction open" in daemon.call("status")
    assert daemon.counted("tracefwd_spool_wal_bytes") > 64 << 20
    held.healthy.wait(lambda: len(held.healthy.spans) >= held.sent, 40)
    held.reader.close()
    held.send(4, 2_000_000)
    assert_sound(daemon, held.sent)


def test_a_reader_that_fills_the_spool(make_held: Callable[[str], Held]) -> None:
    """`max_size` counts the WAL, so it is the bound; that it is the reader and no destination is told, and its end opens intake again."""
    held = make_held("48MiB")
    daemon = held.daemon
    held.sent += len(fill(daemon, "spool_full"))
    assert_no_spans_are_taken(daemon, "one long transaction")
    assert_told(daemon, "error", "is full", "by the write-ahead log, which a reader holds", "fuser -v", at_most=2)
    assert "a reader holds a transaction open" in daemon.call("status")
    held.healthy.wait(lambda: len(held.healthy.spans) >= held.sent, 40)
    held.reader.close()
    eventually(lambda: daemon.get("/readyz")[0] == 200)
    held.send(10, 100)
    assert_told(daemon, "info", "has space again", at_most=2)
    assert_sound(daemon, held.sent)


def test_a_start_beside_a_reader(held: Held) -> None:
    """After a kill the WAL cannot be copied while somebody reads an old state: no span is taken before, and the journal says why at once."""
    daemon = held.daemon
    held.send(10, 100)
    daemon.kill()
    daemon.launch()
    eventually(lambda: journal(daemon, "takes no spans yet"))
    assert_told(daemon, "warning", "takes no spans yet", "another process uses the spool's file", at_most=1)
    # It is told before there is a socket to ask on.
    eventually(lambda: daemon.run("status").returncode == 0, what="the daemon answers")
    assert_no_spans_are_taken(daemon, "another process uses the spool's file")
    held.reader.close()
    eventually(lambda: daemon.get("/readyz")[0] == 200)
    held.send(10, 100)
    assert_told(daemon, "info", "commits succeed again", at_most=1)
    assert_sound(daemon, held.sent)


def test_a_reader_that_stays_for_long(held: Held) -> None:
    """However long the WAL is, writers do not wait for the reader."""
    held.grow(280)
    held.healthy.wait(lambda: len(held.healthy.spans) >= held.sent, 40)


def test_after_a_reader_has_ended_the_log_is_short_again(held: Held) -> None:
    """What the WAL took is given back to the disk and to `spool.max_size`, and it is told."""
    held.grow(80)
    held.reader.close()
    held.send(4, 2_000_000)
    eventually(lambda: held.send(10, 100) and held.wal.stat().st_size < 64 << 20, 10)
    eventually(lambda: journal(held.daemon, "the write-ahead log is short again"))
    assert "a reader holds a transaction" not in held.daemon.call("status")
    assert_sound(held.daemon, held.sent)


# ---------------------------------------------------------------------------------------------------- deleted files


@pytest.mark.parametrize(
    ("suffix", "level", "told"),
    [
        pytest.param("", "error", "took its file away", id="the file"),
        # What it held is in the file at once: dealt with, nothing for a person to mend.
        pytest.param("-wal", "warning", "took its WAL away", id="the WAL"),
    ],
)
def test_a_spool_file_that_was_deleted(
    make_daemon: MakeDaemon, target: OTLPSink, healthy: OTLPSink, suffix: str, level: str, told: str
) -> None:
    """What it held is still open in the daemon: that goes on under the old name, it is told, and nothing is lost, by a kill -9 neither."""
    quick = {**QUICK, "backoff": {"base": "50ms", "max": "300ms"}}
    destinations = {"bad": {"type": "otlp", "endpoint": target.url, **quick}, "good": {"type": "otlp", "endpoint": healthy.url, **QUICK}}
    daemon = make_daemon(destinations).start()
    acknowledged = ids(assert_others_are_served(daemon, healthy, 200))
    deleted = Path(f"{daemon.spool}{suffix}")
    deleted.unlink()

    def is_made_anew() -> bool:
        spans = make_spans(1)
        if send_all(daemon.socket, spans)["accepted"]:
            acknowledged.extend(ids(spans))
        return deleted.exists() and daemon.get("/readyz")[0] == 200

    eventually(is_made_anew, every=0.1)
    acknowledged += ids(assert_others_are_served(daemon, healthy))
    said = daemon.call("status")
    daemon.kill()
    daemon.start()
    target.otherwise = lambda request: Reply()
    assert_all_arrive(daemon, target, healthy, acknowledged)
    assert_no_flood(daemon, 80)
    assert_told(daemon, level, told, at_most=2)
    assert level == "warning" or told in said
