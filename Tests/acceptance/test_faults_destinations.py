"""Destinations that fail in every way: the others and the writers do not feel it, a person is told what it is, and nothing is lost.

What stands elsewhere: test_answers.py (what each status leads to), test_transport.py (TLS), test_destinations.py (latency of the others).
"""

from __future__ import annotations

import json
import secrets
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import front
from certificates import Authority, server_context
from client import send_all
from conftest import MakeDaemon, MakeServer
from daemon import QUICK, Daemon, eventually
from faults import assert_no_flood, assert_others_are_served, assert_sound, assert_told, journal, small_disk
from front import Fault, Front, FullBacklog
from sink import OTLPSink, Reply, partial_success
from spans import Span, ids, make_span, make_spans

IN_TROUBLE = {"retrying", "breaker_open"}
JOURNAL_LINES_MAX = 60


@pytest.fixture
def healthy(make_server: MakeServer) -> OTLPSink:
    """The other destination, to which nothing may happen."""
    return make_server(OTLPSink)


@pytest.fixture
def target(make_server: MakeServer) -> OTLPSink:
    """What stands behind the destination in trouble when the fault is over."""
    return make_server(OTLPSink)


@pytest.fixture
def make_front(target: OTLPSink) -> Iterator[Callable[[Fault | None], Front]]:
    """`make_front(fault)` stands before `target`."""
    made: list[Front] = []

    def make(fault: Fault | None) -> Front:
        made.append(Front(target.port, fault))
        return made[-1]

    yield make
    for each in made:
        each.stop()


def start(make_daemon: MakeDaemon, healthy: OTLPSink, bad: dict[str, Any], **popen: Any) -> Daemon:
    """A daemon with the destinations `bad` and `good`."""
    quick = {**QUICK, "backoff": {"base": "50ms", "max": "500ms"}}
    destinations = {"bad": {"type": "otlp", **quick, **bad}, "good": {"type": "otlp", "endpoint": healthy.url, **QUICK}}
    return make_daemon(destinations).start(**popen)


def state_and_words(daemon: Daemon) -> tuple[str, str]:
    """What `status --json` says of the destination in trouble."""
    page = daemon.status().destinations["bad"]
    return page["state"], f"{page['detail']} {page.get('last_error', '')}"


def assert_trouble_is_shown(daemon: Daemon, states: set[str], words: str, seconds: float = 10) -> None:
    """`status` for people and for scripts, and /metrics, while it lasts."""

    def shown() -> bool:
        state, said = state_and_words(daemon)
        return state in states and words in said

    try:
        eventually(shown, seconds)
    except AssertionError:
        raise AssertionError(f"neither {states} nor {words!r}: {state_and_words(daemon)}") from None
    assert words in eventually(lambda: (text := daemon.call("status")) and words in text and text, 5)
    assert eventually(lambda: any(daemon.counted("tracefwd_destination_state", destination="bad", state=state) == 1 for state in states), 5)
    assert daemon.counted("tracefwd_destination_state", destination="good", state="idle") + daemon.counted(
        "tracefwd_destination_state", destination="good", state="delivering"
    ) == 1


def assert_all_arrive(daemon: Daemon, target: OTLPSink, healthy: OTLPSink, spans: list[Span], seconds: float = 20) -> None:
    """Each span at both destinations, in the books once."""
    try:
        target.wait(lambda: set(ids(spans)) <= set(target.span_ids), seconds)
    except AssertionError as error:
        raise AssertionError(f"{error}\n{daemon.call('status')}") from None
    status = assert_sound(daemon, len(spans))
    assert status.outcomes("bad") == status.outcomes("good") == {"delivered": len(spans)}
    assert set(healthy.span_ids) == set(target.span_ids) == set(ids(spans))
    assert daemon.dead() == []
    assert_no_flood(daemon, JOURNAL_LINES_MAX)


# ---------------------------------------------------------------------------------------------------- no answer, or half of one

FAULTS: list[tuple[str, Fault, str]] = [
    ("black_hole", front.black_hole, "timed out"),
    ("reset_in_the_body", front.reset_in_the_body, "reset"),
    ("cut_answer", front.cut_answer, "reset"),
    ("trickle", front.trickle, "timed out"),
    ("endless", front.endless, "timed out"),
    ("endless_head", front.endless_head, "header"),
    ("another_protocol", front.another_protocol, "HTTP/0.9"),
]


