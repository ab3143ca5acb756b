"""tracefwd doctor: each bad situation is a real one, and the finding names it and what to do."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from certificates import Authority, server_context
from client import send_all
from conftest import MakeDaemon, MakeServer
from daemon import BINARY, QUICK, Daemon, eventually, free_port
from sink import OTLPSink, Reply
from spans import make_spans

Findings = dict[str, list[dict[str, Any]]]

# What this machine has of its own, whatever the test does: its clock, its disk's speed, the kernel's buffers.
MACHINE = {"clock", "disk speed", "kernel buffers", "limits", "systemd unit"}


def examine(daemon: Daemon, environment: dict[str, str] | None = None, status: int | None = None) -> Findings:
    """`doctor --json`, by check. The exit status is 1 exactly where something is wrong."""
    clean = {key: value for key, value in os.environ.items() if not key.lower().endswith("_proxy")}
    words = [str(BINARY), "doctor", "--json", "--config", str(daemon.config_file)]
    result = subprocess.run(words, capture_output=True, text=True, timeout=60, env={**clean, **(environment or {})})
    assert result.stderr == ""
    page = json.loads(result.stdout)
    wrong = [finding for finding in page["findings"] if finding["outcome"] == "wrong"]
    assert result.returncode == (1 if wrong else 0)
    assert page["wrong"] == len(wrong)
    assert all(finding.get("remedy") for finding in page["findings"] if finding["outcome"] in ("wrong", "warning"))
    if status is not None:
        assert result.returncode == status, wrong
    findings: Findings = {}
    for finding in page["findings"]:
        findings.setdefault(finding["check"], []).append(finding)
    return findings


def said(findings: Findings, check: str, outcome: str) -> str:
    """All that a check found of one outcome."""
    return "\n".join(one["text"] + " -> " + one.get("remedy", "") for one in findings.get(check, []) if one["outcome"] == outcome)


def forwarding(make_daemon: MakeDaemon, url: str, **keys: Any) -> Daemon:
    """A daemon with one OTLP destination, `sink`."""
    daemon = make_daemon({"sink": {"type": "otlp", "endpoint": url, **QUICK, **keys}}, spool={"max_size": "64MiB", "reserve": "1MiB"})
    daemon.config_file.chmod(0o600)
    return daemon


# ---------------------------------------------------------------------------------------------------- all is well


def test_a_daemon_that_is_well_has_nothing_wrong(make_daemon: MakeDaemon, collector: OTLPSink) -> None:
    """Status 0, running and stopped; and no request has gone to the destination."""
    daemon = forwarding(make_daemon, collector.url).start()
    findings = examine(daemon, status=0)
    assert f"pid {daemon.pid}" in said(findings, "daemon", "ok")
    assert f"pid {daemon.pid} (tracefwd) holds it" in said(findings, "spool lock", "ok")
    assert "connected (127.0.0.1)" in said(findings, "destination sink", "ok")
    assert "no damage" in said(findings, "spool", "ok")
    assert "an fsync takes" in said(findings, "disk speed", "ok") + said(findings, "disk speed", "warning")
    odd = {check: found for check, found in findings.items() if check not in MACHINE and any(one["outcome"] != "ok" for one in found)}
    assert not odd
    assert collector.requests == []
    daemon.stop()
    findings = examine(daemon, status=0)
    assert "it does not run" in said(findings, "daemon", "warning")
    assert "the daemon is stopped" in said(findings, "spool lock", "ok")


def test_before_the_first_start_there_is_nothing_wrong_either(make_daemon: MakeDaemon, collector: OTLPSink) -> None:
    """The spool is not there yet."""
    assert "the daemon makes it" in said(examine(forwarding(make_daemon, collector.url), status=0), "spool", "ok")


def test_the_text_has_a_line_for_each_finding_and_a_sum(make_daemon: MakeDaemon) -> None:
    """What is wrong stands out, with its remedy below it."""
    daemon = forwarding(make_daemon, f"http://127.0.0.1:{free_port()}")
    result = daemon.run("doctor")
    assert result.returncode == 1
    rows = result.stdout.splitlines()
    assert any(row.startswith("WRONG    destination sink") for row in rows)
    assert any("-> is it running" in row for row in rows)
    assert rows[-1].startswith("1 wrong")


# ---------------------------------------------------------------------------------------------------- configuration


def test_mistakes_of_the_configuration_are_told(make_daemon: MakeDaemon, collector: OTLPSink) -> None:
    """With their places; what does not depend on them is looked at all the same."""
    daemon = forwarding(make_daemon, collector.url, compresion="gzip")
    findings = examine(daemon, status=1)
    assert "compression" in said(findings, "configuration", "wrong")
    assert "free" in said(findings, "disk", "ok")


def test_a_configuration_that_is_not_there_is_told(make_daemon: MakeDaemon, collector: OTLPSink) -> None:
    """With the system's words."""
    daemon = forwarding(make_daemon, collector.url)
    daemon.config_file.unlink()
    assert "No such file" in said(examine(daemon, status=1), "configuration", "wrong")


