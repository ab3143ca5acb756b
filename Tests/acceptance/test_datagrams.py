"""UDP and unix datagrams (ingest contract, section 3)."""

from __future__ import annotations

import socket
import time
from pathlib import Path

import pytest

from client import send_all, send_datagrams
from conftest import MakeDaemon
from daemon import QUICK, Daemon, eventually
from sink import OTLPSink
from spans import ids, line, lines, make_span, make_spans

MOST = 65_507


@pytest.fixture
def daemon(make_daemon: MakeDaemon, collector: OTLPSink, folder: Path) -> Daemon:
    """A daemon with both datagram sources and one collector."""
    sources = {"unix_datagram": {"path": str(folder / "dgram.sock")}}
    return make_daemon({"collector": {"type": "otlp", "endpoint": collector.url, **QUICK}}, sources=sources).start()


def address(daemon: Daemon, kind: str) -> tuple[str, int] | Path:
    """Where datagrams of a kind go."""
    return daemon.udp if kind == "udp" else daemon.folder.parent / "dgram.sock"


@pytest.mark.parametrize("kind", ["udp", "unix"])
def test_a_datagram_holds_one_or_more_spans(daemon: Daemon, collector: OTLPSink, kind: str) -> None:
    """One with and one without a newline at its end, and one with three spans."""
    spans = make_spans(5)
    send_datagrams(address(daemon, kind), line(spans[0]), line(spans[1])[:-1], lines(spans[2:]))
    collector.wait_for(5)
    assert collector.span_ids == ids(spans)


@pytest.mark.parametrize("kind", ["udp", "unix"])
def test_a_bad_line_in_a_datagram_costs_that_line_only(daemon: Daemon, collector: OTLPSink, kind: str) -> None:
    """It is counted with its reason and its source."""
    before, after = make_spans(2)
    send_datagrams(address(daemon, kind), line(before) + b"nonsense\n" + line(after), b"\xff\xfe")
    collector.wait_for(2)
    assert collector.span_ids == ids([before, after])
    eventually(lambda: daemon.counted("tracefwd_lines_rejected_total") == 2)


@pytest.mark.parametrize("kind", ["udp", "unix"])
def test_the_largest_datagram_arrives_whole(daemon: Daemon, collector: OTLPSink, kind: str) -> None:
    """65,507 bytes in one span."""
    span = make_span(attributes={"text": ""})
    span["attributes"]["text"] = "x" * (MOST - len(line(span)))
    assert len(line(span)) == MOST
    send_datagrams(address(daemon, kind), line(span))
    (got,) = collector.wait_for(1)
    assert got.attributes["text"] == span["attributes"]["text"]


def test_a_datagram_that_was_cut_is_rejected_as_truncated(daemon: Daemon, collector: OTLPSink) -> None:
    """A unix datagram may be larger than the largest UDP one; it is taken whole or not at all, and never silently."""
    path = address(daemon, "unix")
    send_datagrams(path, lines(make_spans(2000)))
    after = make_span(name="after")
    send_datagrams(path, line(after))
    eventually(lambda: after["span_id"] in collector.span_ids)
    whole = len(collector.spans) == 2001
    assert whole or eventually(lambda: daemon.counted("tracefwd_lines_rejected_total", reason="truncated") == 1, 5)


def test_thousands_of_datagrams_at_a_modest_rate_all_arrive(daemon: Daemon, collector: OTLPSink) -> None:
    """The kernel buffer is large enough for bursts of 500."""
    spans = make_spans(5000)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        for start in range(0, len(spans), 500):
            for span in spans[start : start + 500]:
                sender.sendto(line(span), daemon.udp)
            time.sleep(0.05)
    collector.wait_for(5000, 30)
    assert collector.span_ids == ids(spans)


def test_datagrams_and_streams_share_one_log(daemon: Daemon, collector: OTLPSink) -> None:
    """The books hold all of them."""
    send_datagrams(daemon.udp, line(make_span()))
    send_datagrams(address(daemon, "unix"), line(make_span()))
    send_all(daemon.socket, [make_span()])
    collector.wait_for(3)
    status = daemon.settled()
    assert status.accepted == 3
    assert status.outcomes("collector")["delivered"] == 3