@pytest.mark.parametrize(("fault", "words"), [case[1:] for case in FAULTS], ids=[case[0] for case in FAULTS])
def test_a_destination_that_does_not_answer(
    make_daemon: MakeDaemon, make_front: Callable[[Fault | None], Front], target: OTLPSink, healthy: OTLPSink, fault: Fault, words: str
) -> None:
    """Whatever stands in the way of an answer: retried, told, held off by the breaker, over when it is over."""
    port = make_front(fault)
    daemon = start(make_daemon, healthy, {"endpoint": port.url, "timeout": "500ms"})
    spans = assert_others_are_served(daemon, healthy)
    assert_trouble_is_shown(daemon, IN_TROUBLE, words)
    eventually(lambda: daemon.counted("tracefwd_destination_retries_total", destination="bad") >= 3)
    spans += assert_others_are_served(daemon, healthy)
    assert_told(daemon, "warning", "bad gave no answer to", words)
    assert daemon.memory_mib() < 300
    port.heal()
    assert_all_arrive(daemon, target, healthy, spans)


def test_a_destination_that_refuses_connections(
    make_daemon: MakeDaemon, make_front: Callable[[Fault | None], Front], target: OTLPSink, healthy: OTLPSink
) -> None:
    """Nobody listens: after five failures in a row there is a probe now and then, no more; then somebody listens."""
    port = make_front(None)
    daemon = start(make_daemon, healthy, {"endpoint": port.url})
    spans = assert_others_are_served(daemon, healthy)
    # Until the daemon knows of it, which is more than that they have arrived.
    eventually(lambda: daemon.counted("tracefwd_spans_total", destination="bad", outcome="delivered") == 20)
    port.refuse()
    spans += assert_others_are_served(daemon, healthy)
    assert_trouble_is_shown(daemon, {"breaker_open"}, "Failed to connect to 127.0.0.1")
    eventually(lambda: daemon.counted("tracefwd_destination_breaker_open", destination="bad") == 1)
    assert_told(daemon, "bad failed 5 times in a row", "Failed to connect", "sending stops, a probe goes in", at_most=5)
    assert daemon.counted("tracefwd_destination_backlog_spans", destination="bad") == 20
    time.sleep(2)
    assert_told(daemon, "Failed to connect", at_most=15)
    port.listen_again()
    assert_all_arrive(daemon, target, healthy, spans)
    assert_told(daemon, "info", "bad is back after", at_most=1)


def test_a_host_that_swallows_connections(make_daemon: MakeDaemon, target: OTLPSink, healthy: OTLPSink) -> None:
    """A connection that never opens ends by `connect_timeout`; a new address is taken over by a reload."""
    swallows = FullBacklog()
    daemon = start(make_daemon, healthy, {"endpoint": f"http://127.0.0.1:{swallows.port}", "connect_timeout": "300ms"})
    spans = assert_others_are_served(daemon, healthy)
    assert_trouble_is_shown(daemon, IN_TROUBLE, "Timeout was reached")
    eventually(lambda: journal(daemon, "bad failed 5 times in a row"))
    spans += assert_others_are_served(daemon, healthy)
    assert_told(daemon, "bad gave no answer to", "Timeout was reached")
    swallows.stop()
    daemon.config["destinations"]["bad"]["endpoint"] = target.url
    daemon.write_config()
    daemon.call("reload")
    assert_all_arrive(daemon, target, healthy, spans)


def test_a_name_that_does_not_resolve(make_daemon: MakeDaemon, target: OTLPSink, healthy: OTLPSink, folder: Path) -> None:
    """The name is looked up anew at each attempt. The daemon sees hosts and resolv.conf of the test's own: nothing asks the network."""
    hosts, resolver = folder / "hosts", folder / "resolv.conf"
    hosts.write_text("127.0.0.1 localhost\n")
    resolver.write_text("nameserver 127.0.0.1\noptions timeout:1 attempts:1\n")
    script = 'mount --bind "$0" /etc/hosts && mount --bind "$1" /etc/resolv.conf && shift && exec "$@"'
    wrapper = ["unshare", "--mount", "sh", "-c", script, str(hosts), str(resolver)]
    probe = subprocess.run([*wrapper, "true"], capture_output=True, text=True)
    if probe.returncode:
        pytest.skip(f"needs a mount namespace, which cannot be made here: {probe.stderr.strip()}")
    daemon = start(make_daemon, healthy, {"endpoint": f"http://collector.invalid:{target.port}"}, command=wrapper)
    spans = assert_others_are_served(daemon, healthy)
    assert_trouble_is_shown(daemon, IN_TROUBLE, "Could not resolve host: collector.invalid", 20)
    spans += assert_others_are_served(daemon, healthy)
    assert_told(daemon, "warning", "bad gave no answer to", "Could not resolve host: collector.invalid")
    hosts.write_text("127.0.0.1 localhost collector.invalid\n")
    assert_all_arrive(daemon, target, healthy, spans)


