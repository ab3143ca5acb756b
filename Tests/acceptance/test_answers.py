"""What each answer of a platform leads to (DESIGN section 5, otlp contract A.4)."""

from __future__ import annotations

import time
from typing import Any

import pytest

from client import send_all
from conftest import SECRET, MakeDaemon, MakeServer
from daemon import QUICK, Daemon, eventually
from sink import PROTOBUF, OTLPSink, Reply, WebhookRecorder, partial_success, refuse_poison
from spans import ids, make_span, make_spans


def start(make_daemon: MakeDaemon, sink: OTLPSink, **more: Any) -> Daemon:
    """A daemon with one OTLP destination named `sink`."""
    return make_daemon({"sink": {"type": "otlp", "endpoint": sink.url, **QUICK, **more}}).start()


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504])
def test_a_passing_failure_is_retried(make_daemon: MakeDaemon, collector: OTLPSink, status: int) -> None:
    """Twice refused, then taken: each span arrives once."""
    collector.script.extend([Reply(status), Reply(status)])
    daemon = start(make_daemon, collector)
    spans = make_spans(10)
    send_all(daemon.socket, spans)
    collector.wait_for(10)
    assert collector.span_ids == ids(spans)
    assert daemon.settled().outcomes("sink") == {"delivered": 10}


@pytest.mark.parametrize("reply", [Reply(action="reset"), Reply(502, {"Content-Type": "text/html"}, b"<html>no</html>" * 1000)])
def test_a_reset_or_a_page_of_html_is_retried(make_daemon: MakeDaemon, collector: OTLPSink, reply: Reply) -> None:
    """Whatever stands in the way of an answer."""
    collector.script.append(reply)
    daemon = start(make_daemon, collector)
    spans = make_spans(3)
    send_all(daemon.socket, spans)
    collector.wait_for(3)
    assert daemon.settled().outcomes("sink") == {"delivered": 3}


@pytest.mark.parametrize("status", [429, 503])
def test_retry_after_is_respected(make_daemon: MakeDaemon, collector: OTLPSink, status: int) -> None:
    """Not sooner than the platform asked for."""
    collector.script.append(Reply(status, {"Retry-After": "2"}))
    daemon = start(make_daemon, collector, backoff={"base": "50ms", "max": "10s"})
    send_all(daemon.socket, make_spans(1))
    collector.wait_for(1)
    assert 1.8 < collector.requests[1].at - collector.requests[0].at < 6


def test_a_timeout_is_retried(make_daemon: MakeDaemon, collector: OTLPSink) -> None:
    """A destination that takes the request and is silent."""
    collector.script.append(Reply(action="hang"))
    daemon = start(make_daemon, collector, timeout="1s")
    spans = make_spans(2)
    send_all(daemon.socket, spans)
    collector.wait_for(2)
    assert collector.span_ids == ids(spans)


def test_a_slow_destination_gets_everything(make_daemon: MakeDaemon, make_server: MakeServer) -> None:
    """300 ms an answer: nothing is sent twice, nothing is lost."""
    slow = make_server(OTLPSink, otherwise=lambda request: Reply(delay=0.3))
    daemon = start(make_daemon, slow, max_spans=50)
    spans = make_spans(500)
    send_all(daemon.socket, spans)
    slow.wait_for(500)
    assert slow.span_ids == ids(spans)
    assert daemon.settled().outcomes("sink") == {"delivered": 500}


def test_one_poison_span_becomes_one_dead_letter(make_daemon: MakeDaemon, make_server: MakeServer) -> None:
    """400 for any batch that holds it: bisected, all others are delivered, and it is listed."""
    picky = make_server(OTLPSink, otherwise=refuse_poison("poison"))
    daemon = start(make_daemon, picky)
    spans = make_spans(200)
    poison = make_span(name="poison")
    send_all(daemon.socket, [*spans[:77], poison, *spans[77:]])
    picky.wait_for(200)
    assert set(picky.span_ids) == set(ids(spans))
    assert daemon.settled().outcomes("sink") == {"delivered": 200, "dead": 1}
    (letter,) = daemon.dead()
    assert (letter["destination"], letter["state"], letter["status"]) == ("sink", "dead", 400)
    assert ids(daemon.dead_spans()) == [poison["span_id"]]
    assert len(picky.requests) < 25


