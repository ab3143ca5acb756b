"""The watchdog catches a daemon that hangs, whole or in one part, and takes no slow disk for that. With WatchdogSec= made short."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from conftest import HERE
from machine import CACHE, Machine, base, eventually


@pytest.fixture(scope="module")
def disk(package: Path) -> Iterator[tuple[Machine, Path]]:
    """A container whose /var/lib/tracefwd is a disk of its own, which can be frozen: every write to it then waits."""
    machine = Machine(base(package), Path(tempfile.mkdtemp(prefix="machine.", dir=CACHE)))
    mount = machine.root / "var/lib/tracefwd"
    mount.mkdir(parents=True)
    image = machine.folder / "disk"
    with open(image, "wb") as file:
        file.truncate(512 << 20)
    subprocess.run(["mkfs.ext4", "-q", str(image)], check=True)
    try:
        if subprocess.run(["mount", "-o", "loop", str(image), str(mount)], capture_output=True).returncode != 0:
            pytest.skip("no loop device can be mounted here")
        machine.boot()
        machine.install(package)
        yield machine, mount
    finally:
        subprocess.run(["fsfreeze", "--unfreeze", str(mount)], capture_output=True)
        machine.stop()


def watch(machine: Machine, seconds: int) -> int:
    """A daemon with this WatchdogSec=; how often systemd has restarted it so far."""
    machine.drop_in("watchdog", f"[Service]\nWatchdogSec={seconds}s\n")
    machine.call("systemctl", "restart", "tracefwd")
    return int(machine.show("NRestarts"))


def caught(machine: Machine, restarts: int) -> None:
    """systemd has found it hanging, has ended it, and it serves again."""
    eventually(lambda: int(machine.show("NRestarts")) == restarts + 1, 90, "systemd restarts it")
    eventually(lambda: machine.show("ActiveState") == "active", what="it is back")
    assert "Watchdog timeout" in machine.call("journalctl", "--no-pager", "-u", "tracefwd", "-n", "200", "_PID=1")
    machine.send({"name": "served again"})


def test_a_stopped_process_is_caught(disk: tuple[Machine, Path]) -> None:
    """SIGSTOP: nothing in it turns."""
    machine, _ = disk
    restarts = watch(machine, 4)
    os.kill(machine.daemon, signal.SIGSTOP)
    caught(machine, restarts)


@pytest.mark.parametrize("part", ["source-unix", "source-udp", "spool", "checkpoint", "delivery"])
def test_one_hanging_part_is_caught_and_named(disk: tuple[Machine, Path], part: str) -> None:
    """All the others turn, the thread that feeds the watchdog too: it does not feed for them. The journal says who hangs, though the part
    had nothing to do and nobody misses it yet."""
    machine, _ = disk
    restarts = watch(machine, 8)
    hanging = subprocess.Popen([sys.executable, str(HERE / "hang.py"), str(machine.daemon), part], stdout=subprocess.PIPE, text=True)
    try:
        assert hanging.stdout and hanging.stdout.readline() == "stopped\n"
        eventually(lambda: any(entry["TRACEFWD_PART"] == part for entry in machine.journal("TRACEFWD_EVENT=part_hangs")), 60, "it is named")
        caught(machine, restarts)
        hanging.wait(30)
    finally:
        hanging.kill()
        hanging.wait()


def test_a_slow_disk_is_not_taken_for_a_hang(disk: tuple[Machine, Path]) -> None:
    """Three writes in a row that take 8 s each, with a limit of 10 s for a part's silence (of 60 s in the unit as it is): the senders wait,
    get their acks, and nobody is restarted."""
    machine, mount = disk
    restarts = watch(machine, 20)
    pid = machine.show("MainPID")
    for number in range(3):
        subprocess.run(["fsfreeze", "--freeze", str(mount)], check=True)
        sender = subprocess.Popen(machine.enter("tracefwd", "send"), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert sender.stdin
        sender.stdin.write(f'{{"name":"slow {number}"}}\n')
        sender.stdin.close()
        time.sleep(8)
        assert sender.poll() is None, "acknowledged while the disk stood still"
        subprocess.run(["fsfreeze", "--unfreeze", str(mount)], check=True)
        assert sender.wait(30) == 0
    assert (machine.show("MainPID"), int(machine.show("NRestarts"))) == (pid, restarts)
    assert not [entry for entry in machine.journal("TRACEFWD_EVENT=part_hangs") if entry["_PID"] == pid]


def test_who_waits_is_not_taken_for_a_hang(disk: tuple[Machine, Path]) -> None:
    """A platform and a name server that take longer for their answers than any limit: nobody is named, and the others get theirs."""
    machine, _ = disk
    with open_but_silent(machine) as port:
        addresses = {"silent": f"http://127.0.0.1:{port}", "unresolved": "http://platform.test:4318"}
        destinations = {name: {"type": "otlp", "endpoint": address} for name, address in addresses.items()}
        machine.write("/etc/resolv.conf", "nameserver 127.0.0.1\n")
        machine.write("/etc/tracefwd/conf.d/silent.yaml", json.dumps({"destinations": destinations}))
        restarts = watch(machine, 4)
        machine.path("/etc/tracefwd/conf.d/silent.yaml").unlink()
        pid = machine.show("MainPID")
        for number in range(15):
            there = len(machine.delivered())
            machine.send({"name": f"for the others {number}"})
            eventually(lambda there=there: len(machine.delivered()) > there, 3, "the file gets it though others wait")
            time.sleep(1)
        assert (machine.show("MainPID"), int(machine.show("NRestarts"))) == (pid, restarts)
        assert not [entry for entry in machine.journal("TRACEFWD_EVENT=part_hangs") if entry["_PID"] == pid]


@contextmanager
def open_but_silent(machine: Machine) -> Iterator[int]:
    """A port that takes connections, and a name server; neither answers."""
    text = (
        "import socket; s = socket.create_server(('127.0.0.1', 0)); n = socket.socket(type=socket.SOCK_DGRAM); "
        "n.bind(('127.0.0.1', 53)); print(s.getsockname()[1], flush=True); input()"
    )
    process = machine.start_beside(sys.executable, "-c", text, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        assert process.stdout
        yield int(process.stdout.readline())
    finally:
        process.communicate("\n")


def test_an_idle_daemon_sleeps(disk: tuple[Machine, Path]) -> None:
    """With the unit's own WatchdogSec=: nothing wakes up but the watchdog, twice a minute, and who is asked by it."""
    machine, _ = disk
    watch(machine, 120)
    machine.send({"name": "the last one"})
    machine.settled()
    time.sleep(12)  # its summary, and the line of `systemctl status`
    folder = Path(f"/proc/{machine.daemon}/task")
    seconds = 40
    before = wakes(folder)
    time.sleep(seconds)
    woken = {name: count - before.get(name, 0) for name, count in wakes(folder).items()}
    assert sum(woken.values()) <= 20, woken
    assert all(woken[name] >= 1 for name in ("watchdog", "spool", "checkpoint", "delivery", "source-unix", "source-udp")), woken


def wakes(folder: Path) -> dict[str, int]:
    """How often each thread has gone to sleep so far, by its name; those with the same name together."""
    found: dict[str, int] = {}
    for task in folder.iterdir():
        name = (task / "comm").read_text().strip()
        count = re.search(r"^voluntary_ctxt_switches:\s+(\d+)$", (task / "status").read_text(), re.MULTILINE)
        assert count
        found[name] = found.get(name, 0) + int(count[1])
    return found
