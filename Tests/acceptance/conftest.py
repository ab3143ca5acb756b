"""Fixtures: a daemon factory and servers that play the platforms, all of which are stopped when the test ends."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from daemon import BINARY, Daemon
from sink import OTLPSink, Server, WebhookRecorder

MakeDaemon = Callable[..., Daemon]
MakeServer = Callable[..., Any]


def pytest_sessionstart() -> None:
    """Says at once that there is nothing to test."""
    if not BINARY.is_file():
        pytest.exit(f"{BINARY} is not there; build it, or name one in TRACEFWD_BINARY", returncode=2)


def pytest_report_header() -> str:
    """Which binary it is that was tested."""
    return f"tracefwd: {BINARY}"


@pytest.fixture
def folder() -> Iterator[Path]:
    """A short path: a unix socket's has 107 bytes at most."""
    with tempfile.TemporaryDirectory(prefix="tfw-") as path:
        yield Path(path)


@pytest.fixture
def make_daemon(folder: Path) -> Iterator[MakeDaemon]:
    """`make_daemon(destinations, spool={...}, ...)` makes one that is not started yet.

    What still runs when the test ends must stop on SIGTERM with exit status 0. The journal of a failed test is printed.
    """
    made: list[Daemon] = []

    def make(destinations: dict[str, Any], **sections: Any) -> Daemon:
        place = folder / str(len(made))
        place.mkdir()
        made.append(Daemon(place, destinations, **sections))
        return made[-1]

    yield make
    try:
        for daemon in made:
            if daemon.running:
                daemon.stop()
    finally:
        for daemon in made:
            if daemon.running:
                daemon.kill()
            print(f"---- journal of {daemon.folder} ----\n{daemon.log[-20000:]}")


@pytest.fixture
def make_server() -> Iterator[MakeServer]:
    """`make_server(OTLPSink, ...)` starts one."""
    made: list[Server] = []

    def make(kind: type[Server], *arguments: Any, **named: Any) -> Server:
        made.append(kind(*arguments, **named))
        return made[-1]

    yield make
    for server in made:
        if not server.stopping.is_set():
            server.stop()


@pytest.fixture
def collector(make_server: MakeServer) -> OTLPSink:
    """An OTLP collector that takes everything."""
    return make_server(OTLPSink)


SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


@pytest.fixture
def recorder(make_server: MakeServer) -> WebhookRecorder:
    """A webhook endpoint that verifies signatures with `SECRET`."""
    return make_server(WebhookRecorder, SECRET)
