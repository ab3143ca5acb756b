"""/healthz, /readyz and /metrics on the http source."""

from __future__ import annotations

import re
import time

import pytest

from client import Client, send_all
from conftest import MakeDaemon
from daemon import QUICK, Daemon, eventually, free_port
from sink import OTLPSink, Reply
from spans import make_spans


@pytest.fixture
def daemon(make_daemon: MakeDaemon, collector: OTLPSink) -> Daemon:
    """One destination that works, one that is down."""
    down = {"type": "otlp", "endpoint": f"http://127.0.0.1:{free_port()}", **QUICK}
    return make_daemon({"up": {"type": "otlp", "endpoint": collector.url, **QUICK}, "down": down}).start()


def test_liveness_and_readiness(daemon: Daemon) -> None:
    """200 each; a destination that is down makes the daemon neither dead nor unready."""
    assert daemon.get("/healthz")[0] == 200
    assert daemon.get("/readyz")[0] == 200
    assert daemon.get("/nothing/here")[0] == 404


def test_tcp_serves_no_control(daemon: Daemon) -> None:
    """What reads or changes spans is on the control socket only."""
    for path in ("/status", "/control/status", "/v1/status", "/dead", "/spans", "/reload"):
        assert daemon.get(path)[0] in (404, 405)


def test_metrics_are_the_ledger(daemon: Daemon, collector: OTLPSink) -> None:
    """Prometheus text that parses, whose figures are those of `status`."""
    with Client(daemon.socket) as client:
        client.send(*make_spans(50))
        client.write(b"nonsense\n")
        client.finish()
    collector.wait_for(50)
    status = daemon.status()
    while status.spooled["up"]:
        status = daemon.status()
    assert daemon.counted("tracefwd_spans_accepted_total") == status.accepted == 50
    eventually(lambda: daemon.counted("tracefwd_lines_rejected_total", reason="invalid_json") == 1, 5)
    assert daemon.counted("tracefwd_spans_total", destination="up", outcome="delivered") == 50
    assert daemon.counted("tracefwd_destination_backlog_spans", destination="down") == 50


def test_counters_survive_a_restart(daemon: Daemon, collector: OTLPSink) -> None:
    """They are the ledger, and the ledger is in the spool."""
    send_all(daemon.socket, make_spans(20))
    collector.wait_for(20)
    while daemon.status().spooled["up"]:
        pass
    daemon.stop()
    daemon.start()
    assert daemon.counted("tracefwd_spans_accepted_total") == 20
    assert daemon.counted("tracefwd_spans_total", destination="up", outcome="delivered") == 20


def test_metrics_tell_the_build_and_the_backlog(daemon: Daemon) -> None:
    """Build info, spool bytes, the age of the oldest undelivered span, breaker state."""
    send_all(daemon.socket, make_spans(1))
    names = {key.split("{")[0] for key in daemon.metrics()}
    for part in ("build_info", "spool_bytes", "oldest", "breaker"):
        assert any(part in name for name in names), f"nothing about {part} in {sorted(names)}"


def test_health_of_a_destination(make_daemon: MakeDaemon, collector: OTLPSink) -> None:
    """What its server saw is what status, its JSON, /metrics and the journal's summary say: last accepted, last error in words, backlog, oldest
    undelivered, requests by class of status, bytes, spans per request."""
    one = {"type": "otlp", "endpoint": collector.url, "max_spans": 10, "workers": 1, **QUICK}
    daemon = make_daemon({"one": one}, journal={"summary": "1s"}).start()
    # The reset comes first: on a connection that has served before, libcurl itself asks once more on a new one.
    collector.script.extend([Reply(action="reset"), Reply(503)])
    begin = time.time()
    send_all(daemon.socket, make_spans(25))
    daemon.settled()

    def seen() -> dict[str, float]:
        spans = sum(len(request.spans) for request in collector.requests)
        return {"requests": len(collector.requests), "spans": spans, "bytes": sum(len(request.body) for request in collector.requests)}

    def metric(name: str, **labels: str) -> float:
        return daemon.counted(f"tracefwd_destination_{name}", destination="one", **labels)

    def agree(answers: dict[str, int]) -> dict[str, object]:
        page = daemon.status().destinations["one"]
        figures = {"requests": page["requests"], "spans": page["request_spans"], "bytes": page["request_bytes"]}
        assert figures == seen()
        assert page["spans_per_request"] == pytest.approx(figures["spans"] / figures["requests"])
        assert page["responses"] == answers and sum(answers.values()) == figures["requests"]
        assert {name: metric("responses_total", **{"class": name}) for name in answers} == answers
        assert metric("request_bytes_total") == figures["bytes"]
        assert metric("request_spans_total") / metric("request_seconds_count") == pytest.approx(page["spans_per_request"])
        assert begin - 1 < metric("last_delivered_seconds") < time.time() + 1
        return page

    good = len(collector.requests) - 2
    page = agree({"2xx": good, "5xx": 1, "none": 1})
    assert (page["backlog_spans"], page["backlog_bytes"], page["oldest_age_seconds"]) == (0, 0, 0)
    assert page["last_delivered_age_seconds"] < 60 and page["last_delivered_at"] > page["last_error_at"]
    assert "last_error_age_seconds" not in page and page["last_error"]
    assert metric("last_error_seconds") < metric("last_delivered_seconds")
    text = daemon.call("status")
    assert "one  idle, nothing waits\n  took the last " in text
    assert f" requests of {page['spans_per_request']:.1f} spans, " in text and f": {good} 2xx, 1 5xx, 1 none\n" in text
    assert f"failed last at {page['last_error_at']}: {page['last_error']}" in text
    summary = eventually(lambda: re.search(r"one took 25 spans in \d+ batches in 1 s, .*; none waits; the last error: .+", daemon.log))
    assert re.search(rf"; {len(collector.requests)} requests of [\d.]+ KiB: {good} 2xx, 1 5xx, 1 none; ", summary[0]), summary[0]

    collector.otherwise = lambda request: Reply(503, body=b'{"message":"busy"}', headers={"content-type": "application/json"})
    send_all(daemon.socket, make_spans(5))
    eventually(lambda: metric("responses_total", **{"class": "5xx"}) >= 3)
    page = daemon.status().destinations["one"]
    assert (page["backlog_spans"], metric("backlog_spans")) == (5, 5)
    assert page["backlog_bytes"] == metric("backlog_bytes") > 5 * 50
    assert 0 < page["oldest_age_seconds"] <= metric("oldest_seconds") < 60
    assert page["last_error"] == "answered 503: busy" and page["last_error_age_seconds"] < 60
    assert metric("last_error_seconds") > metric("last_delivered_seconds")
    text = daemon.call("status")
    assert re.search(r"one  (retrying|breaker_open), 5 spans to go \(\d+ (B|KiB)\), the oldest for \d+ s\n  answered 503: busy", text)
    eventually(lambda: re.search(r"one took 0 spans in 0 batches in 1 s, the last .+ ago, .*; 5 wait \(.+\), the oldest for .+; "
                                 r"the last error: answered 503: busy", daemon.log))
