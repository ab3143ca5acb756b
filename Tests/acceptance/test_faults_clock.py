"""The wall clock jumps by a day, ahead and back, for the daemon alone (shifted_clock.c): nothing expires by a clock that is not trusted."""

from __future__ import annotations

import shutil
import struct
import subprocess
import time
from pathlib import Path

import pytest

from conftest import MakeDaemon, MakeServer
from daemon import QUICK, eventually
from faults import assert_no_flood, assert_others_are_served, assert_sound, assert_told
from sink import OTLPSink, Reply
from spans import ids

DAY = 86_400


class ShiftedClock:
    """The daemon's wall clock, as far as it is off."""

    def __init__(self, folder: Path) -> None:
        compiler = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
        if not compiler:
            pytest.skip("needs a C compiler, to play a clock for one process")
        self._file = folder / "shift"
        self._library = folder / "shifted_clock.so"
        source = Path(__file__).with_name("shifted_clock.c")
        subprocess.run([compiler, "-shared", "-fPIC", "-O1", "-Wall", "-Werror", "-o", self._library, source, "-ldl"], check=True)
        self._file.write_bytes(struct.pack("q", 0))

    @property
    def environment(self) -> dict[str, str]:
        """What makes a process see it."""
        return {"LD_PRELOAD": str(self._library), "SHIFTED_CLOCK": str(self._file)}

    def set(self, seconds: int) -> None:
        """Jumps to this much ahead of the true time."""
        with open(self._file, "r+b") as file:
            file.write(struct.pack("q", seconds))


def test_a_clock_that_jumps_by_a_day_and_back(make_daemon: MakeDaemon, make_server: MakeServer, folder: Path) -> None:
    """With `max_age` and `history` of an hour: what waits is older than that by the wrong clock, and is delivered all the same."""
    clock = ShiftedClock(folder)
    healthy, target = make_server(OTLPSink), make_server(OTLPSink, otherwise=lambda request: Reply(503))
    destinations = {
        "bad": {"type": "otlp", "endpoint": target.url, **QUICK, "max_age": "1h"},
        "good": {"type": "otlp", "endpoint": healthy.url, **QUICK, "max_age": "1h"},
    }
    daemon = make_daemon(destinations, spool={"history": "1h"}).start(environment=clock.environment)
    spans = assert_others_are_served(daemon, healthy)
    ahead, back = "jumped ahead by 24 h", "jumped back by 24 h"
    for shift, told in ((DAY, ahead), (0, back), (-DAY, back), (0, ahead)):
        clock.set(shift)
        spans += assert_others_are_served(daemon, healthy)
        eventually(lambda told=told: told in daemon.log, 10)
        time.sleep(1.5)  # ageing is looked after once a second
        assert daemon.status().outcomes("bad") == {}
    assert_told(daemon, "warning", "the wall clock jumped", "nothing expires by age", at_most=4)
    assert "the wall clock is not trusted" in daemon.call("status")
    assert daemon.counted("tracefwd_clock_trusted") == 0
    daemon.call("trust-clock")
    eventually(lambda: "the wall clock is not trusted" not in daemon.call("status"))
    assert daemon.counted("tracefwd_clock_trusted") == 1
    target.otherwise = lambda request: Reply()
    target.wait(lambda: set(ids(spans)) <= set(target.span_ids))
    status = assert_sound(daemon, len(spans))
    assert status.outcomes("bad") == status.outcomes("good") == {"delivered": len(spans)}
    assert_no_flood(daemon, 40)
    daemon.stop()