@pytest.mark.skipif(os.geteuid() != 0, reason="needs another user")
def test_a_configuration_that_may_not_be_read_is_told(make_daemon: MakeDaemon, collector: OTLPSink) -> None:
    """To a user who is neither its owner nor root; nothing crashes for lack of rights."""
    daemon = forwarding(make_daemon, collector.url).start()
    daemon.folder.parent.chmod(0o755)
    binary = daemon.folder / "tracefwd"
    shutil.copy(BINARY, binary)
    words = [str(binary), "doctor", "--json", "--config", str(daemon.config_file)]
    result = subprocess.run(words, capture_output=True, text=True, timeout=60, user="nobody", group="nogroup", extra_groups=[])
    page = json.loads(result.stdout)
    assert result.returncode == 1
    assert "Permission denied" in page["findings"][0]["text"]
    daemon.config_file.chmod(0o644)
    result = subprocess.run(words, capture_output=True, text=True, timeout=60, user="nobody", group="nogroup", extra_groups=[])
    unknown = {one["check"] for one in json.loads(result.stdout)["findings"] if one["outcome"] == "unknown"}
    assert {"spool", "disk speed"} <= unknown


def test_secrets_that_everybody_may_read_are_told(make_daemon: MakeDaemon, collector: OTLPSink, folder: Path) -> None:
    """Those written in the file; not variables, nor harmless headers. A secret's own file is looked at too. None is shown."""
    daemon = forwarding(make_daemon, collector.url, headers={"authorization": "Bearer sesame-open", "x-env": "prod"})
    assert said(examine(daemon, status=0), "secrets", "wrong") == ""
    daemon.config_file.chmod(0o644)
    words = said(examine(daemon, status=1), "secrets", "wrong")
    assert "destinations.sink.headers.authorization" in words and "x-env" not in words and "chmod o-r" in words
    assert "sesame" not in words
    daemon.config["destinations"]["sink"]["headers"]["authorization"] = "Bearer ${TEST_DOCTOR_KEY}"
    daemon.write_config()
    assert said(examine(daemon, {"TEST_DOCTOR_KEY": "sesame-open"}, status=0), "secrets", "wrong") == ""
    key = folder / "key"
    key.write_text("sesame-open")
    key.chmod(0o644)
    daemon.config["destinations"]["sink"]["headers"]["authorization"] = {"file": str(key)}
    daemon.write_config()
    assert f"{key} (0644) holds a secret" in said(examine(daemon, status=1), "secrets", "wrong")
    key.chmod(0o600)
    examine(daemon, status=0)
    daemon.config_file.chmod(0o666)
    assert "may be changed by everybody" in said(examine(daemon, status=1), "secrets", "wrong")


