"""The package as it is installed, without an edit: it starts, listens, keeps spans; what it may do; and what is left when it goes."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

from machine import CHECKOUT, Machine, eventually

SOCKETS = ["tracefwd.socket", "tracefwd-udp.socket", "tracefwd-http.socket"]
SPAN = {"trace_id": "4bf92f3577b34da6a3ce929d0e0e4736", "span_id": "00f067aa0ba902b7", "name": "hello"}


def files(machine: Machine) -> set[str]:
    """Every file that may be the package's or of its making, and the users and groups that there are."""
    here = ["/etc", "/usr", "/var", "/run", "/root", "/opt", "/srv", "/home"]
    # What dpkg, systemd and the library loader keep for themselves, and this test's own copies of packages.
    others = [
        r"/var/(lib/dpkg|log|cache)",
        r"/var/lib/systemd/(?!deb-)",
        r"/run/(systemd|log|dbus|udev|credentials|agetty)",
        r"/etc/(passwd|group|g?shadow|sub.id)-?$",
        r"/root/",
    ]
    found = machine.call("find", *here, "-xdev", "-not", "-path", "/run/*/proc/*", seconds=300).splitlines()
    accounts = machine.call("getent", "passwd") + machine.call("getent", "group")
    return {path for path in found if not re.match("|".join(others), path)} | set(accounts.splitlines())


def test_it_is_installed_serves_and_purges(bare: Machine, package: Path) -> None:
    """The whole of a package's life, and after it the system is as it was."""
    machine = bare
    before = files(machine)

    output = machine.install(package)
    assert "rror" not in output, output
    assert [machine.show("ActiveState", unit) for unit in ["tracefwd.service", *SOCKETS]] == ["active"] * 4
    assert [machine.call("systemctl", "is-enabled", unit).strip() for unit in ["tracefwd.service", *SOCKETS]] == ["enabled"] * 4
    machine.send(SPAN)
    machine.settled()
    assert machine.delivered() == [SPAN["span_id"]]
    listening = machine.beside("ss", "-Hltnu").stdout
    assert sorted(re.findall(r"\S+:8127", listening)) == ["127.0.0.1:8127"] * 2, listening

    machine.call("dpkg", "--remove", "tracefwd")
    assert not machine.path("/run/tracefwd.sock").exists()
    assert machine.delivered() == [SPAN["span_id"]], "a removal keeps spool and configuration"
    assert machine.path("/etc/tracefwd/tracefwd.yaml").exists()

    machine.install(package)
    machine.send({**SPAN, "span_id": "00f067aa0ba902b8"})
    machine.settled()
    assert len(machine.delivered()) == 2, "after a removal the spool goes on where it was"

    machine.write("/etc/tracefwd/conf.d/mine.yaml", "journal: { level: debug }\n")
    machine.call("dpkg", "--purge", "tracefwd")
    assert files(machine) - before == set()
    assert before - files(machine) == set()


def test_it_is_active_only_when_the_sockets_are_served(machine: Machine) -> None:
    """A unit that is ordered after it can send at once. One that cannot open its spool never counts as active."""
    machine.write(
        "/etc/systemd/system/sender.service",
        "[Unit]\nRequires=tracefwd.service\nAfter=tracefwd.service\n[Service]\nType=oneshot\nRemainAfterExit=yes\n"
        "ExecStart=/usr/bin/tracefwd send /root/first.ndjson\n",
    )
    machine.write("/root/first.ndjson", '{"name":"first"}\n')
    for _ in range(5):
        machine.call("systemctl", "stop", "tracefwd.service", *SOCKETS)
        machine.call("systemctl", "daemon-reload")
        machine.call("systemctl", "start", "sender.service")
        status = machine.beside("curl", "-s", "--noproxy", "*", "-o", "/dev/null", "-w", "%{http_code}", "http://127.0.0.1:8127/readyz")
        assert status.stdout == "200"
        machine.call("systemctl", "stop", "sender.service")

    machine.write("/etc/tracefwd/conf.d/spool.yaml", "")
    machine.call("systemctl", "stop", "tracefwd.service", *SOCKETS)
    machine.drop_in("broken", "[Service]\nReadOnlyPaths=/var/lib/tracefwd\n")
    machine.run("systemctl", "start", "--no-block", *SOCKETS, "tracefwd.service")
    eventually(lambda: int(machine.show("NRestarts")) > 1, what="it is tried again and again")
    assert machine.show("ActiveState") == "activating"
    machine.path("/etc/systemd/system/tracefwd.service.d/broken.conf").unlink()
    machine.call("systemctl", "daemon-reload")
    eventually(lambda: machine.show("ActiveState") == "active", what="it starts as soon as it can")


