"""A short run of the crash harness (`make crash` runs it long), and what the harness is worth: that it sees what it is there to see."""

from __future__ import annotations

import os
import random
import shutil
import sqlite3
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from client import send_all
from conftest import MakeDaemon
from crash.books import Books, Taken, Violation
from crash.campaign import Campaign
from crash.lines import ids
from crash.plan import Round
from crash.platform import Copy
from crash.spool import Cursor, Look
from daemon import QUICK
from sink import OTLPSink
from spans import make_spans

PLAN = 165
"""Its first 16 rounds have each kind of kill and of platform."""
SEED = int(os.environ.get("TRACEFWD_SEED", PLAN))


def test_no_acknowledged_span_is_lost_whenever_the_daemon_is_killed(folder: Path) -> None:
    """16 rounds; every check of `crash/__init__.py` holds. Again: TRACEFWD_SEED=n, which makes the same plan."""
    campaign = Campaign(folder, SEED, print)
    status = campaign.run(16)
    print(campaign.summary.text(campaign.books, status))
    assert campaign.summary.kills.total() == 16
    assert campaign.books.acknowledged > 500
    for name in ("collector", "hook", "archive"):
        assert status.outcomes(name)["delivered"] > 500


def test_a_log_that_forgets_acknowledged_spans_is_found(folder: Path) -> None:
    """The WAL is taken away after a kill, as if nothing had been written before an ack."""

    class Forgetful(Campaign):
        def look(self) -> None:
            (self.folder / "spool.db-wal").unlink(missing_ok=True)
            super().look()

    with pytest.raises(Violation, match="acknowledged|shown|ledger"):
        Forgetful(folder, PLAN).run(4)


def test_a_cursor_that_runs_ahead_is_found(folder: Path) -> None:
    """After a kill the collector's cursor is put at the end of the log, with books that balance: its spans are lost to it."""

    class Hasty(Campaign):
        def look(self) -> None:
            super().look()
            if self.books.run > 2:
                return
            with sqlite3.connect(self.daemon.spool) as spool:
                (end,) = spool.execute("SELECT max(last_id) FROM segments").fetchone()
                (consumer,) = spool.execute("SELECT id FROM consumers WHERE name = 'collector'").fetchone()
                spool.execute("UPDATE consumers SET position = ?, settled = '' WHERE id = ?", (end, consumer))
                spool.execute("DELETE FROM ledger WHERE consumer = ?", (consumer,))
                spool.execute("INSERT INTO ledger VALUES (?, 'delivered', '', 'all', ?, 0)", (consumer, end))
                spool.execute("DELETE FROM dead_letters WHERE consumer = ?", (consumer,))
                spool.execute("DELETE FROM dead_spans WHERE span NOT IN (SELECT span FROM dead_letters)")

    with pytest.raises(Violation, match="LOST: .* never reached collector"):
        Hasty(folder, PLAN).run(2)


@pytest.mark.skipif(shutil.which("cc") is None, reason="power.c needs a C compiler")
def test_a_power_cut_takes_what_was_not_synced(folder: Path) -> None:
    """With `durability: os` an ack says nothing of the disk: a kill that is a power cut loses acknowledged spans, and that is found."""

    class Careless(Campaign):
        def configure(self, round: Round | None, run: int) -> None:
            super().configure(round and replace(round, durability="os"), run)

    with pytest.raises(Violation, match="acknowledged|shown"):
        Careless(folder, PLAN, power_cuts=True).run(16)


@pytest.mark.parametrize("seed", range(3))
def test_a_kill_while_the_spool_is_made_leaves_nothing_in_the_way(make_daemon: MakeDaemon, collector: OTLPSink, seed: int) -> None:
    """Killed in its first start, again and again, on files that the start before has left; then it takes spans and the spool is sound."""
    chance = random.Random(f"{SEED} {seed}")
    daemon = make_daemon({"collector": {"type": "otlp", "endpoint": collector.url, **QUICK}}, spool={"reserve": "1MiB"})
    for _ in range(4):
        daemon.launch()
        time.sleep(chance.uniform(0, 0.25))
        daemon.kill()
    daemon.start()
    spans = make_spans(10)
    assert send_all(daemon.socket, spans)["accepted"] == 10
    collector.wait_for(10)
    assert daemon.settled().accepted == 10
    daemon.call("spool", "verify")