def test_what_only_the_daemon_has_is_no_mistake(make_daemon: MakeDaemon, collector: OTLPSink) -> None:
    """Variables and credentials of the service; taken from the daemon where it runs."""
    daemon = forwarding(make_daemon, collector.url, headers={"authorization": "Bearer ${TEST_DOCTOR_KEY}"})
    findings = examine(daemon, status=0)
    assert "${TEST_DOCTOR_KEY}" in said(findings, "configuration", "unknown")
    assert "connected" in said(findings, "destination sink", "ok")
    daemon.config["destinations"]["sink"]["headers"]["x-api-key"] = {"credential": "collector"}
    daemon.write_config()
    assert "credential collector" in said(examine(daemon, status=0), "configuration", "unknown")
    del daemon.config["destinations"]["sink"]["headers"]["x-api-key"]
    daemon.write_config()
    daemon.start(environment={"TEST_DOCTOR_KEY": "sesame"})
    findings = examine(daemon, status=0)
    assert said(findings, "configuration", "unknown") == ""
    daemon.config["destinations"]["sink"]["endpoint"] = "${TEST_DOCTOR_NOWHERE}"
    daemon.write_config()
    assert "TEST_DOCTOR_NOWHERE" in said(examine(daemon), "configuration", "unknown")


# ---------------------------------------------------------------------------------------------------- files and disk


def test_files_that_everybody_may_read_are_told(make_daemon: MakeDaemon, collector: OTLPSink) -> None:
    """The spool holds prompts; the control socket reads and changes everything."""
    daemon = forwarding(make_daemon, collector.url).start()
    daemon.spool.chmod(0o644)
    daemon.control.chmod(0o666)
    daemon.socket.chmod(0o600)
    findings = examine(daemon, status=1)
    assert "(0644) holds prompts" in said(findings, "spool files", "wrong")
    assert "(0666) is open to everybody" in said(findings, "sockets", "wrong")
    assert "the configuration wants 660" in said(findings, "sockets", "warning")
    daemon.folder.chmod(0o777)
    assert "may be written to by everybody" in said(examine(daemon), "spool files", "wrong")


def test_a_group_that_does_not_exist_is_told(make_daemon: MakeDaemon, collector: OTLPSink) -> None:
    """Before a start fails for it."""
    daemon = forwarding(make_daemon, collector.url)
    daemon.config["sources"]["unix"]["group"] = "no-such-group"
    daemon.write_config()
    assert 'no group "no-such-group"' in said(examine(daemon, status=1), "sockets", "wrong")


def on_tmpfs(folder: Path, options: str, script: str, *command: str) -> subprocess.CompletedProcess[str]:
    """Runs a script over a command with a tmpfs at `folder`, in a mount namespace of its own; skips where there can be none."""
    folder.mkdir(exist_ok=True)
    mounted = f"mount -t tmpfs -o mode=700,{options} tmpfs {folder} && {{ {script}; }}"
    words = ["unshare", "--mount", "--map-root-user", "sh", "-c", mounted, "sh", *command]
    if not shutil.which("unshare") or subprocess.run([*words[:5], mounted.split("{")[0] + "true"], capture_output=True).returncode != 0:
        pytest.skip("no tmpfs can be mounted here")
    return subprocess.run(words, capture_output=True, text=True, timeout=60)


@pytest.mark.parametrize(
    ("options", "script", "outcome", "words"),
    [
        ("size=8m", '"$@"', "wrong", "are free where the spool lies"),
        ("size=40m", '"$@"', "warning", "the disk is full before spool.max_size holds"),
        ("size=200m", '"$@"', "warning", "lies in memory (tmpfs)"),
        ("size=200m,nr_inodes=8", '"$@"', "wrong", "inodes are free"),
        ("size=200m", 'mount -o remount,ro {place}; "$@"', "wrong", "is mounted read-only"),
    ],
)
def test_what_is_wrong_with_the_disk_is_told(
    make_daemon: MakeDaemon, collector: OTLPSink, options: str, script: str, outcome: str, words: str
) -> None:
    """Small, in memory, without inodes, read-only."""
    daemon = forwarding(make_daemon, collector.url)
    place = daemon.folder / "disk"
    daemon.config["spool"]["path"] = str(place / "spool.db")
    daemon.write_config()
    command = [str(BINARY), "doctor", "--json", "--config", str(daemon.config_file)]
    result = on_tmpfs(place, options, script.replace("{place}", str(place)), *command)
    found = [one for one in json.loads(result.stdout)["findings"] if one["check"] == "disk" and one["outcome"] == outcome]
    assert any(words in one["text"] for one in found), result.stdout
    assert result.returncode == (1 if outcome == "wrong" else 0)


# ---------------------------------------------------------------------------------------------------- spool