def test_every_socket_came_from_systemd(machine: Machine) -> None:
    """By its own name, so that none is taken for another."""
    page = machine.status()
    listening = {entry["TRACEFWD_SOURCE"]: entry["MESSAGE"] for entry in machine.journal("TRACEFWD_EVENT=source_listening")}
    assert set(listening) == {"unix", "udp", "http"} == {source["name"] for source in page["sources"]}
    assert all("handed over by systemd" in message for message in listening.values()), listening
    assert not machine.journal("TRACEFWD_EVENT=small_receive_buffer"), "ReceiveBuffer= of the unit was not enough"
    findings = json.loads(machine.run("tracefwd", "doctor", "--json").stdout)["findings"]
    buffers = [finding for finding in findings if finding["check"] == "kernel buffers"]
    assert [(finding["outcome"], finding["text"]) for finding in buffers] == [
        ("ok", "sources.udp.receive_buffer: the socket has 8 MiB")
    ], buffers


def test_who_may_do_what(machine: Machine) -> None:
    """Senders send and read nothing; administrators read and change; others do neither."""
    for name, groups in (("app", "tracefwd"), ("person", "tracefwd-admin"), ("stranger", "")):
        machine.call("useradd", "--no-create-home", *(["--groups", groups] if groups else []), name)

    def may(user: str, *words: str) -> bool:
        return machine.run("runuser", "-u", user, "--", *words, given='{"name":"who"}\n').returncode == 0

    # Who may not read the configuration sends to the usual socket.
    send = ["tracefwd", "send"]
    assert [may(user, *send) for user in ("app", "person", "stranger")] == [True, False, False]
    assert [may(user, "tracefwd", "status") for user in ("app", "person", "stranger")] == [False, True, False]
    assert [may(user, "cat", "/etc/tracefwd/tracefwd.yaml") for user in ("app", "person", "stranger")] == [False, True, False]
    for path in ("/var/lib/tracefwd/spool.db", "/var/lib/tracefwd/spans.ndjson"):
        assert [may(user, "cat", path) for user in ("app", "person", "stranger")] == [False, False, False]
    for name in ("app", "person", "stranger"):
        machine.call("userdel", name)


def test_exposure(machine: Machine) -> None:
    """`systemd-analyze security`, of the unit as it runs; with the drop-in for programs too."""
    machine.send({"name": "everything works"})
    assert exposure(machine) <= 2.0
    assert machine.show("MainPID") != "0" and machine.call("stat", "-c", "%U", f"/proc/{machine.show('MainPID')}").strip() == "tracefwd"
    machine.call("mkdir", "-p", "/etc/systemd/system/tracefwd.service.d")
    machine.call("cp", "/usr/share/doc/tracefwd/examples/exec.conf", "/etc/systemd/system/tracefwd.service.d/exec.conf")
    machine.call("systemctl", "daemon-reload")
    machine.call("systemctl", "restart", "tracefwd")
    with_programs = exposure(machine)
    said = re.search(r"rises from ([\d.]+) to ([\d.]+)", machine.path("/usr/share/doc/tracefwd/examples/exec.conf").read_text())
    machine.path("/etc/systemd/system/tracefwd.service.d/exec.conf").unlink()
    machine.call("systemctl", "daemon-reload")
    machine.call("systemctl", "restart", "tracefwd")
    assert said and (exposure(machine), with_programs) == (float(said[1]), float(said[2])), "exec.conf says other figures"
    assert f"says {exposure(machine)} of 10" in (CHECKOUT / "Docs/operations.md").read_text()


def exposure(machine: Machine) -> float:
    """The overall level."""
    text = machine.call("systemd-analyze", "security", "--no-pager", "tracefwd.service")
    found = re.search(r"Overall exposure level for tracefwd.service: ([\d.]+)", text)
    assert found, text
    return float(found[1])


def test_the_unit_is_well_formed(machine: Machine) -> None:
    """`systemd-analyze verify` has nothing to say; the man pages are there for `Documentation=`."""
    result = machine.run("systemd-analyze", "verify", "--man=no", "tracefwd.service", *SOCKETS)
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")
    for page in ("man8/tracefwd.8.gz", "man5/tracefwd.yaml.5.gz"):
        assert machine.path(f"/usr/share/man/{page}").exists()


def test_no_core_dump_and_no_privilege(machine: Machine) -> None:
    """What the running process itself has, as the kernel tells it."""
    pid = machine.daemon
    status = Path(f"/proc/{pid}/status").read_text()
    assert re.search(r"^NoNewPrivs:\s+1$", status, re.MULTILINE) and re.search(r"^Seccomp:\s+2$", status, re.MULTILINE)
    for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"):
        assert re.search(rf"^{name}:\s+0+$", status, re.MULTILINE), name
    limits = Path(f"/proc/{pid}/limits").read_text()
    assert re.search(r"^Max core file size\s+0\s+0 ", limits, re.MULTILINE)
    # The container's own limit may be lower than the unit's.
    most = re.search(r"^Max open files\s+\d+\s+(\d+) ", Path(f"/proc/{machine.init}/limits").read_text(), re.MULTILINE)
    assert most
    files = min(65536, int(most[1]))
    assert re.search(rf"^Max open files\s+{files}\s+{files} ", limits, re.MULTILINE)
    assert os.stat(machine.path("/var/lib/tracefwd")).st_mode & 0o777 == 0o700
