"""Hostile writers and too few descriptors: who is rude costs himself, everyone else is served.

What stands elsewhere: test_bad_input.py (silent connections, half lines, endless lines, a thousand of each, acks that nobody reads).
"""

from __future__ import annotations

import resource
import socket
import struct
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from client import Client
from conftest import MakeDaemon, MakeServer
from daemon import QUICK, Daemon, eventually
from faults import assert_no_flood, assert_others_are_served, assert_sound, assert_told
from sink import OTLPSink
from spans import Span, ids, line, make_span, make_spans


@pytest.fixture
def healthy(make_server: MakeServer) -> OTLPSink:
    """Where spans go."""
    return make_server(OTLPSink)


@pytest.fixture
def many_files() -> Iterator[None]:
    """The test itself holds thousands of connections."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 8192 if hard == resource.RLIM_INFINITY else min(hard, 8192)
    if wanted < 8192:
        pytest.skip(f"needs 8,192 descriptors for the test itself, may have {hard}")
    resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def make(make_daemon: MakeDaemon, healthy: OTLPSink) -> Daemon:
    """A daemon with one destination, not started."""
    return make_daemon({"good": {"type": "otlp", "endpoint": healthy.url, **QUICK}})


def connect(daemon: Daemon) -> socket.socket:
    """A connection that does not wait for a place in the queue."""
    peer = socket.socket(socket.AF_UNIX)
    peer.setblocking(False)
    try:
        peer.connect(str(daemon.socket))
    except BlockingIOError:
        peer.close()
        raise
    return peer


# ---------------------------------------------------------------------------------------------------- rude


def test_a_writer_of_one_byte_a_second(make_daemon: MakeDaemon, healthy: OTLPSink) -> None:
    """Its line waits for its end, others do not wait for it; when the end comes it is a span like any other."""
    daemon = make(make_daemon, healthy).start()
    slow = make_span(name="slow")
    text = line(slow)
    spans: list[Span] = []
    with Client(daemon.socket) as writer:
        writer.write(text[:-4])
        for index in range(len(text) - 4, len(text)):
            spans += assert_others_are_served(daemon, healthy)
            time.sleep(0.8)
            writer.write(text[index : index + 1])
        assert writer.finish()["accepted"] == 1
    healthy.wait(lambda: slow["span_id"] in healthy.span_ids)
    assert_sound(daemon, len(spans) + 1)


def test_three_thousand_writers_at_once(make_daemon: MakeDaemon, healthy: OTLPSink, many_files: None) -> None:
    """Each writes a span and waits for its answer, all at the same time: each is answered, each span arrives once."""
    daemon = make(make_daemon, healthy).start()
    spans = make_spans(3000)
    with_answers = []
    for span in spans:
        writer = Client(daemon.socket, timeout=60)
        writer.write(line(span))
        with_answers.append(writer)
    for writer in with_answers:
        writer.socket.shutdown(socket.SHUT_WR)
    assert all((answer := writer.read()) and answer["accepted"] == 1 for writer in with_answers)
    for writer in with_answers:
        writer.socket.close()
    eventually(lambda: daemon.counted("tracefwd_source_connections_open", source="unix") == 0)
    assert daemon.counted("tracefwd_source_connections_total", source="unix") >= 3000
    healthy.wait(lambda: len(healthy.spans) >= 3000)
    assert healthy.span_ids == ids(spans)
    assert_sound(daemon, 3000)
    assert daemon.memory_mib() < 300


def test_writers_that_connect_and_reset_in_a_loop(make_daemon: MakeDaemon, healthy: OTLPSink) -> None:
    """Over TCP with a reset, over the Unix socket with answers unread: no connection stays, no line is written for each."""
    daemon = make(make_daemon, healthy).start()
    ended = threading.Event()

    def rudely() -> None:
        while not ended.is_set():
            with socket.socket(socket.AF_UNIX) as writer:
                writer.connect(str(daemon.socket))
                writer.sendall(b'{"ack":1}\n{"ack":2}\n{"name":"half')
            with socket.create_connection(daemon.udp) as writer:
                writer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                writer.sendall(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n")

    rude = [threading.Thread(target=rudely) for _ in range(4)]
    for thread in rude:
        thread.start()
    spans: list[Span] = []
    try:
        limit = time.monotonic() + 3
        while time.monotonic() < limit:
            spans += assert_others_are_served(daemon, healthy)
    finally:
        ended.set()
        for thread in rude:
            thread.join()
    eventually(lambda: daemon.counted("tracefwd_source_connections_open", source="unix") == 0)
    assert daemon.counted("tracefwd_source_connections_total", source="unix") > 100
    assert_told(daemon, "warning", "unix rejected", at_most=3)
    assert_sound(daemon, len(spans))
    assert_no_flood(daemon, 20)


def test_a_page_is_asked_for_by_peers_that_never_read_it(make_daemon: MakeDaemon, healthy: OTLPSink) -> None:
    """200 connections that ask for /metrics again and again and read nothing: writers and /readyz do not feel it."""
    daemon = make(make_daemon, healthy).start()
    silent = []
    for _ in range(200):
        peer = socket.create_connection(daemon.udp)
        peer.sendall(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n" * 50)
        silent.append(peer)
    spans = assert_others_are_served(daemon, healthy)
    eventually(lambda: daemon.get("/readyz")[0] == 200)
    assert daemon.memory_mib() < 300
    for peer in silent:
        peer.close()
    assert_sound(daemon, len(spans))


# ---------------------------------------------------------------------------------------------------- no descriptors left

FEW = 128


def start_with_few(daemon: Daemon) -> Daemon:
    """As `LimitNOFILE=128` in the unit."""
    return daemon.start(command=["prlimit", f"--nofile={FEW}:{FEW}"])


def test_more_writers_than_descriptors(make_daemon: MakeDaemon, healthy: OTLPSink, many_files: None) -> None:
    """The unix source stops taking connections before the daemon has no descriptor left for its own: who is connected is served, spans
    are delivered, `status` and /metrics answer and say why. When the crowd goes, those who waited are served."""
    daemon = make(make_daemon, healthy)
    start_with_few(daemon)
    with Client(daemon.socket, timeout=30) as early:
        crowd = [connect(daemon) for _ in range(1500)]
        waiting = Client(daemon.socket, timeout=30)
        spans = make_spans(20)
        early.send(*spans)
        assert early.ask()["accepted"] == 20
        healthy.wait(lambda: set(ids(spans)) <= set(healthy.span_ids))
        assert "no connection can be taken" in daemon.call("status")
        assert daemon.get("/readyz")[0] == 200
        assert daemon.counted("tracefwd_source_connections_open", source="unix") < FEW
        assert_told(daemon, "error", "unix", "no connection can be taken", "LimitNOFILE=", at_most=2)
        late = make_spans(5)
        waiting.send(*late)
        time.sleep(2)
        assert_told(daemon, "no connection can be taken", at_most=2)
        for peer in crowd:
            peer.close()
        assert waiting.finish()["accepted"] == 5
        waiting.socket.close()
    spans += late + assert_others_are_served(daemon, healthy)
    eventually(lambda: "no connection can be taken" not in daemon.call("status"))
    assert_sound(daemon, len(spans))


def test_more_scrapers_than_descriptors(make_daemon: MakeDaemon, healthy: OTLPSink, many_files: None) -> None:
    """Connections to the http source take no descriptor that writers, destinations or `status` need."""
    daemon = make(make_daemon, healthy)
    start_with_few(daemon)
    crowd = []
    for _ in range(400):
        peer = socket.socket()
        peer.setblocking(False)
        peer.connect_ex(daemon.udp)
        crowd.append(peer)
    time.sleep(1)
    spans = assert_others_are_served(daemon, healthy)
    assert "nothing waits" in eventually(lambda: daemon.call("status"))
    for peer in crowd:
        peer.close()
    eventually(lambda: daemon.get("/readyz")[0] == 200)
    spans += assert_others_are_served(daemon, healthy)
    assert_sound(daemon, len(spans))
    assert_no_flood(daemon, 30)


def test_an_idle_daemon_without_descriptors_does_not_spin(make_daemon: MakeDaemon, healthy: OTLPSink, many_files: None) -> None:
    """Peers that cannot be taken in cost no processor time: they wait."""
    daemon = make(make_daemon, healthy)
    start_with_few(daemon)
    control = []
    crowd = [connect(daemon) for _ in range(1000)]
    for _ in range(100):
        peer = socket.socket(socket.AF_UNIX)
        peer.setblocking(False)
        try:
            peer.connect(str(daemon.control))
        except BlockingIOError:
            peer.close()
            break
        control.append(peer)
    time.sleep(1)
    before = runnable_seconds(daemon)
    time.sleep(2)
    assert runnable_seconds(daemon) - before < 1
    for peer in crowd + control:
        peer.close()
    spans = assert_others_are_served(daemon, healthy)
    eventually(lambda: daemon.run("status").returncode == 0)
    assert_sound(daemon, len(spans))


def runnable_seconds(daemon: Daemon) -> float:
    """How long its threads have run or wanted to, so that a busy machine hides no circle (proc(5), schedstat)."""
    threads = Path(f"/proc/{daemon.pid}/task").iterdir()
    return sum(sum(map(int, (thread / "schedstat").read_text().split()[:2])) for thread in threads) / 1e9