def test_a_damaged_spool_is_told(make_daemon: MakeDaemon, collector: OTLPSink) -> None:
    """Pages of rubbish; a file that is no database; what was set aside before."""
    daemon = forwarding(make_daemon, collector.url).start()
    send_all(daemon.socket, make_spans(500))
    collector.wait_for(500)
    daemon.stop()
    with open(daemon.spool, "r+b") as file:
        file.seek(16384 * 3)
        file.write(b"\xa5" * (daemon.spool.stat().st_size - 16384 * 3))
    assert "spool restore" in said(examine(daemon, status=1), "spool", "wrong")
    daemon.spool.write_bytes(b"this is no database, and it is long enough to be read as a header of one, is it not?" * 20)
    assert "not a database" in said(examine(daemon, status=1), "spool", "wrong")
    daemon.spool.unlink()
    (daemon.folder / "spool.db.corrupt-20260101T000000Z").write_bytes(b"x" * 2048)
    assert "spool.db.corrupt-20260101T000000Z (2 KiB)" in said(examine(daemon, status=0), "spool", "warning")


def test_a_spool_of_the_future_means_a_wrong_clock(make_daemon: MakeDaemon, collector: OTLPSink) -> None:
    """The newest span was received tomorrow: the clock was set back."""
    daemon = forwarding(make_daemon, collector.url).start()
    send_all(daemon.socket, make_spans(1))
    collector.wait_for(1)
    daemon.stop()
    words = f"import sqlite3; d = sqlite3.connect({str(daemon.spool)!r}); d.execute('UPDATE segments SET min_at = min_at + 86400000000000'); d.commit()"
    subprocess.run(["python3", "-c", words], check=True)
    assert "the clock was set back" in said(examine(daemon, status=1), "clock", "wrong")


# ---------------------------------------------------------------------------------------------------- destinations


def test_a_name_without_an_address_is_told(make_daemon: MakeDaemon) -> None:
    """A name that is reserved for this (RFC 6761)."""
    daemon = forwarding(make_daemon, "https://collector.invalid")
    words = said(examine(daemon, status=1), "destination sink", "wrong")
    assert "collector.invalid: its name has no address" in words and "/etc/resolv.conf" in words


def test_a_port_that_refuses_is_told(make_daemon: MakeDaemon) -> None:
    """With the address."""
    port = free_port()
    words = said(examine(forwarding(make_daemon, f"http://127.0.0.1:{port}"), status=1), "destination sink", "wrong")
    assert f"127.0.0.1:{port}" in words and "no connection" in words


def test_a_host_that_is_silent_is_told_in_time(make_daemon: MakeDaemon) -> None:
    """It takes connect_timeout, however many there are: all are asked at once."""
    import socket

    with socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        # The backlog is taken, so further connections wait.
        waiting = [socket.socket() for _ in range(3)]
        for one in waiting:
            one.setblocking(False)
            one.connect_ex(full.getsockname())
        url = f"https://127.0.0.1:{full.getsockname()[1]}"
        one = {"type": "otlp", "endpoint": url, "connect_timeout": "1s"}
        daemon = make_daemon({f"silent-{number}": one for number in range(8)})
        findings = examine(daemon, status=1)
        for socket_ in waiting:
            socket_.close()
    assert all(said(findings, f"destination silent-{number}", "wrong") for number in range(8))


