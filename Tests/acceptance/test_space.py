"""The space policies of the spool (DESIGN.md section 3), end to end: history, backlog expire and hold, reject, block, drop_oldest; and that
dead destinations cost the healthy one nothing. Each span that goes is in the ledger with its reason, and told in the journal, in `status`
and in /metrics.

What stands elsewhere: test_durability.py (that a full spool stays within its size), Tests/SpoolTests/SpaceTests.swift (who gives way).
"""

from __future__ import annotations

import ctypes
import mmap
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from client import Client, send_all
from conftest import MakeDaemon, MakeServer
from daemon import QUICK, Daemon, Status, eventually, free_port
from faults import assert_told, fill, journal
from sink import OTLPSink, Reply, Server
from spans import ids, make_spans

SIZE = 16 << 20
SPOOL = {"max_size": "16MiB", "history": "0s", "reserve": "0"}
SPANS_A_TURN = 500  # of 2 KiB


def otlp(url: str, **more: object) -> dict[str, object]:
    """An OTLP destination that retries quickly."""
    return {"type": "otlp", "endpoint": url, **QUICK, **more}


def down(**backlog: object) -> dict[str, object]:
    """A destination that nobody listens for."""
    return otlp(f"http://127.0.0.1:{free_port()}", backlog=backlog)


def write(daemon: Daemon, turns: int) -> int:
    """Sends about a MiB a turn, all of which must be taken; the number of spans."""
    with Client(daemon.socket, timeout=60) as client:
        for _ in range(turns):
            client.send(*make_spans(SPANS_A_TURN, input="x" * 2000))
            answer = client.ask()
            assert answer["accepted"] == SPANS_A_TURN, answer
    return turns * SPANS_A_TURN


def assert_expired(daemon: Daemon, name: str, reason: str) -> Status:
    """That spans of this destination have expired, for this reason alone, and that all pages say as many; the books at that moment."""

    def pages_agree() -> tuple[Status, int] | None:
        status = daemon.status()
        row = next(row for row in status.destinations[name]["ledger"] if row["outcome"] == "expired")
        labels = {"destination": name, "outcome": "expired", "reason": reason}
        said = f"expired {row['spans']} ({reason}, route all)" in daemon.call("status")
        counted = daemon.counted("tracefwd_spans_total", **labels), daemon.counted("tracefwd_span_bytes_total", **labels)
        return (status, row["spans"]) if said and counted == (row["spans"], row["bytes"]) else None

    status, spans = eventually(pages_agree)
    assert 0 < spans == status.outcomes(name)["expired"]
    assert_told(daemon, "error", f"for {name} expired undelivered ({reason})", f"destinations.{name}.backlog", at_most=40)
    return status


def kept_bytes(daemon: Daemon) -> float:
    """What the spool's file holds, without the WAL, which keeps its length."""
    return daemon.counted("tracefwd_spool_bytes") - daemon.counted("tracefwd_spool_wal_bytes")


def assert_size_is_kept(daemon: Daemon) -> None:
    """`max_size` holds, but for the commit that was under way."""
    assert daemon.counted("tracefwd_spool_bytes_max") == SIZE
    assert daemon.counted("tracefwd_spool_bytes") < SIZE + (2 << 20)


# ---------------------------------------------------------------------------------------------------- the policies


def test_history_is_kept_for_its_time_and_then_goes(make_daemon: MakeDaemon, collector: OTLPSink) -> None:
    """What was delivered can be delivered again while it is history; when that is over its space is free, and nothing counts as expired."""
    daemon = make_daemon({"collector": otlp(collector.url)}, spool={**SPOOL, "max_size": "1GiB", "history": "4s"}).start()
    daemon.call("trust-clock")  # a machine that follows no time server lets nothing go by its age for ten minutes
    sent = write(daemon, 4)
    daemon.settled()
    assert kept_bytes(daemon) > 4 << 20
    daemon.call("seek", "collector", "--to", "beginning")
    collector.wait_for(2 * sent)
    eventually(lambda: send_all(daemon.socket, make_spans(1)) and kept_bytes(daemon) < 1 << 20, every=0.5)
    status = daemon.settled()
    assert set(status.outcomes("collector")) == {"delivered"}
    assert journal(daemon, "expired") == []