def test_a_dead_letter_is_replayed_after_the_repair(make_daemon: MakeDaemon, make_server: MakeServer) -> None:
    """Show it, repair the platform, replay: delivered with the same ids, and the list is empty."""
    picky = make_server(OTLPSink, otherwise=refuse_poison("poison"))
    daemon = start(make_daemon, picky)
    poison = make_span(name="poison", input="a prompt")
    send_all(daemon.socket, [poison])
    eventually(daemon.dead)
    assert ids(daemon.dead_spans()) == [poison["span_id"]]
    picky.otherwise = lambda request: Reply()
    daemon.call("dead", "replay", "sink")
    picky.wait_for(1)
    assert (picky.spans[0].trace_id, picky.spans[0].span_id) == (poison["trace_id"], poison["span_id"])
    eventually(lambda: daemon.dead() == [])


def test_a_replay_that_fails_again_stays_a_dead_letter(make_daemon: MakeDaemon, make_server: MakeServer) -> None:
    """Nothing is lost by trying too early, and a kill in the middle does not lose it either."""
    picky = make_server(OTLPSink, otherwise=refuse_poison("poison"))
    daemon = start(make_daemon, picky)
    send_all(daemon.socket, [make_span(name="poison")])
    eventually(daemon.dead)
    seen = len(picky.requests)
    daemon.call("dead", "replay", "sink", "--no-wait")
    picky.wait(lambda: len(picky.requests) > seen)
    daemon.kill()
    daemon.start()
    eventually(lambda: len(daemon.dead()) == 1)


def test_dead_letters_are_purged_on_demand(make_daemon: MakeDaemon, make_server: MakeServer) -> None:
    """And counted as purged, not lost."""
    picky = make_server(OTLPSink, otherwise=lambda request: Reply(400))
    daemon = start(make_daemon, picky)
    send_all(daemon.socket, make_spans(5))
    eventually(lambda: len(daemon.dead()) == 5)
    daemon.call("dead", "purge", "sink", "--all")
    assert daemon.dead() == []
    assert daemon.status().outcomes("sink") == {"dead": 5}


@pytest.mark.parametrize("status", [401, 403, 404])
def test_a_refusal_of_the_key_or_path_pauses(make_daemon: MakeDaemon, make_server: MakeServer, status: int) -> None:
    """No storm of attempts, no dead letters; a resume after the repair delivers."""
    sink = make_server(OTLPSink, otherwise=lambda request: Reply(status))
    daemon = start(make_daemon, sink, max_spans=10)
    spans = make_spans(100)
    send_all(daemon.socket, spans)
    eventually(lambda: "paus" in daemon.status().state("sink"))
    time.sleep(1)
    assert len(sink.requests) <= 8
    status_page = daemon.status()
    assert status_page.spooled["sink"] == 100
    assert daemon.dead() == []
    sink.otherwise = lambda request: Reply()
    daemon.call("resume", "sink")
    sink.wait_for(100)
    assert sink.span_ids == ids(spans)


def test_413_halves_the_batch(make_daemon: MakeDaemon, make_server: MakeServer) -> None:
    """Until it fits; a span that is too large alone is a dead letter."""

    def at_most_10(request: Any) -> Reply:
        return Reply(413) if len(request.spans) > 10 or any(span.name == "huge" for span in request.spans) else Reply()

    sink = make_server(OTLPSink, otherwise=at_most_10)
    daemon = start(make_daemon, sink)
    spans = make_spans(100)
    huge = make_span(name="huge")
    send_all(daemon.socket, [*spans, huge])
    sink.wait_for(100)
    assert daemon.settled().outcomes("sink") == {"delivered": 100, "dead": 1}
    assert ids(daemon.dead_spans()) == [huge["span_id"]]
    assert set(sink.span_ids) == set(ids(spans))


