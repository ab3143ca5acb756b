"""What the journal says at the default level: fields, levels, and the one-liners of Docs/operations.md."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import HERE
from machine import CHECKOUT, Machine, eventually

PORT = 14318


class Platform:
    """An HTTP server in the container's network that answers as it is told, and keeps the authorization headers."""

    def __init__(self, machine: Machine, folder: Path) -> None:
        self._status, self._seen = folder / "status", folder / "seen"
        self.answer(200)
        words = [sys.executable, str(HERE / "platform_stub.py"), str(PORT), str(self._status), str(self._seen)]
        self.process = machine.start_beside(*words, stdin=subprocess.DEVNULL)

    def answer(self, status: int, seconds: float = 0) -> None:
        """From the next request on, after a while."""
        new = self._status.with_suffix(".new")
        new.write_text(f"{status} {seconds}")
        new.rename(self._status)

    @property
    def seen(self) -> list[str]:
        """A header for each request."""
        return self._seen.read_text().splitlines() if self._seen.exists() else []

    def stop(self) -> None:
        """Ends the server."""
        self.process.kill()
        self.process.wait()


@pytest.fixture(scope="module")
def platform(machine: Machine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    """A destination `collector` that sends there, and the server."""
    server = Platform(machine, tmp_path_factory.mktemp("platform"))
    machine.write("/etc/tracefwd/credentials/collector", "secret-of-the-collector\n", 0o600)
    machine.drop_in("secrets", "[Service]\nLoadCredential=collector:/etc/tracefwd/credentials/collector\n")
    # A name, so that the sandbox must let the daemon resolve one.
    machine.write("/etc/hosts", "127.0.0.1 platform.test\n")
    destination = {
        "type": "otlp",
        "endpoint": f"http://platform.test:{PORT}",
        "headers": {"authorization": {"credential": "collector"}},
        "backoff": {"base": "100ms", "max": "1s"},
        "breaker": {"failures": 2},
    }
    machine.write("/etc/tracefwd/conf.d/collector.yaml", json.dumps({"destinations": {"collector": destination}}))
    machine.call("systemctl", "restart", "tracefwd")
    try:
        yield server
    finally:
        server.stop()


def events(machine: Machine, *matches: str) -> set[str]:
    """The events in the journal."""
    return {entry.get("TRACEFWD_EVENT", "") for entry in machine.journal(*matches)}


def test_a_delivery_can_be_followed(machine: Machine, platform: Platform) -> None:
    """From its first success over an outage to its recovery: with `TRACEFWD_DESTINATION=` alone, at the default level."""
    mine = "TRACEFWD_DESTINATION=collector"
    machine.send({"name": "good"})
    eventually(lambda: {"first_delivery", "summary"} <= events(machine, mine), what="the first delivery and its summary are told")
    platform.answer(503)
    machine.send({"name": "waits"})
    eventually(lambda: {"retry", "breaker_open"} <= events(machine, mine), what="the outage is told")
    platform.answer(200)
    eventually(lambda: "breaker_closed" in events(machine, mine), 60, "the recovery is told")
    machine.settled()

    retry = machine.journal(mine, "TRACEFWD_EVENT=retry")[0]
    assert {key: retry[key] for key in ("TRACEFWD_SPANS", "TRACEFWD_STATUS", "TRACEFWD_ATTEMPT", "PRIORITY", "SYSLOG_IDENTIFIER")} == {
        "TRACEFWD_SPANS": "1",
        "TRACEFWD_STATUS": "503",
        "TRACEFWD_ATTEMPT": "2",
        "PRIORITY": "4",
        "SYSLOG_IDENTIFIER": "tracefwd",
    }
    assert retry["_SYSTEMD_UNIT"] == "tracefwd.service" and retry["_TRANSPORT"] == "journal", "not by journald's own protocol"
    assert "collector answered 503 to 1 span" in retry["MESSAGE"]
    assert "503" in machine.journal(mine, "TRACEFWD_EVENT=breaker_open")[0]["TRACEFWD_REASON"]


def test_what_a_person_must_act_on_is_an_error(machine: Machine, platform: Platform) -> None:
    """A key that is refused; and nothing else that happened so far."""
    platform.answer(401)
    machine.send({"name": "unauthorized"})
    eventually(lambda: "paused" in events(machine, "-p", "err"), what="the refused key is told")
    platform.answer(200)
    machine.call("tracefwd", "resume", "collector")
    machine.settled()
    assert events(machine, "-p", "err") == {"paused"}
    assert "secret-of-the-collector" not in json.dumps(machine.journal())


def test_the_status_line_is_in_words(machine: Machine, platform: Platform) -> None:
    """What `systemctl status` shows."""
    eventually(lambda: machine.show("StatusText") == "0 spans spooled", what="nothing waits")
    platform.answer(503)
    machine.send({"name": "waits"})
    text = eventually(lambda: (text := machine.show("StatusText")) != "0 spans spooled" and text, what="it says what waits")
    platform.answer(200)
    assert re.match(r"1 spans? spooled; collector: \w+ \(.*503.*\)", text), text
    machine.settled()


def one_liners() -> list[str]:
    """The `journalctl` commands of Docs/operations.md."""
    page = (CHECKOUT / "Docs/operations.md").read_text()
    return re.findall(r"^\$ (?:sudo )?(journalctl .*)$", page, re.MULTILINE)


def test_the_documented_one_liners_work(machine: Machine, platform: Platform) -> None:
    """Each prints something about the destination that it names here; none is only for the page."""
    machine.send({"name": "one more"})
    machine.run("tracefwd", "send", given='{"trace_id": "bad"}\n')
    machine.settled()
    eventually(lambda: "rejected" in events(machine), what="the rejected line is told")
    found = one_liners()
    assert len(found) >= 5
    for text in found:
        # `-f` would never end; the page's destination is called langfuse.
        command = re.sub(r" -f\b", "", text).replace("-fu ", "-u ").replace("langfuse", "collector")
        output = machine.call("sh", "-c", f"{command} --no-pager" if "|" not in command else command)
        assert output.strip() and "No entries" not in output, f"{text} prints nothing"


def test_a_storm_is_summarised(machine: Machine) -> None:
    """Hundreds of rejected lines a second are a few lines of journal, and their count is right."""
    machine.run("tracefwd", "send", given='{"trace_id": "bad"}\n' * 5000)
    machine.run("tracefwd", "send", given='{"trace_id": "bad"}\n' * 5000)

    def counted() -> int:
        # Nothing more comes.
        return sum(int(entry["TRACEFWD_SPANS"]) for entry in machine.journal("TRACEFWD_EVENT=rejected"))

    # One more is the line that the test before this had rejected.
    eventually(lambda: counted() == 10_001, 40, "all are counted", every=1)
    assert len(machine.journal("TRACEFWD_EVENT=rejected")) < 10
