"""/healthz, /readyz and /metrics on the http source."""

from __future__ import annotations

import pytest

from client import Client, send_all
from conftest import MakeDaemon
from daemon import QUICK, Daemon, eventually, free_port
from sink import OTLPSink
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
