"""A journal that is stuck costs lines, which are counted, never spans."""

from __future__ import annotations

import os
from pathlib import Path

from conftest import MakeDaemon, MakeServer
from daemon import QUICK, eventually
from faults import assert_others_are_served, assert_sound
from sink import OTLPSink


def test_a_journal_that_nobody_reads(make_daemon: MakeDaemon, make_server: MakeServer, folder: Path) -> None:
    """Standard error is a pipe that is full, and each batch writes a line: spans are taken and delivered as ever; when somebody reads again
    lines come again, and one of them says how many were lost."""
    healthy = make_server(OTLPSink)
    pipe = folder / "journal"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDWR | os.O_NONBLOCK)
    destinations = {"good": {"type": "otlp", "endpoint": healthy.url, **QUICK, "linger": "0s", "max_spans": 1}}
    daemon = make_daemon(destinations, journal={"level": "debug"})
    daemon.start(command=["sh", "-c", 'exec "$@" 2>"$0"', str(pipe)])
    spans = []
    for _ in range(40):
        spans += assert_others_are_served(daemon, healthy, 100)
        if daemon.counted("tracefwd_journal_lines_lost_total") > 0:
            break
    assert daemon.counted("tracefwd_journal_lines_lost_total") > 0, "the pipe was never full"
    assert daemon.get("/readyz")[0] == 200
    read = bytearray()

    def reads_on(words: bytes) -> bool:
        try:
            read.extend(os.read(reader, 1 << 20))
        except BlockingIOError:
            pass
        return words in read

    eventually(lambda: reads_on(b"lost: the journal did not take them"))
    assert_sound(daemon, len(spans))
    daemon.stop()
    os.close(reader)
