"""Acknowledged means durable: kill -9, restarts, destinations that are down."""

from __future__ import annotations

import random
import threading
import time

import pytest

from client import Client, send_all
from conftest import MakeDaemon, MakeServer
from daemon import QUICK, Daemon, eventually, free_port
from sink import OTLPSink, Reply, refuse_poison
from spans import ids, make_spans


def otlp(url: str, **more: object) -> dict[str, object]:
    """An OTLP destination that retries quickly."""
    return {"type": "otlp", "endpoint": url, **QUICK, **more}


def test_after_kill_9_every_acknowledged_span_arrives(make_daemon: MakeDaemon, make_server: MakeServer) -> None:
    """Killed right after an ack, five times; repeats are allowed, losses are not."""
    collector = make_server(OTLPSink)
    daemon = make_daemon({"collector": otlp(collector.url)})
    acknowledged: list[str] = []
    for turn in range(5):
        daemon.start()
        with Client(daemon.socket) as client:
            spans = make_spans(200 + turn)
            client.send(*spans)
            assert client.ask()["accepted"] == len(spans)
            daemon.kill()
        acknowledged += ids(spans)
    daemon.start()
    collector.wait(lambda: set(acknowledged) <= set(collector.span_ids))
    status = daemon.settled()
    assert status.accepted == len(acknowledged)
    assert status.outcomes("collector")["delivered"] == len(acknowledged)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_whatever_fails_every_acknowledged_span_has_exactly_one_fate(make_daemon: MakeDaemon, make_server: MakeServer, seed: int) -> None:
    """A platform that answers anything, kills at random moments, three destinations: the books balance and nothing is missing."""
    chance = random.Random(seed)
    moods = [Reply()] * 6 + [Reply(503), Reply(429, {"Retry-After": "0"}), Reply(action="reset"), Reply(delay=0.1), Reply(413), Reply(500)]
    moody = make_server(OTLPSink, otherwise=lambda request: chance.choice(moods))
    steady = make_server(OTLPSink)
    picky = make_server(OTLPSink, otherwise=refuse_poison("poison"))
    sinks = {"moody": moody, "steady": steady, "picky": picky}
    daemon = make_daemon({name: otlp(sink.url, max_spans=50) for name, sink in sinks.items()})
    acknowledged: list[str] = []
    poison: list[str] = []
    for _ in range(6):
        daemon.start()
        for _ in range(chance.randrange(1, 6)):
            spans = make_spans(chance.randrange(1, 300))
            if chance.random() < 0.5:
                spans[0]["name"] = "poison"
                poison.append(spans[0]["span_id"])
            assert send_all(daemon.socket, spans)["accepted"] == len(spans)
            acknowledged += ids(spans)
            daemon.status()
        time.sleep(chance.random() * 0.3)
        daemon.kill()
    moody.otherwise = lambda request: Reply()
    daemon.start()
    status = daemon.settled(60)
    assert status.accepted == len(acknowledged)
    assert status.outcomes("steady") == {"delivered": len(acknowledged)}
    assert status.outcomes("picky") == {"delivered": len(acknowledged) - len(poison), **({"dead": len(poison)} if poison else {})}
    assert set(steady.span_ids) == set(acknowledged)
    assert set(picky.span_ids) == set(acknowledged) - set(poison)
    dead = [span["span_id"] for span in daemon.dead_spans("moody")]
    assert set(moody.span_ids) | set(dead) == set(acknowledged)
    assert status.outcomes("moody").get("dead", 0) == len(dead)
    assert sorted(span["span_id"] for span in daemon.dead_spans("picky")) == sorted(poison)
    daemon.call("spool", "verify")


def test_kill_9_in_the_middle_of_a_stream_keeps_what_was_acknowledged(make_daemon: MakeDaemon, make_server: MakeServer) -> None:
    """A writer that asks every 50 spans, cut at some moment: what it had an answer for is there."""
    collector = make_server(OTLPSink)
    daemon = make_daemon({"collector": otlp(collector.url)}).start()
    spans = make_spans(20_000)
    safe = 0
    killer = threading.Timer(0.4, daemon.kill)
    killer.start()
    try:
        with Client(daemon.socket) as client:
            for start in range(0, len(spans), 50):
                client.send(*spans[start : start + 50])
                answer = client.ask()
                safe += answer["accepted"]
    except (OSError, AssertionError):
        pass
    killer.join()
    assert 0 < safe < len(spans), "the kill came too early or too late to show anything"
    daemon.start()
    collector.wait(lambda: set(ids(spans[:safe])) <= set(collector.span_ids))
    assert daemon.settled().accepted >= safe


def test_stopped_while_the_destination_is_down_nothing_is_lost(make_daemon: MakeDaemon, make_server: MakeServer) -> None:
    """The spans wait in the spool over a restart and go out when the destination is back."""
    port = free_port()
    daemon = make_daemon({"collector": otlp(f"http://127.0.0.1:{port}")}).start()
    spans = make_spans(1000)
    assert send_all(daemon.socket, spans)["accepted"] == 1000
    assert daemon.status().spooled == {"collector": 1000}
    assert daemon.stop() < 15
    collector = make_server(OTLPSink)
    daemon.config["destinations"]["collector"] = otlp(collector.url)
    daemon.write_config()
    daemon.start()
    collector.wait_for(1000)
    assert collector.span_ids == ids(spans)
    assert daemon.settled().outcomes("collector")["delivered"] == 1000


