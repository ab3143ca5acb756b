"""Secrets that the daemon alone can read, and a broken configuration that changes nothing."""

from __future__ import annotations

import json

from machine import Machine, eventually
from test_journal import Platform, platform  # noqa: F401  (a fixture)

FOLDER = "/run/credentials/tracefwd.service"


def test_a_credential_reaches_the_platform_and_nobody_else(machine: Machine, platform: Platform) -> None:  # noqa: F811
    """LoadCredential=: the file is root's, its copy the daemon's; a sender, an administrator and a stranger read neither."""
    machine.send({"name": "with a key"})
    eventually(lambda: platform.seen, what="a request arrives")
    assert set(platform.seen) == {"secret-of-the-collector"}
    for name, groups in (("app", "tracefwd"), ("person", "tracefwd-admin")):
        machine.call("useradd", "--no-create-home", "--groups", groups, name)
    for path in (f"{FOLDER}/collector", "/etc/tracefwd/credentials/collector"):
        for user in ("app", "person", "nobody"):
            assert machine.run("runuser", "-u", user, "--", "cat", path).returncode != 0, f"{user} reads {path}"
    # As the daemon: its user, in its mounts.
    assert machine.call("runuser", "-u", "tracefwd", "--", "cat", f"{FOLDER}/collector") == "secret-of-the-collector\n"
    shown = machine.call("tracefwd", "status", "--json") + machine.call("journalctl", "--no-pager", "-o", "json", "-u", "tracefwd")
    assert "secret-of-the-collector" not in shown


def test_an_encrypted_credential(machine: Machine, platform: Platform) -> None:  # noqa: F811
    """LoadCredentialEncrypted=: on the disk it is no secret any more."""
    file = "/etc/tracefwd/credentials/c.cred"
    machine.call("systemd-creds", "encrypt", "--with-key=host", "--name=collector", "-", file, given="encrypted-secret\n")
    assert "encrypted-secret" not in machine.path(file).read_text()
    machine.drop_in("secrets", f"[Service]\nLoadCredentialEncrypted=collector:{file}\n")
    machine.call("systemctl", "restart", "tracefwd")
    machine.send({"name": "with another key"})
    eventually(lambda: "encrypted-secret" in platform.seen, what="the decrypted key arrives")


def test_a_variable_from_the_environment_file(machine: Machine, platform: Platform) -> None:  # noqa: F811
    """/etc/tracefwd/environment, which only root reads."""
    machine.write("/etc/tracefwd/environment", "COLLECTOR=from-the-environment\n", 0o600)
    text = machine.path("/etc/tracefwd/conf.d/collector.yaml").read_text()
    page = json.loads(text)
    page["destinations"]["collector"]["headers"]["authorization"] = "${COLLECTOR}"
    machine.write("/etc/tracefwd/conf.d/collector.yaml", json.dumps(page))
    machine.call("systemctl", "restart", "tracefwd")
    machine.send({"name": "with a third key"})
    eventually(lambda: "from-the-environment" in platform.seen, what="the variable arrives")


def test_a_broken_configuration_is_refused(machine: Machine, platform: Platform) -> None:  # noqa: F811
    """By `systemctl reload` and by `tracefwd reload`, with exit 1 and every mistake; what was in force stays in force."""
    pid = machine.show("MainPID")
    machine.write("/etc/tracefwd/conf.d/broken.yaml", "destinations: { other: { type: file, pth: /x } }\njournal: { level: loud }\n")
    reload = machine.run("systemctl", "reload", "tracefwd")
    assert reload.returncode == 1
    asked = machine.run("tracefwd", "reload")
    assert asked.returncode == 1 and "pth" in asked.stderr and "loud" in asked.stderr, asked.stderr
    assert (machine.show("MainPID"), machine.show("ActiveState"), machine.show("SubState")) == (pid, "active", "running")
    assert len(machine.journal("TRACEFWD_EVENT=configuration_mistake", "-p", "err")) >= 2
    before = len(platform.seen)
    machine.send({"name": "as before"})
    eventually(lambda: len(platform.seen) > before, what="the old configuration delivers")
    machine.path("/etc/tracefwd/conf.d/broken.yaml").unlink()
    machine.call("systemctl", "reload", "tracefwd")


def test_a_stop_may_take_what_stop_drain_says(machine: Machine, platform: Platform) -> None:  # noqa: F811
    """Longer than the unit's TimeoutStopSec=: the daemon asks systemd for the time, and what is under way ends."""
    machine.drop_in("stop", "[Service]\nTimeoutStopSec=2s\n")
    machine.write("/etc/tracefwd/conf.d/stop.yaml", "stop: { drain: 30s }\n")
    machine.call("systemctl", "restart", "tracefwd")
    platform.answer(200, seconds=7)
    before = len(platform.seen)
    machine.send({"name": "takes its time"})
    eventually(lambda: len(platform.seen) > before, what="the request is under way")
    machine.call("systemctl", "stop", "tracefwd.service")
    assert machine.show("Result") == "success", "systemd killed it"
    platform.answer(200)
    machine.call("systemctl", "start", "tracefwd.service")
    machine.settled()
    assert len(platform.seen) == before + 1, "the request had ended, and its span was sent again"


def test_a_broken_configuration_at_a_start_refuses_nobody(machine: Machine) -> None:
    """The daemon does not come up, says why at each attempt, and the sockets hold who connects until it is mended."""
    machine.write("/etc/tracefwd/conf.d/broken.yaml", "journal: { level: loud }\n")
    machine.run("systemctl", "restart", "--no-block", "tracefwd")
    # Past the five starts that systemd allows by default.
    eventually(lambda: int(machine.show("NRestarts")) > 6, 60, "it is started again and again")
    assert machine.show("ActiveState", "tracefwd.socket") == "active"
    mistakes = machine.journal("TRACEFWD_EVENT=configuration_mistake", "-p", "err", "-n", "1")
    failed = machine.journal("TRACEFWD_EVENT=start_failed", "-p", "err", "-n", "1")
    assert "loud" in mistakes[0]["MESSAGE"] and mistakes[0]["TRACEFWD_PLACE"].startswith("/etc/tracefwd/conf.d/broken.yaml:1:")
    assert "1 mistake in /etc/tracefwd/tracefwd.yaml" in failed[0]["MESSAGE"]
    assert {mistakes[0]["_TRANSPORT"], failed[0]["_TRANSPORT"]} == {"journal"}, "not by journald's own protocol"
    machine.path("/etc/tracefwd/conf.d/broken.yaml").unlink()
    machine.send({"name": "waited for it"})
    assert machine.show("ActiveState") == "active"


def test_too_few_files_are_told(machine: Machine) -> None:
    """LimitNOFILE= under what the daemon needs for itself: a sentence that names it, not a crash."""
    machine.drop_in("files", "[Service]\nLimitNOFILE=40\n")
    machine.run("systemctl", "restart", "--no-block", "tracefwd")

    def told() -> list[str]:
        return [each["MESSAGE"] for each in machine.journal("TRACEFWD_EVENT=start_failed", "-p", "err") if "LimitNOFILE=" in each["MESSAGE"]]

    eventually(told, what="it is told")
    ended = machine.call("journalctl", "--no-pager", "-u", "tracefwd", "-n", "200", "_PID=1")
    assert "status=1/FAILURE" in ended and "core-dump" not in ended
    machine.path("/etc/systemd/system/tracefwd.service.d/files.conf").unlink()
    machine.call("systemctl", "daemon-reload")
    machine.send({"name": "waited for it too"})
