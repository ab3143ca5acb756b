"""What the tests share: the package under test, and a container with it installed for each module."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from machine import CACHE, Machine, base, later_version, missing

HERE = Path(__file__).parent
PORT = 8127


def pytest_sessionstart() -> None:
    """One clear line where this machine cannot run them."""
    if why := missing():
        pytest.exit(f"test-systemd skipped: {why}", returncode=0)
    if "TRACEFWD_DEB" not in os.environ:
        pytest.exit("TRACEFWD_DEB names no package: run these tests by make test-systemd", returncode=2)
    try:
        # A Debian without tracefwd: what fails here is none of its doing.
        machine = Machine(base(Path(os.environ["TRACEFWD_DEB"])), Path(tempfile.mkdtemp(prefix="machine.", dir=CACHE)))
        try:
            machine.boot()
        finally:
            machine.stop()
    except (AssertionError, subprocess.SubprocessError) as error:
        pytest.exit(f"test-systemd skipped: a Debian cannot be made or booted here: {error}", returncode=0)


@pytest.fixture(scope="session")
def package() -> Path:
    """The Debian package under test."""
    return Path(os.environ["TRACEFWD_DEB"]).resolve()


@pytest.fixture(scope="session")
def later(package: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same under a higher version."""
    return later_version(package, tmp_path_factory.mktemp("later"))


@pytest.fixture(scope="module")
def bare(package: Path) -> Iterator[Machine]:
    """A booted container without tracefwd."""
    machine = Machine(base(package), Path(tempfile.mkdtemp(prefix="machine.", dir=CACHE)))
    try:
        yield machine.boot()
    finally:
        machine.stop()


@pytest.fixture(scope="module")
def machine(bare: Machine, package: Path) -> Machine:
    """The same with the package installed, nothing edited."""
    bare.install(package)
    return bare


class Load:
    """The account of a load that has ended."""

    def __init__(self) -> None:
        self.account: dict[str, Any] = {}

    def check(self, machine: Machine, datagrams: bool) -> None:
        """No acknowledged span is missing, nobody was refused; no datagram is missing either where that was promised."""
        account = self.account
        assert not account["refused"], f"{len(account['refused'])} connections were refused: {account['refused'][:3]}"
        assert len(account["acked"]) > 200 and account["looks"] > 10, "there was hardly any load"
        machine.settled()
        there = set(machine.delivered())
        lost = set(account["acked"]) - there
        assert not lost, f"{len(lost)} of {len(account['acked'])} acknowledged spans are lost"
        if datagrams:
            missing = set(account["datagrams"]) - there
            assert not missing, f"{len(missing)} of {len(account['datagrams'])} datagrams are lost"


@contextmanager
def load(machine: Machine) -> Iterator[Load]:
    """Loads the daemon while the block runs, and for a moment after it."""
    result = Load()
    socket = machine.path("/run/tracefwd.sock")
    process = machine.start_beside(
        sys.executable, str(HERE / "load.py"), str(socket), str(PORT), stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert process.stdin and process.stdout
    try:
        assert process.stdout.readline() == "running\n"
        yield result
    finally:
        output, _ = process.communicate("", timeout=120)
    result.account = json.loads(output)