# ---------------------------------------------------------------------------------------------------- the reference itself


def copy(number: int, digest: str = "1", like: int | None = None) -> Copy:
    """As a platform wrote it down."""
    return Copy(number, *ids(SEED, number if like is None else like), digest)


def look(spans: int, position: int, fresh: bool = True) -> Look:
    """So many accepted, the first of them settled; the log's id of a number is the next one."""
    news = [(number + 1, copy(number)) for number in range(spans)] if fresh else []
    return Look(1, spans, {"platform": Cursor(position, [])}, {"platform": {}}, {}, {}, news)


def books_after_one_run(spans: int = 10, position: int = 5) -> Books:
    """Ten spans were written in run 1, taken in one request and answered at 1.0; half of them are settled at the kill, at 2.0."""
    books = Books(SEED, [Taken("platform", workers=1, batch=4, may_expire=False)])
    books.run = 1
    numbers = [books.new_number() for _ in range(spans)]
    books.acknowledge(numbers, begun=0.5)
    books.receive("platform", "a", 1, 1.0, [copy(number) for number in numbers])
    books.answered("platform", "a", 1.0)
    books.killed(look(spans, position), proof=0.5, at=2.0)
    books.run = 2
    return books


def send_settled(books: Books) -> None:
    books.receive("platform", "b", 2, 3.0, [copy(4)])


def send_unwritten(books: Books) -> None:
    books.receive("platform", "b", 2, 3.0, [copy(10)])


def send_other_bytes(books: Books) -> None:
    books.receive("platform", "b", 2, 3.0, [copy(7, digest="2")])


def send_other_ids(books: Books) -> None:
    books.receive("platform", "b", 2, 3.0, [copy(7, like=8)])


def send_answered_again(books: Books) -> None:
    number = books.new_number()
    for key in "bc":
        books.receive("platform", key, 2, 3.0, [copy(number)])
        books.answered("platform", key, 3.0)
    books.killed(look(10, 10, fresh=False), proof=3.0, at=4.0)
    books.judge(2)


def lose_acknowledged(books: Books) -> None:
    books.acknowledge([books.new_number()], begun=2.6)
    books.killed(look(11, 10, fresh=False), proof=2.6, at=4.0)


def settle_late(books: Books) -> None:
    books.kills[1].proof = 1.2
    books.judge(1)


def keep_too_much_in_flight(books: Books) -> None:
    books.destinations["platform"].requests[1]["a"].answered = None
    books.judge(1)


@pytest.mark.parametrize(
    ("mistake", "sentence"),
    [
        (send_settled, r"span 5 \(number 4\) in run 2, though it was settled on disk"),
        (send_unwritten, "number 10, which was never written"),
        (send_other_bytes, "number 7 with other bytes"),
        (send_other_ids, "number 7 with the ids"),
        (send_answered_again, "number 10 again in run 2 after it had answered"),
        (lose_acknowledged, "LOST: number 10 was acknowledged in run 2 and is not in the log"),
        (settle_late, "5 spans were delivered, and not settled"),
        (keep_too_much_in_flight, "5 spans were in flight at the kill of run 1; 4 can be"),
    ],
)
def test_the_reference_finds(mistake: Callable[[Books], None], sentence: str) -> None:
    """Each mistake, by its sentence; what is right passes."""
    with pytest.raises(Violation, match=sentence):
        mistake(books_after_one_run())


def test_the_reference_takes_what_is_right() -> None:
    """What was unsettled comes again, once, with the same bytes: five duplicates, within a bound of five."""
    books = books_after_one_run()
    books.judge(1)
    books.receive("platform", "b", 2, 3.0, [copy(number) for number in range(5, 10)])
    one = books.destinations["platform"]
    assert (one.redelivered, one.exposed, one.lost_answers) == (5, 5, 0)