def test_a_stop_reads_to_the_end_what_was_written_before_it(make_daemon: MakeDaemon, collector: OTLPSink) -> None:
    """Spans that lie in the socket's buffer when SIGTERM comes are taken, and their writer gets its summary."""
    daemon = make_daemon({"collector": otlp(collector.url)}).start()
    spans = make_spans(300)
    with Client(daemon.socket) as client:
        client.send(*spans)
        daemon.stop()
        answer = client.read()
        assert answer is not None
        assert (answer["ack"], answer["accepted"]) == (None, 300)
    daemon.start()
    collector.wait(lambda: set(collector.span_ids) == set(ids(spans)))


def test_a_stop_is_quick_while_a_destination_hangs(make_daemon: MakeDaemon, make_server: MakeServer) -> None:
    """What is in flight is left for the next start."""
    hanging = make_server(OTLPSink, otherwise=lambda request: Reply(action="hang"))
    daemon = make_daemon({"hanging": otlp(hanging.url)}).start()
    spans = make_spans(10)
    send_all(daemon.socket, spans)
    hanging.wait(lambda: bool(hanging.requests))
    assert daemon.stop() < 20
    hanging.otherwise = lambda request: Reply()
    daemon.start()
    hanging.wait_for(10)
    assert hanging.span_ids == ids(spans)


def test_a_second_daemon_on_the_same_spool_refuses_to_start(make_daemon: MakeDaemon, collector: OTLPSink) -> None:
    """One writer; the first one goes on, the second says who is in the way and leaves nothing behind."""
    first = make_daemon({"collector": otlp(collector.url)}).start()
    second = make_daemon({"collector": otlp(collector.url)}, spool={"path": str(first.spool)})
    with pytest.raises(AssertionError, match="ended with status"):
        second.start()
    assert second.process and second.process.returncode == 1
    assert f"spool {first.spool}: another tracefwd has it open. Stop that one, or give this one a spool.path of its own" in second.log
    assert not second.socket.exists() and not second.control.exists()
    assert send_all(first.socket, make_spans(1))["accepted"] == 1
    assert first.settled().outcomes("collector") == {"delivered": 1}
    first.call("spool", "verify")


def test_the_socket_of_a_killed_daemon_is_taken_over(make_daemon: MakeDaemon, collector: OTLPSink) -> None:
    """A stale socket file does not stop the next start."""
    daemon = make_daemon({"collector": otlp(collector.url)}).start()
    daemon.kill()
    assert daemon.socket.exists()
    daemon.start()
    assert send_all(daemon.socket, make_spans(1))["accepted"] == 1


def test_a_full_spool_rejects_and_says_so(make_daemon: MakeDaemon) -> None:
    """`spool_full` where nothing may be thrown away; after it the daemon still answers."""
    destination = otlp(f"http://127.0.0.1:{free_port()}", backlog={"max": "100%", "when_full": "hold"})
    daemon = make_daemon({"down": destination}, spool={"max_size": "16MiB", "history": "0s", "reserve": "0"}).start()
    rejected: list[str] = []
    accepted = 0
    limit = time.monotonic() + 60
    with Client(daemon.socket, timeout=60) as client:
        while not rejected and time.monotonic() < limit:
            client.send(*make_spans(500, input="x" * 2000))
            answer = client.ask()
            accepted += answer["accepted"]
            rejected += [error["reason"] for error in answer["errors"]]
    assert set(rejected) == {"spool_full"}
    status = daemon.status()
    assert status.accepted == accepted == status.spooled["down"]


def test_ids_of_the_log_go_on_after_a_restart(make_daemon: MakeDaemon, collector: OTLPSink) -> None:
    """Accepted counts over the life of the spool."""
    daemon: Daemon = make_daemon({"collector": otlp(collector.url)})
    for turn in range(3):
        daemon.start()
        send_all(daemon.socket, make_spans(10))
        assert daemon.settled().accepted == (turn + 1) * 10
        daemon.stop()


def test_a_full_spool_may_drop_the_oldest(make_daemon: MakeDaemon) -> None:
    """`drop_oldest`: writers are never refused, what was dropped has an outcome, and the spool keeps its size."""
    destination = otlp(f"http://127.0.0.1:{free_port()}", backlog={"max": "100%", "when_full": "hold"})
    spool = {"max_size": "16MiB", "history": "0s", "reserve": "0", "when_full": "drop_oldest"}
    daemon = make_daemon({"down": destination}, spool=spool).start()
    with Client(daemon.socket, timeout=60) as client:
        for _ in range(40):
            client.send(*make_spans(500, input="x" * 2000))
            assert client.ask()["accepted"] == 500
    outcomes = daemon.status().outcomes("down")
    assert outcomes["expired"] > 0
    assert daemon.spool.stat().st_size < 40 << 20


@pytest.mark.parametrize(("size", "share"), [("16MiB", "4MiB"), ("64MiB", "16MiB")])
def test_a_backlog_over_its_share_expires_and_is_counted(make_daemon: MakeDaemon, collector: OTLPSink, size: str, share: str) -> None:
    """The destination that is down loses its own oldest spans; the healthy one, and the writers, lose nothing."""
    down = otlp(f"http://127.0.0.1:{free_port()}", backlog={"max": share, "when_full": "expire"})
    spool = {"max_size": size, "history": "0s", "reserve": "0"}
    daemon = make_daemon({"down": down, "up": otlp(collector.url)}, spool=spool).start()
    rounds = 80
    with Client(daemon.socket, timeout=60) as client:
        for _ in range(rounds):
            client.send(*make_spans(500, input="x" * 2000))
            assert client.ask()["accepted"] == 500
    collector.wait_for(rounds * 500, 60)
    status = eventually(lambda: (page := daemon.status()).spooled["up"] == 0 and page)
    assert status.outcomes("up") == {"delivered": rounds * 500}
    assert status.outcomes("down")["expired"] > 10_000
