"""An idle daemon sleeps: what it wakes up for is counted, thread by thread (`voluntary_ctxt_switches`)."""

from __future__ import annotations

import os
import re
import signal
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from client import send_all
from conftest import MakeDaemon
from daemon import QUICK, Daemon, eventually
from sink import OTLPSink
from spans import lines, make_spans

Start = Callable[..., Daemon]
WINDOW_SECONDS = 20
PARTS = ("spool", "checkpoint", "delivery", "source-unix", "source-udp")


@pytest.fixture
def notices(folder: Path) -> Iterator[socket.socket]:
    """Where a service manager would listen."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(str(folder / "notify"))
        listener.setblocking(False)
        yield listener


@pytest.fixture
def used(make_daemon: MakeDaemon, collector: OTLPSink, notices: socket.socket) -> Callable[..., Daemon]:
    """Starts a daemon under a service manager, and uses all that it has: what has run once must not go on waking it."""

    def start(**environment: str) -> Daemon:
        daemon = make_daemon({"collector": {"type": "otlp", "endpoint": collector.url, **QUICK}})
        daemon.start({"NOTIFY_SOCKET": notices.getsockname(), **environment})
        send_all(daemon.socket, make_spans(50))
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            sender.sendto(lines(make_spans(1)), daemon.udp)
        collector.wait_for(51)
        assert daemon.get("/healthz")[0] == daemon.get("/metrics")[0] == 200
        os.kill(daemon.pid, signal.SIGHUP)
        eventually(lambda: "event=reload_applied" in daemon.log, what="the reload is told")
        eventually(lambda: "event=summary" in daemon.log, what="the summary is told")
        time.sleep(11)  # the line of `systemctl status`, which is told once in ten seconds
        return daemon

    return start


def test_nothing_wakes_an_idle_daemon(used: Start) -> None:
    """With no watchdog to feed there is nothing to wake up for. Within a minute of the last use, once each: a summary is told, and the line of
    `systemctl status`; the watchdog sees whether a part hangs, and the spool whether a dead letter is too old."""
    woken = wakes_within(used(), WINDOW_SECONDS)
    assert woken.keys() <= {"watchdog", "status", *PARTS}, woken
    # The watchdog's look wakes itself, each part, and itself again; half as much may be for a lock that another one held.
    assert sum(woken.values()) <= 1.5 * (2 + len(PARTS)) + 4, woken


def test_only_the_watchdog_wakes_a_daemon_that_is_watched(used: Start, notices: socket.socket) -> None:
    """It looks four times in WatchdogSec=, asks each part, is answered, and feeds; whoever is not asked sleeps."""
    daemon = used(WATCHDOG_USEC="8000000")
    heard(notices)
    woken = wakes_within(daemon, WINDOW_SECONDS)
    looks = WINDOW_SECONDS / 2
    # Half as many, and twice as many: a loaded machine is late, and a part may meet a lock that another one holds.
    assert heard(notices).count(b"WATCHDOG=1") >= looks / 2
    assert all(looks / 2 <= woken.get(name, 0) <= looks * 2 for name in ("watchdog", *PARTS)), woken
    assert woken.keys() <= {"watchdog", "status", *PARTS}, woken


def wakes_within(daemon: Daemon, seconds: float) -> dict[str, int]:
    """How often each thread was woken, by its name; those that slept are left out."""
    before = wakes(daemon)
    time.sleep(seconds)
    return {name: count - before.get(name, 0) for name, count in wakes(daemon).items() if count != before.get(name, 0)}


def wakes(daemon: Daemon) -> dict[str, int]:
    """How often each thread has gone to sleep so far, by its name; those with the same name together."""
    found: dict[str, int] = {}
    for task in Path(f"/proc/{daemon.pid}/task").iterdir():
        count = re.search(r"^voluntary_ctxt_switches:\s+(\d+)$", (task / "status").read_text(), re.MULTILINE)
        assert count
        name = (task / "comm").read_text().strip()
        found[name] = found.get(name, 0) + int(count[1])
    return found


def heard(notices: socket.socket) -> list[bytes]:
    """The lines that the service manager was told since the last look."""
    found: list[bytes] = []
    while True:
        try:
            found += notices.recv(4096).split(b"\n")
        except BlockingIOError:
            return found
