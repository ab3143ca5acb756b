"""Bad input: each kind gets its reason and its counter, memory stays bounded, neighbours are untouched."""

from __future__ import annotations

import random
import socket
import time
from collections.abc import Iterator

import pytest

from client import Client, send_all, send_datagrams
from conftest import MakeDaemon
from daemon import QUICK, Daemon, eventually
from sink import OTLPSink
from spans import ids, line, make_span, make_spans

MEMORY_MIB_MAX = 300  # the budget of the configuration's default is 256 MiB; the rest is code and stacks


@pytest.fixture
def daemon(make_daemon: MakeDaemon, collector: OTLPSink) -> Iterator[Daemon]:
    """After each of these tests the daemon still serves, and it never took much memory."""
    daemon = make_daemon({"collector": {"type": "otlp", "endpoint": collector.url, **QUICK}}).start()
    yield daemon
    last = make_span(name="last")
    assert send_all(daemon.socket, [last])["accepted"] == 1
    eventually(lambda: last["span_id"] in collector.span_ids)
    assert daemon.memory_mib() < MEMORY_MIB_MAX


def between_neighbours(daemon: Daemon, collector: OTLPSink, *pieces: bytes) -> list[str]:
    """Writes the pieces as one line between two spans; both must arrive. The reasons of what was rejected."""
    before, after = make_span(name="before"), make_span(name="after")
    with Client(daemon.socket, timeout=120) as client:
        client.send(before)
        for piece in pieces:
            client.write(piece)
        client.write(b"\n")
        client.send(after)
        answer = client.finish()
    assert answer["accepted"] == 2
    eventually(lambda: set(ids([before, after])) <= set(collector.span_ids))
    return [error["reason"] for error in answer["errors"]]


def test_garbage_bytes(daemon: Daemon, collector: OTLPSink) -> None:
    """1 MiB of noise: each of its lines is rejected, none stops the daemon."""
    noise = random.Random(7).randbytes(1 << 20)
    reasons = between_neighbours(daemon, collector, noise)
    assert len(reasons) == 20
    assert set(reasons) <= {"invalid_utf8", "invalid_json", "not_an_object"}


def test_a_hundred_mebibytes_without_a_newline(daemon: Daemon, collector: OTLPSink) -> None:
    """`too_large`, and it is not held in memory."""
    before = daemon.memory_mib("VmRSS")
    assert between_neighbours(daemon, collector, *[b"x" * (1 << 20)] * 100) == ["too_large"]
    assert daemon.memory_mib() - before < 64


def test_a_depth_of_100_000(daemon: Daemon, collector: OTLPSink) -> None:
    """`too_deep`, without a stack overflow: arrays, objects, and both where they are never closed."""
    deep = 100_000
    assert between_neighbours(daemon, collector, b'{"name":"a","x":' + b"[" * deep + b"]" * deep + b"}") == ["too_deep"]
    assert between_neighbours(daemon, collector, b'{"name":"a","x":' + b'{"a":' * deep + b"1" + b"}" * deep + b"}") == ["too_deep"]
    (reason,) = between_neighbours(daemon, collector, b'{"name":"a","x":' + b'[{"a":' * deep)
    assert reason in ("too_deep", "invalid_json")


@pytest.mark.parametrize("text", [b"\xff", b"\xc0\x80", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\xe2\x82", b"caf\xe9"])
def test_invalid_utf8(daemon: Daemon, collector: OTLPSink, text: bytes) -> None:
    """Overlong forms, surrogates, beyond U+10FFFF, cut sequences, Latin-1."""
    assert between_neighbours(daemon, collector, b'{"name":"' + text + b'"}') == ["invalid_utf8"]


def test_a_number_of_a_million_digits(daemon: Daemon, collector: OTLPSink) -> None:
    """An integer beyond int64 becomes the text of its digits; it costs no time to speak of."""
    digits = b"1234567890" * 100_000
    span = make_span(attributes={"n": 0})
    data = line(span).replace(b'"n":0', b'"n":' + digits)
    begin = time.monotonic()
    with Client(daemon.socket) as client:
        client.write(data)
        assert client.finish()["accepted"] == 1
    assert time.monotonic() - begin < 5
    (got,) = collector.wait_for(1)
    assert got.attributes["n"] == digits.decode()


@pytest.mark.parametrize("number", [b"1" * 1_000_000, b"1e" + b"9" * 1_000_000, b"-" + b"1" * 1_000_000])
def test_a_time_of_a_million_digits(daemon: Daemon, collector: OTLPSink, number: bytes) -> None:
    """No time, and no long computation either."""
    begin = time.monotonic()
    assert between_neighbours(daemon, collector, b'{"name":"a","start_time":' + number + b"}") == ["bad_timestamp"]
    assert time.monotonic() - begin < 5


def test_a_thousand_connections_that_send_nothing(daemon: Daemon, collector: OTLPSink) -> None:
    """The thousand and first is served at once."""
    silent = []
    for _ in range(1000):
        one = socket.socket(socket.AF_UNIX)
        one.connect(str(daemon.socket))
        silent.append(one)
    begin = time.monotonic()
    assert send_all(daemon.socket, [make_span()])["accepted"] == 1
    assert time.monotonic() - begin < 5
    for one in silent:
        one.close()


def test_a_thousand_connections_that_each_hold_half_a_line(daemon: Daemon, collector: OTLPSink) -> None:
    """64 KiB each that never end: bounded, and their ends are counted when they go."""
    halves = []
    for _ in range(1000):
        one = socket.socket(socket.AF_UNIX)
        one.connect(str(daemon.socket))
        one.sendall(b'{"name":"' + b"x" * 65536)
        halves.append(one)
    assert send_all(daemon.socket, [make_span()])["accepted"] == 1
    for one in halves:
        one.close()
    eventually(lambda: daemon.counted("tracefwd_lines_rejected_total") == 1000)


def test_a_client_that_asks_for_acks_and_never_reads(daemon: Daemon) -> None:
    """200,000 acks: what it does not read is dropped, not kept."""
    with Client(daemon.socket, timeout=120) as silent:
        for start in range(0, 200_000, 1000):
            silent.write(b"".join(b'{"ack":%d}\n' % (start + turn) for turn in range(1000)))
        assert send_all(daemon.socket, [make_span()])["accepted"] == 1


def test_the_largest_datagram_of_garbage(daemon: Daemon, collector: OTLPSink) -> None:
    """65,507 bytes."""
    send_datagrams(daemon.udp, b"x" * 65_507)
    after = make_span(name="after")
    send_datagrams(daemon.udp, line(after))
    eventually(lambda: after["span_id"] in collector.span_ids)
    eventually(lambda: daemon.counted("tracefwd_lines_rejected_total", reason="invalid_json") == 1, 5)


def test_all_of_it_at_once_beside_a_well_behaved_client(daemon: Daemon, collector: OTLPSink) -> None:
    """The neighbour on its own connection loses nothing and is not made to wait."""
    bad = [b"\xff" * 100_000 + b"\n", b"[" * 100_000 + b"\n", b"x" * (8 << 20) + b"\n", b"{" * 1000 + b"\n"]
    spans = make_spans(1000)
    with Client(daemon.socket) as good, Client(daemon.socket) as rude:
        for start in range(0, len(spans), 100):
            rude.write(bad[(start // 100) % len(bad)])
            good.send(*spans[start : start + 100])
            begin = time.monotonic()
            assert good.ask()["accepted"] == 100
            assert time.monotonic() - begin < 5
        assert rude.finish()["rejected"] == 10
    collector.wait_for(1000)
    assert set(ids(spans)) <= set(collector.span_ids)