def test_certificates_are_checked_as_the_daemon_does(make_daemon: MakeDaemon, make_server: MakeServer, folder: Path) -> None:
    """An unknown authority, a wrong name, one that ends soon; with the right authority all is well."""
    authority = Authority(folder / "ca", "the authority")
    right = make_server(OTLPSink, tls=server_context(authority.issue("server")))
    other = make_server(OTLPSink, tls=server_context(authority.issue("elsewhere", "DNS:elsewhere.example")))
    trust = {"tls": {"ca_file": str(authority.pair.certificate)}}
    daemon = make_daemon(
        {
            "unknown": {"type": "otlp", "endpoint": right.url},
            "renamed": {"type": "otlp", "endpoint": other.url, **trust},
            "right": {"type": "otlp", "endpoint": right.url, **trust},
            "trusting": {"type": "otlp", "endpoint": right.url, "tls": {"verify": False}},
            "missing": {"type": "otlp", "endpoint": right.url, "tls": {"ca_file": str(folder / "none.pem")}},
            "plain": {"type": "otlp", "endpoint": right.url.replace("https", "http")},
        }
    )
    findings = examine(daemon, status=1)
    assert "tls.ca_file" in said(findings, "destination unknown", "wrong")
    assert "for another name" in said(findings, "destination renamed", "wrong")
    assert "certificate valid for 1 day" in said(findings, "destination right", "ok")
    assert "ends in 1 day" in said(findings, "destination right", "warning")
    assert said(findings, "destination right", "wrong") == ""
    assert "verify is false" in said(findings, "destination trusting", "warning")
    assert "none.pem: No such file" in said(findings, "destination missing", "wrong")
    assert "connected" in said(findings, "destination plain", "ok")
    assert right.requests == [] and other.requests == []


def test_a_proxy_is_used_as_the_daemon_uses_it(make_daemon: MakeDaemon) -> None:
    """Of the configuration, and of the daemon's environment; a proxy that refuses is told."""
    proxy = f"http://127.0.0.1:{free_port()}"
    daemon = forwarding(make_daemon, "https://platform.example", proxy=proxy)
    assert "no connection" in said(examine(daemon, status=1), "destination sink", "wrong")
    daemon = forwarding(make_daemon, "https://platform.example")
    words = said(examine(daemon, {"https_proxy": proxy}, status=1), "destination sink", "wrong")
    assert proxy.split(":")[-1] in words


def test_a_file_that_cannot_be_written_is_told(make_daemon: MakeDaemon, folder: Path) -> None:
    """Its directory, and the one above it, are not there."""
    daemon = make_daemon({"archive": {"type": "file", "path": str(folder / "no" / "where" / "spans.ndjson")}})
    assert "mkdir -p" in said(examine(daemon, status=1), "destination archive", "wrong")
    (folder / "no").mkdir()
    examine(daemon, status=0)


# ---------------------------------------------------------------------------------------------------- the daemon


def test_what_the_daemon_says_of_its_destinations_is_told(make_daemon: MakeDaemon, make_server: MakeServer) -> None:
    """A refused key is wrong; dead letters, a pause and a breaker are warnings."""
    sinks = {name: make_server(OTLPSink) for name in ("keyless", "picky", "paused")}
    sinks["keyless"].otherwise = lambda request: Reply(401)
    sinks["picky"].otherwise = lambda request: Reply(400)
    daemon = make_daemon({name: {"type": "otlp", "endpoint": sink.url, **QUICK} for name, sink in sinks.items()}).start()
    daemon.call("pause", "paused")
    send_all(daemon.socket, make_spans(3))
    eventually(lambda: daemon.status().state("keyless") == "paused" and len(daemon.dead("picky")) == 3)
    findings = examine(daemon, status=1)
    assert "401" in said(findings, "destination keyless", "wrong") and "reload" in said(findings, "destination keyless", "wrong")
    assert "3 spans refused for good" in said(findings, "destination picky", "warning")
    assert "paused; 3 spans to go" in said(findings, "destination paused", "warning")


def test_a_daemon_that_hangs_is_told(make_daemon: MakeDaemon, collector: OTLPSink) -> None:
    """It listens and does not answer: that takes 5 s, and the lock's holder is named."""
    import signal

    daemon = forwarding(make_daemon, collector.url).start()
    os.kill(daemon.pid, signal.SIGSTOP)
    try:
        findings = examine(daemon, status=1)
    finally:
        os.kill(daemon.pid, signal.SIGCONT)
    assert "no answer within 5 s" in said(findings, "daemon", "wrong")
    assert f"pid {daemon.pid}" in said(findings, "spool lock", "ok")


def test_a_lock_that_was_deleted_is_told(make_daemon: MakeDaemon, collector: OTLPSink) -> None:
    """Nothing would keep a second daemon out."""
    daemon = forwarding(make_daemon, collector.url).start()
    lock = Path(f"{daemon.spool}.lock")
    lock.unlink()
    lock.touch()
    assert "does not hold" in said(examine(daemon, status=1), "spool lock", "wrong")