# ---------------------------------------------------------------------------------------------------- TLS


def test_a_certificate_that_cannot_be_trusted(make_daemon: MakeDaemon, make_server: MakeServer, healthy: OTLPSink, folder: Path) -> None:
    """Of an authority that nobody knows, then for another host, then the right one: it is told which, and nothing is sent before."""
    authority, stranger = Authority(folder / "ca", "test authority"), Authority(folder / "stranger", "a stranger")
    context = server_context(stranger.issue("server"))
    target = make_server(OTLPSink, tls=context)
    daemon = start(make_daemon, healthy, {"endpoint": target.url, "tls": {"ca_file": str(authority.pair.certificate)}})
    spans = assert_others_are_served(daemon, healthy)
    assert_trouble_is_shown(daemon, IN_TROUBLE, "certificate")
    other = authority.issue("other", "DNS:example.com")
    context.load_cert_chain(other.certificate, other.key)
    assert_trouble_is_shown(daemon, IN_TROUBLE, "127.0.0.1")
    assert_told(daemon, "warning", "bad gave no answer to", "certificate")
    assert target.requests == []
    spans += assert_others_are_served(daemon, healthy)
    right = authority.issue("right")
    context.load_cert_chain(right.certificate, right.key)
    assert_all_arrive(daemon, target, healthy, spans)


def test_a_server_that_speaks_no_tls(make_daemon: MakeDaemon, target: OTLPSink, healthy: OTLPSink) -> None:
    """`https` in the configuration, `http` over there."""
    daemon = start(make_daemon, healthy, {"endpoint": target.url.replace("http:", "https:")})
    spans = assert_others_are_served(daemon, healthy)
    assert_trouble_is_shown(daemon, IN_TROUBLE, "SSL")
    assert_told(daemon, "warning", "bad gave no answer to", "SSL")
    daemon.config["destinations"]["bad"]["endpoint"] = target.url
    daemon.write_config()
    daemon.call("reload")
    assert_all_arrive(daemon, target, healthy, spans)


def test_a_handshake_that_never_ends(make_daemon: MakeDaemon, make_server: MakeServer, healthy: OTLPSink, folder: Path) -> None:
    """The connection opens, TLS is never answered: `connect_timeout` holds for that too."""
    authority = Authority(folder / "ca", "test authority")
    target = make_server(OTLPSink, tls=server_context(authority.issue("server")))
    port = Front(target.port, front.black_hole)
    try:
        tls = {"ca_file": str(authority.pair.certificate)}
        bad = {"endpoint": port.url.replace("http:", "https:"), "tls": tls, "connect_timeout": "300ms", "timeout": "60s"}
        daemon = start(make_daemon, healthy, bad)
        spans = assert_others_are_served(daemon, healthy)
        assert_trouble_is_shown(daemon, IN_TROUBLE, "SSL")
        spans += assert_others_are_served(daemon, healthy)
        port.heal()
        assert_all_arrive(daemon, target, healthy, spans)
    finally:
        port.stop()


# ---------------------------------------------------------------------------------------------------- answers


def test_a_storm_of_429_with_an_hour_to_wait(make_daemon: MakeDaemon, target: OTLPSink, healthy: OTLPSink) -> None:
    """It is asked to wait for an hour, and waits; the journal says for how long; a person who knows better says `resume`."""
    target.otherwise = lambda request: Reply(429, {"Retry-After": "3600"})
    daemon = start(make_daemon, healthy, {"endpoint": target.url, "max_spans": 5})
    spans = assert_others_are_served(daemon, healthy, 100)
    assert_trouble_is_shown(daemon, IN_TROUBLE, "answered 429")
    assert "the platform asks to wait 3" in state_and_words(daemon)[1] or "tried again in 3" in state_and_words(daemon)[1]
    time.sleep(1)
    assert len(target.requests) <= 4, "one for each worker, and no more"
    assert_told(daemon, "warning", "bad answered 429", "in 1 h", at_most=5)
    spans += assert_others_are_served(daemon, healthy)
    target.otherwise = lambda request: Reply()
    daemon.call("resume", "bad")
    assert_all_arrive(daemon, target, healthy, spans)


