"""Restart, reload, kill, upgrade, all under a constant load: no acknowledged span is lost, no connection is refused."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest
from conftest import load
from machine import Machine, eventually


@pytest.fixture(autouse=True)
def moments(machine: Machine) -> None:
    """Each test begins with a daemon that runs."""
    eventually(lambda: machine.show("ActiveState") == "active", what="the daemon runs")


def wait(seconds: float = 1.5) -> None:
    """Time for the load to meet what was done."""
    time.sleep(seconds)


def back_again(machine: Machine, restarts: int) -> None:
    """systemd has restarted the daemon so often, and it serves."""
    eventually(lambda: int(machine.show("NRestarts")) == restarts and machine.show("ActiveState") == "active", what="it is back")


def test_restart(machine: Machine) -> None:
    """Datagrams wait in the socket too: systemd holds it."""
    before = machine.show("MainPID")
    with load(machine) as running:
        wait()
        for _ in range(3):
            machine.call("systemctl", "restart", "tracefwd")
            wait()
    assert machine.show("MainPID") != before
    running.check(machine, datagrams=True)
    assert running.account["reconnects"] > 0, "no client noticed: the load was not there"


def test_reload(machine: Machine) -> None:
    """A reload disturbs nobody: no connection ends. SIGHUP does the same."""
    before = machine.show("MainPID")
    with load(machine) as running:
        wait()
        for level in ("debug", "info"):
            machine.write("/etc/tracefwd/conf.d/level.yaml", f"journal: {{ level: {level} }}\n")
            machine.call("systemctl", "reload", "tracefwd")
            wait(0.5)
        machine.call("systemctl", "kill", "--kill-whom=main", "--signal=HUP", "tracefwd")
        wait()
    assert machine.show("MainPID") == before
    running.check(machine, datagrams=True)
    assert running.account["reconnects"] == 0


def test_kill(machine: Machine) -> None:
    """kill -9: what was acknowledged is in the file, what was not is sent again by its client."""
    restarts = int(machine.show("NRestarts"))
    with load(machine) as running:
        wait()
        for _ in range(3):
            os.kill(machine.daemon, signal.SIGKILL)
            restarts += 1
            back_again(machine, restarts)
            wait()
    running.check(machine, datagrams=False)


def test_upgrade(machine: Machine, later: Path, package: Path) -> None:
    """`dpkg -i` of a higher version, and of the lower one again, with an edited configuration that stays."""
    edited = machine.path("/etc/tracefwd/tracefwd.yaml").read_text() + "# edited\n"
    machine.path("/etc/tracefwd/tracefwd.yaml").write_text(edited)
    before = machine.show("MainPID")
    with load(machine) as running:
        wait()
        machine.install(later)
        wait()
        assert machine.call("dpkg-query", "-W", "-f", "${Version}", "tracefwd").endswith("+later1")
        upgraded = machine.show("MainPID")
        machine.install(package)
        wait()
    assert before != upgraded != machine.show("MainPID"), "the daemon was not restarted"
    running.check(machine, datagrams=True)
    assert machine.path("/etc/tracefwd/tracefwd.yaml").read_text() == edited


def test_an_upgrade_does_not_start_what_is_disabled(machine: Machine, later: Path, package: Path) -> None:
    """A person who did that had a reason."""
    units = ["tracefwd.socket", "tracefwd-udp.socket", "tracefwd-http.socket", "tracefwd.service"]
    machine.call("systemctl", "disable", "--now", *units)
    machine.install(later)
    machine.install(package)
    assert [machine.show("ActiveState", unit) for unit in units] == ["inactive"] * 4
    assert [machine.run("systemctl", "is-enabled", unit).stdout.strip() for unit in units] == ["disabled"] * 4
    machine.call("systemctl", "enable", "--now", "tracefwd.service")
    assert [machine.show("ActiveState", unit) for unit in units] == ["active"] * 4


def test_a_connection_starts_a_daemon_that_was_stopped(machine: Machine) -> None:
    """The sockets stay when the service alone is stopped; who connects waits for the start, and is served."""
    machine.call("systemctl", "stop", "tracefwd.service")
    machine.send({"name": "knocks"})
    assert machine.show("ActiveState") == "active"


def test_a_backup_is_put_back(machine: Machine) -> None:
    """As Docs/operations.md says, by root: the daemon, which is another user, goes on with it."""
    machine.send({"name": "in the backup"})
    machine.settled()
    machine.call("rm", "-f", "/root/backup.db")
    machine.call("tracefwd", "spool", "backup", "/root/backup.db", "--verify")
    accepted = machine.accepted()
    machine.send({"name": "after it"})
    machine.call("systemctl", "stop", "tracefwd.service", "tracefwd.socket", "tracefwd-udp.socket", "tracefwd-http.socket")
    machine.call("tracefwd", "spool", "restore", "/root/backup.db")
    machine.call("systemctl", "start", "tracefwd")
    assert machine.accepted() == accepted
    machine.send({"name": "goes on"})
    assert machine.accepted() == accepted + 1