def in_page_cache(path: Path) -> int:
    """Bytes of a file that the kernel has in memory, by mincore(2)."""
    libc = ctypes.CDLL(None, use_errno=True)
    libc.mmap.restype = ctypes.c_void_p
    size = path.stat().st_size
    with path.open("rb") as file:
        address = libc.mmap(None, ctypes.c_size_t(size), mmap.PROT_READ, mmap.MAP_SHARED, file.fileno(), ctypes.c_long(0))
    assert address != ctypes.c_void_p(-1).value, ctypes.get_errno()
    pages = (ctypes.c_ubyte * -(-size // mmap.PAGESIZE))()
    assert libc.mincore(ctypes.c_void_p(address), ctypes.c_size_t(size), pages) == 0, ctypes.get_errno()
    libc.munmap(ctypes.c_void_p(address), ctypes.c_size_t(size))
    return sum(page & 1 for page in pages) * mmap.PAGESIZE


def test_what_all_destinations_have_leaves_the_page_cache(make_daemon: MakeDaemon, collector: OTLPSink) -> None:
    """It is kept for replay, and is no memory of the service's."""
    daemon = make_daemon(destinations={"otlp": otlp(collector.url)})
    if subprocess.check_output(["stat", "-f", "-c", "%T", daemon.folder], text=True).strip() == "tmpfs":
        pytest.skip("the temporary directory lies in memory (tmpfs), where nothing can leave the page cache")
    daemon.start()
    sent = 0
    for _ in range(15):
        sent += write(daemon, 10)
        eventually(lambda: daemon.status().outcomes("otlp").get("delivered") == sent, what="all of it is delivered")
    assert daemon.spool.stat().st_size > 140 << 20
    assert in_page_cache(daemon.spool) < 70 << 20


def test_history_gives_way_before_any_backlog(make_daemon: MakeDaemon, collector: OTLPSink) -> None:
    """A day of history in a spool of 16 MiB: delivered spans never fill it."""
    daemon = make_daemon({"collector": otlp(collector.url)}, spool={**SPOOL, "history": "24h"}).start()
    sent = 0
    for _ in range(12):
        sent += write(daemon, 4)
        collector.wait_for(sent)
    assert daemon.settled().outcomes("collector") == {"delivered": sent}
    assert_size_is_kept(daemon)
    assert journal(daemon, "is full") == []


def test_a_backlog_that_expires_is_counted_and_told(make_daemon: MakeDaemon, collector: OTLPSink) -> None:
    """The one that is down gives up its oldest, the newest stay; writers and the other destination notice nothing."""
    daemon = make_daemon({"down": down(max="4MiB", when_full="expire"), "up": otlp(collector.url)}, spool=SPOOL).start()
    sent = write(daemon, 60)
    collector.wait_for(sent, 60)
    eventually(lambda: daemon.status().spooled["up"] == 0)
    status = assert_expired(daemon, "down", "backlog")
    assert status.outcomes("up") == {"delivered": sent}
    assert status.spooled["down"] > 0
    assert_size_is_kept(daemon)


def test_a_backlog_that_is_held_fills_the_spool_and_is_told(make_daemon: MakeDaemon, make_server: MakeServer) -> None:
    """`hold` and `reject`: no span is given up; new ones are refused, counted by their source; with the destination back, all is well."""
    target = make_server(OTLPSink, otherwise=lambda request: Reply(503))
    daemon = make_daemon({"held": otlp(target.url, backlog={"max": "1MiB", "when_full": "hold"})}, spool=SPOOL).start()
    taken = fill(daemon, "spool_full")
    status = daemon.status()
    assert (status.accepted, status.outcomes("held")) == (len(taken), {})
    eventually(lambda: daemon.counted("tracefwd_lines_rejected_total", source="unix", reason="spool_full") > 0)
    assert daemon.counted("tracefwd_spool_writable") == 0
    assert_size_is_kept(daemon)
    assert "NO SPANS ARE TAKEN: spool.max_size" in daemon.call("status")
    assert daemon.get("/readyz")[0] == 503
    assert_told(daemon, "error", "is full", "when_full: reject", "raise spool.max_size", at_most=1)
    assert_told(daemon, "rejected", "spool_full")
    target.otherwise = lambda request: Reply()
    eventually(lambda: daemon.get("/readyz")[0] == 200, 30)
    assert send_all(daemon.socket, make_spans(1))["accepted"] == 1
    status = daemon.settled()
    assert status.outcomes("held") == {"delivered": len(taken) + 1}
    assert set(ids(taken)) <= set(target.span_ids)
    assert_told(daemon, "info", "has space again", at_most=1)


def test_a_full_spool_that_blocks_lets_writers_wait(make_daemon: MakeDaemon, make_server: MakeServer) -> None:
    """`block`: a writer waits for its time and is refused then; one whose wait the destination ends is not refused at all."""
    patience = 3
    target = make_server(OTLPSink, otherwise=lambda request: Reply(503))
    held = {"held": otlp(target.url, backlog={"max": "1MiB", "when_full": "hold"})}
    daemon = make_daemon(held, spool={**SPOOL, "when_full": {"block": f"{patience}s"}}).start()
    begin = time.monotonic()
    taken = fill(daemon, "spool_full")
    assert time.monotonic() - begin > patience
    assert_told(daemon, "error", "is full", "when_full: block", at_most=1)
    eventually(lambda: daemon.counted("tracefwd_lines_rejected_total", source="unix", reason="spool_full") > 0)
    answers: list[dict[str, Any]] = []
    writer = threading.Thread(target=lambda: answers.append(send_all(daemon.socket, make_spans(1))))
    writer.start()
    target.otherwise = lambda request: Reply()
    writer.join(30)
    assert [answer["accepted"] for answer in answers] == [1]
    assert daemon.settled().outcomes("held") == {"delivered": len(taken) + 1}
    assert_told(daemon, "info", "has space again", at_most=1)


def test_dropping_the_oldest_is_counted_and_told(make_daemon: MakeDaemon) -> None:
    """`drop_oldest`: whoever is furthest behind gives way, though it would hold its backlog; no writer is refused."""
    daemon = make_daemon({"down": down(max="100%", when_full="hold")}, spool={**SPOOL, "when_full": "drop_oldest"}).start()
    sent = write(daemon, 40)
    status = assert_expired(daemon, "down", "drop_oldest")
    assert status.accepted == sent and status.spooled["down"] > 0
    assert daemon.counted("tracefwd_lines_rejected_total") == 0
    assert_size_is_kept(daemon)
    assert journal(daemon, "is full") == []


# ---------------------------------------------------------------------------------------------------- eleven dead, one alive


@pytest.fixture
def dead(make_server: MakeServer) -> Iterator[dict[str, str]]:
    """Endpoints of eleven destinations that are dead, each in its way."""

    def answers(reply: Reply) -> str:
        return make_server(Server, otherwise=lambda request: reply).url

    with socket.socket() as hole:
        hole.bind(("127.0.0.1", 0))
        hole.listen(64)
        yield {
            "refused1": f"http://127.0.0.1:{free_port()}",
            "refused2": f"http://127.0.0.1:{free_port()}",
            "hole1": f"http://127.0.0.1:{hole.getsockname()[1]}",
            "hole2": f"http://127.0.0.1:{hole.getsockname()[1]}",
            "silent": answers(Reply(action="hang")),
            "failing": answers(Reply(500)),
            "reset": answers(Reply(action="reset")),
            "storm": answers(Reply(429, {"Retry-After": "3600"})),
            "slow": answers(Reply(503, delay=3)),
            "locked": answers(Reply(401)),
            "plain": answers(Reply()).replace("http:", "https:"),
        }


def test_eleven_dead_destinations_cost_the_healthy_one_nothing(make_daemon: MakeDaemon, collector: OTLPSink, dead: dict[str, str]) -> None:
    """Four times what the spool holds: the healthy one gets all of it, no writer is refused; each dead one loses its own oldest spans, as
    many as do not fit, and is told of. A request of a dead one that has no answer, for 30 s yet, does not keep its spans there."""
    share = {"max": "4MiB", "when_full": "expire"}
    destinations = {name: otlp(url, backlog=share, timeout="30s") for name, url in dead.items()}
    healthy = otlp(collector.url, backlog={"max": "100%", "when_full": "expire"})
    daemon = make_daemon({**destinations, "healthy": healthy}, spool=SPOOL).start()
    sent = write(daemon, 64)
    collector.wait_for(sent, 60)
    eventually(lambda: daemon.status().spooled["healthy"] == 0)
    assert daemon.status().outcomes("healthy") == {"delivered": sent}
    assert daemon.counted("tracefwd_lines_rejected_total") == 0
    assert_size_is_kept(daemon)
    for name in dead:
        assert set(assert_expired(daemon, name, "backlog").outcomes(name)) == {"expired"}
        assert daemon.counted("tracefwd_destination_backlog_bytes", destination=name) < SIZE