def test_a_redirect_loop(make_daemon: MakeDaemon, target: OTLPSink, healthy: OTLPSink) -> None:
    """Redirects are not followed: spans and keys go nowhere that nobody has configured. It is told what to configure."""
    target.otherwise = lambda request: Reply(302, {"Location": f"{target.url}/v1/traces"})
    daemon = start(make_daemon, healthy, {"endpoint": target.url})
    spans = assert_others_are_served(daemon, healthy)
    assert_trouble_is_shown(daemon, {"paused"}, "redirects are not followed")
    spans += assert_others_are_served(daemon, healthy)
    time.sleep(1)
    assert len(target.requests) <= 4
    assert_told(daemon, "error", "bad is paused, it answered 302", "redirects are not followed", "endpoint", at_most=1)
    assert not journal(daemon, "bad is paused", "check its key"), "the key has nothing to do with it"
    target.otherwise = lambda request: Reply()
    daemon.call("reload")
    assert_all_arrive(daemon, target, healthy, spans)


def test_html_with_200(make_daemon: MakeDaemon, target: OTLPSink, healthy: OTLPSink) -> None:
    """By OTLP a 2xx is a delivery, whatever its body; that a page of HTML came back is told, once: a login page may stand there."""
    target.otherwise = lambda request: Reply(200, {"Content-Type": "text/html; charset=utf-8"}, b"<html>please log in</html>")
    daemon = start(make_daemon, healthy, {"endpoint": target.url, "max_spans": 5})
    spans = assert_others_are_served(daemon, healthy, 50)
    assert_all_arrive(daemon, target, healthy, spans)
    assert_told(daemon, "warning", "bad: answered 200 with text/html", "check its endpoint", at_most=1)
    assert not journal(daemon, "log in")


def test_200_with_a_partial_error(make_daemon: MakeDaemon, target: OTLPSink, healthy: OTLPSink) -> None:
    """The refused are counted and told with the platform's words; the others are delivered; it goes on."""
    target.script.append(partial_success(3, "3 spans were too old"))
    daemon = start(make_daemon, healthy, {"endpoint": target.url, "linger": "300ms"})
    spans = assert_others_are_served(daemon, healthy)
    eventually(lambda: daemon.dead("bad"))
    assert_told(daemon, "error", "bad refused 3 spans for good", "3 spans were too old", "tracefwd dead list bad", at_most=1)
    assert "3 spans were too old" in daemon.call("dead", "list")
    assert "dead 3" in daemon.call("status")
    assert daemon.counted("tracefwd_dead_letters", destination="bad") == 3
    assert daemon.counted("tracefwd_spans_total", destination="bad", outcome="dead", reason="partial_unknown") == 3
    spans += assert_others_are_served(daemon, healthy)
    status = assert_sound(daemon, len(spans))
    assert status.outcomes("bad") == {"delivered": len(spans) - 3, "dead": 3}


def test_413_of_a_span_that_never_fits(make_daemon: MakeDaemon, target: OTLPSink, healthy: OTLPSink) -> None:
    """Told by its reason; the rest went through (test_answers.py has the halving)."""
    target.otherwise = lambda request: Reply(413) if any(span.name == "huge" for span in request.spans) else Reply()
    daemon = start(make_daemon, healthy, {"endpoint": target.url})
    huge = make_span(name="huge")
    send_all(daemon.socket, [huge])
    spans = [huge, *assert_others_are_served(daemon, healthy)]
    eventually(lambda: daemon.dead("bad"))
    assert_told(daemon, "error", "bad refused 1 span for good with 413", "too_large", "tracefwd dead list bad", at_most=1)
    status = assert_sound(daemon, len(spans))
    assert status.outcomes("bad") == {"delivered": len(spans) - 1, "dead": 1}
    assert status.outcomes("good") == {"delivered": len(spans)}