def test_a_partial_success_counts_the_refused(make_daemon: MakeDaemon, collector: OTLPSink) -> None:
    """Which ones is not known: n are dead with reason partial_unknown, nothing is sent again."""
    collector.script.append(partial_success(3, "3 were too old"))
    daemon = start(make_daemon, collector, linger="300ms")
    send_all(daemon.socket, make_spans(10))
    collector.wait(lambda: bool(collector.requests))
    outcomes = daemon.settled().outcomes("sink")
    assert outcomes == {"delivered": 7, "dead": 3}
    assert len(collector.requests) == 1
    assert [(letter["reason"], letter["weight"]) for letter in daemon.dead()] == [("partial_unknown", 3)]


def test_a_partial_success_of_everything_refuses_everything(make_daemon: MakeDaemon, collector: OTLPSink) -> None:
    """n equals the batch: each span is a dead letter that can be replayed."""
    collector.script.append(partial_success(4, "no"))
    daemon = start(make_daemon, collector, linger="300ms")
    spans = make_spans(4)
    send_all(daemon.socket, spans)
    collector.wait(lambda: bool(collector.requests))
    assert daemon.settled().outcomes("sink") == {"dead": 4}
    assert ids(daemon.dead_spans()) == ids(spans)


@pytest.mark.parametrize(
    "reply",
    [
        partial_success(0, "a warning"),
        Reply(200, {"Content-Type": PROTOBUF}, b"\x0a\x00"),
        Reply(200, {"Content-Type": "application/json"}, b"{}"),
        Reply(200, {"Content-Type": "application/json"}, b'{"partialSuccess":{}}'),
        Reply(200, {"Content-Type": "text/html"}, b"<html>welcome</html>"),
        Reply(200, {"Content-Type": PROTOBUF}, b"\xff\xff\xff"),
        Reply(202),
        Reply(204),
    ],
    ids=["warning", "empty", "json", "json-empty-partial", "html", "undecodable", "202", "204"],
)
def test_other_successes_are_deliveries(make_daemon: MakeDaemon, collector: OTLPSink, reply: Reply) -> None:
    """Whatever body comes with them."""
    collector.script.append(reply)
    daemon = start(make_daemon, collector)
    send_all(daemon.socket, make_spans(2))
    assert daemon.settled().outcomes("sink") == {"delivered": 2}
    assert daemon.dead() == []


def test_a_partial_success_in_json_is_read_by_its_own_content_type(make_daemon: MakeDaemon, collector: OTLPSink) -> None:
    """The request was protobuf, the answer is not."""
    body = b'{"partialSuccess":{"rejectedSpans":"2","errorMessage":"no"}}'
    collector.script.append(Reply(200, {"Content-Type": "application/json"}, body))
    daemon = start(make_daemon, collector, linger="300ms")
    send_all(daemon.socket, make_spans(5))
    assert daemon.settled().outcomes("sink") == {"delivered": 3, "dead": 2}


def test_410_disables_a_webhook(make_daemon: MakeDaemon, make_server: MakeServer) -> None:
    """The receiver said that it is gone: no more requests until a person acts."""
    gone = make_server(WebhookRecorder, SECRET, otherwise=lambda request: Reply(410))
    daemon = make_daemon({"hook": {"type": "webhook", "url": gone.url, "secrets": [SECRET], **QUICK}}).start()
    send_all(daemon.socket, make_spans(5))
    gone.wait(lambda: bool(gone.requests))
    eventually(lambda: daemon.status().state("hook") == "disabled")
    requests = len(gone.requests)
    send_all(daemon.socket, make_spans(5))
    time.sleep(1)
    assert len(gone.requests) == requests
    assert daemon.status().spooled["hook"] == 10


def test_the_breaker_opens_and_closes(make_daemon: MakeDaemon, make_server: MakeServer) -> None:
    """After failures in a row few attempts are made; when the platform is back everything arrives."""
    down = make_server(OTLPSink, otherwise=lambda request: Reply(503))
    daemon = start(make_daemon, down, breaker={"failures": 3}, max_spans=10)
    spans = make_spans(300)
    send_all(daemon.socket, spans)
    down.wait(lambda: len(down.requests) >= 3)
    time.sleep(1)
    assert len(down.requests) < 40
    down.otherwise = lambda request: Reply()
    down.wait_for(300)
    assert down.span_ids == ids(spans)
    assert daemon.settled().outcomes("sink") == {"delivered": 300}