def test_500_for_one_poison_span_among_good_ones(make_daemon: MakeDaemon, target: OTLPSink, healthy: OTLPSink) -> None:
    """A server that breaks on one span: it is found, put aside, and holds nothing up; after the repair a replay delivers it."""

    def breaks(request: Any) -> Reply:
        return Reply(500, {"Content-Type": "application/json"}, b'{"message":"boom"}') if "poison" in names(request) else Reply()

    def names(request: Any) -> set[str]:
        return {span.name for span in request.spans}

    target.otherwise = breaks
    daemon = start(make_daemon, healthy, {"endpoint": target.url, "max_spans": 20})
    poison = make_span(name="poison")
    assert send_all(daemon.socket, [*make_spans(5), poison, *make_spans(5)])["accepted"] == 11
    total = 11
    limit = time.monotonic() + 40
    while not journal(daemon, "put aside") and time.monotonic() < limit:
        total += len(assert_others_are_served(daemon, healthy, 5))
    assert_told(daemon, "warning", "bad fails on 1 span while others pass", "put aside", "tracefwd dead list bad", at_most=1)
    status = assert_sound(daemon, total)
    assert status.outcomes("bad") == {"delivered": total - 1, "dead": 1}
    (letter,) = daemon.dead("bad")
    assert (letter["state"], letter["status"], letter["next_at"] is not None) == ("parked", 500, True)
    assert "boom" in letter["detail"]
    assert daemon.counted("tracefwd_dead_letters", destination="bad", state="parked") == 1
    assert poison["span_id"] not in target.span_ids
    target.otherwise = lambda request: Reply()
    daemon.call("dead", "replay", "bad")
    target.wait(lambda: poison["span_id"] in target.span_ids)
    eventually(lambda: daemon.dead("bad") == [])
    assert_no_flood(daemon, JOURNAL_LINES_MAX)


def test_a_platform_that_gives_each_refusal_words_of_its_own(make_daemon: MakeDaemon, target: OTLPSink, healthy: OTLPSink) -> None:
    """300 spans refused one by one, each with a request id in the message: 300 dead letters with their words, a few lines of journal."""
    target.otherwise = lambda request: Reply(
        400, {"Content-Type": "application/json"}, json.dumps({"message": f"no, request {secrets.token_hex(8)}"}).encode()
    )
    daemon = start(make_daemon, healthy, {"endpoint": target.url, "max_spans": 1})
    spans = assert_others_are_served(daemon, healthy, 300)
    status = assert_sound(daemon, len(spans))
    assert status.outcomes("bad") == {"dead": 300}
    assert len({letter["detail"] for letter in daemon.dead("bad")}) == 300
    daemon.stop()
    assert_told(daemon, "error", "bad refused 1 span for good with 400", "tracefwd dead list bad", at_most=40)


@pytest.mark.parametrize(("status", "advice"), [(401, "check its key"), (403, "check its key"), (404, "check its endpoint")])
def test_a_refused_key_or_path_is_told_with_its_remedy(
    make_daemon: MakeDaemon, target: OTLPSink, healthy: OTLPSink, status: int, advice: str
) -> None:
    """One line, at error; what is delivered elsewhere is not held up (test_answers.py has the pause itself)."""
    target.otherwise = lambda request: Reply(status)
    daemon = start(make_daemon, healthy, {"endpoint": target.url, "max_spans": 5})
    spans = assert_others_are_served(daemon, healthy)
    assert_trouble_is_shown(daemon, {"paused"}, f"({status})")
    spans += assert_others_are_served(daemon, healthy)
    assert_told(daemon, "error", f"bad is paused, it answered {status}", advice, "tracefwd reload", at_most=1)
    target.otherwise = lambda request: Reply()
    daemon.call("reload")
    assert_all_arrive(daemon, target, healthy, spans)


def test_a_file_destination_on_a_full_disk(make_daemon: MakeDaemon, healthy: OTLPSink, folder: Path) -> None:
    """It waits for space as others wait for a server, and the archive has every span once, each line whole."""
    with small_disk(folder / "disk", 1) as disk:
        archive, filler = disk / "archive.ndjson", disk / "filler"
        quick = {**QUICK, "backoff": {"base": "50ms", "max": "500ms"}}
        destinations = {"bad": {"type": "file", "path": str(archive), **quick}, "good": {"type": "otlp", "endpoint": healthy.url, **QUICK}}
        daemon = make_daemon(destinations).start()
        spans = assert_others_are_served(daemon, healthy)
        eventually(lambda: daemon.status().spooled["bad"] == 0)
        with open(filler, "wb", buffering=0) as file:
            try:
                while True:
                    file.write(b"x" * 4096)
            except OSError:
                pass
        for _ in range(3):
            spans += assert_others_are_served(daemon, healthy)
        assert_trouble_is_shown(daemon, IN_TROUBLE, "No space left on device")
        assert_told(daemon, "warning", f"{archive}: cannot be written", "No space left on device")
        filler.unlink()
        status = assert_sound(daemon, len(spans))
        assert status.outcomes("bad") == {"delivered": len(spans)}
        assert sorted(json.loads(row)["span_id"] for row in archive.read_bytes().splitlines()) == ids(spans)
        daemon.stop()
