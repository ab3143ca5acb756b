"""The unix stream socket (ingest contract, sections 1 and 2)."""

from __future__ import annotations

import socket
import time
from typing import Any

import pytest

from client import Client, send_all
from conftest import MakeDaemon
from daemon import QUICK, Daemon, eventually
from sink import OTLPSink, SinkSpan
from spans import ids, line, lines, make_span, make_spans


@pytest.fixture
def daemon(make_daemon: MakeDaemon, collector: OTLPSink) -> Daemon:
    """A daemon that forwards to one collector."""
    return make_daemon({"collector": {"type": "otlp", "endpoint": collector.url, **QUICK}}).start()


def only(spans: list[SinkSpan], span: dict[str, Any]) -> SinkSpan:
    """The one span with this id."""
    (found,) = [candidate for candidate in spans if candidate.span_id == span["span_id"]]
    return found


def test_acknowledged_spans_arrive_exactly_once(daemon: Daemon, collector: OTLPSink) -> None:
    """Ids are equal at the destination, nothing is lost and nothing comes twice."""
    spans = make_spans(2000)
    with Client(daemon.socket) as client:
        client.send(*spans)
        answer = client.ask()
    assert (answer["accepted"], answer["rejected"], answer["errors"]) == (2000, 0, [])
    collector.wait_for(2000)
    time.sleep(0.3)
    assert collector.span_ids == ids(spans)


def test_every_member_of_a_span_arrives_with_its_value(daemon: Daemon, collector: OTLPSink) -> None:
    """The full form of section 1, each member."""
    span = make_span(
        trace_state="vendor=1",
        flags=1,
        parent_span_id="00f067aa0ba902b7",
        kind="server",
        start_time="2023-11-14T22:13:20.123456789Z",
        end_time=1700000001000000000,
        status={"code": "error", "message": "did not work"},
        attributes={
            "text": 'caf\u00e9 \U0001f600 "quoted"\n',
            "empty": "",
            "whole": -9007199254740993,
            "most": 9223372036854775807,
            "beyond": 9223372036854775808,
            "double": 0.2,
            "yes": True,
            "no": False,
            "null": None,
            "list": [1, "two", [3.5, None]],
            "map": {"a": {"b": [True]}},
        },
        events=[{"name": "first", "time": 1700000000500000000, "attributes": {"n": 1}}],
        links=[{"trace_id": "4bf92f3577b34da6a3ce929d0e0e4736", "span_id": "00f067aa0ba902b8"}],
        resource={"service.name": "shop"},
        scope={"name": "test", "version": "1"},
        other=7,
        **{"dotted.name": "kept"},
    )
    assert send_all(daemon.socket, [span])["accepted"] == 1
    got = only(collector.wait_for(1), span)
    assert got.trace_id == span["trace_id"]
    assert got.parent_span_id == span["parent_span_id"]
    assert (got.name, got.kind, got.scope, got.trace_state, got.flags & 0xFF) == ("chat gpt-4o", 2, "test", "vendor=1", 1)
    assert (got.start, got.end) == (1700000000123456789, 1700000001000000000)
    assert (got.status, got.message) == (2, "did not work")
    assert got.resource["service.name"] == "shop"
    assert got.events == [("first", 1700000000500000000, {"n": 1})]
    assert got.links == [("4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b8")]
    expected = {**span["attributes"], "beyond": "9223372036854775808", "tracefwd.extra.other": 7, "dotted.name": "kept"}
    assert {key: got.attributes.get(key, "absent") for key in expected} == expected


def test_the_short_form_becomes_the_attributes_that_it_stands_for(daemon: Daemon, collector: OTLPSink) -> None:
    """`model`, `usage`, `input` and the others; a name is derived, ids are generated."""
    short = {
        "model": "gpt-4o",
        "provider": "openai",
        "input": "Weather?",
        "usage": {"input_tokens": 120, "output_tokens": 30, "cache_read_tokens": 20},
        "cost_usd": 0.25,
        "session_id": "s-1",
        "user_id": "u-1",
        "environment": "prod",
        "service": "shop",
        "tags": ["a", "b"],
        "metadata": {"team": "x"},
        "error": "it broke",
        "duration_ms": 812,
    }
    assert send_all(daemon.socket, [short])["accepted"] == 1
    (got,) = collector.wait_for(1)
    assert got.name == "chat gpt-4o"
    assert len(got.trace_id) == 32 and got.trace_id != "0" * 32
    assert len(got.span_id) == 16 and got.span_id != "0" * 16
    assert got.end - got.start == 812_000_000
    assert abs(got.end - time.time_ns()) < 60e9
    assert got.status == 2
    expected = {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openai",
        "gen_ai.request.model": "gpt-4o",
        "gen_ai.usage.input_tokens": 120,
        "gen_ai.usage.output_tokens": 30,
        "gen_ai.usage.cache_read.input_tokens": 20,
        "tracefwd.cost_usd": 0.25,
        "session.id": "s-1",
        "user.id": "u-1",
        "tracefwd.tags": ["a", "b"],
        "tracefwd.metadata.team": "x",
    }
    assert {key: got.attributes.get(key) for key in expected} == expected
    assert got.resource == {"service.name": "shop", "deployment.environment.name": "prod"}


@pytest.mark.parametrize(
    ("trace_id", "stored"),
    [
        ("4BF92F3577B34DA6A3CE929D0E0E4736", "4bf92f3577b34da6a3ce929d0e0e4736"),
        ("4bf92f35-77b3-4da6-a3ce-929d0e0e4736", "4bf92f3577b34da6a3ce929d0e0e4736"),
    ],
)
def test_a_trace_id_may_be_upper_case_or_a_uuid(daemon: Daemon, collector: OTLPSink, trace_id: str, stored: str) -> None:
    """It is stored as 32 lower-case digits."""
    assert send_all(daemon.socket, [make_span(trace_id=trace_id)])["accepted"] == 1
    assert collector.wait_for(1)[0].trace_id == stored


REJECTED = [
    ("invalid_json", b'{"name":"a"'),
    ("invalid_json", b"hello"),
    ("invalid_json", b'{"name":"a"} x'),
    ("invalid_json", b'{"name":01}'),
    ("invalid_utf8", b'{"name":"\xff"}'),
    ("invalid_utf8", b'{"name":"\xc0\xaf"}'),
    ("not_an_object", b"[1]"),
    ("not_an_object", b'"span"'),
    ("missing_name", b"{}"),
    ("missing_name", b'{"trace_id":"4bf92f3577b34da6a3ce929d0e0e4736"}'),
    ("bad_trace_id", b'{"name":"a","trace_id":"00000000000000000000000000000000"}'),
    ("bad_trace_id", b'{"name":"a","trace_id":"xyz"}'),
    ("bad_span_id", b'{"name":"a","span_id":"0000000000000000"}'),
    ("bad_span_id", b'{"name":"a","span_id":"123"}'),
    ("bad_timestamp", b'{"name":"a","start_time":"yesterday"}'),
    ("bad_timestamp", b'{"name":"a","start_time":"2023-13-01T00:00:00Z"}'),
    ("bad_type:attributes", b'{"name":"a","attributes":[]}'),
    ("bad_type:name", b'{"name":7}'),
    ("bad_type:ack", b'{"ack":{}}'),
    ("too_deep", b'{"name":"a","attributes":{"a":' + b"[" * 100 + b"]" * 100 + b"}}"),
    ("too_large", b'{"name":"a","attributes":{"a":"' + b"x" * (5 << 20) + b'"}}'),
]


@pytest.mark.parametrize(("reason", "bad"), REJECTED, ids=[f"{reason}-{bad[:24]!r}" for reason, bad in REJECTED])
def test_a_rejected_line_has_its_reason_and_its_number(daemon: Daemon, collector: OTLPSink, reason: str, bad: bytes) -> None:
    """Its neighbours are taken; the counter bears the reason."""
    before, after = make_span(name="before"), make_span(name="after")
    with Client(daemon.socket) as client:
        client.write(line(before) + bad + b"\n" + line(after))
        answer = client.ask()
    assert (answer["accepted"], answer["rejected"]) == (2, 1)
    assert answer["errors"] == [{"line": 2, "reason": reason}]
    collector.wait_for(2)
    assert collector.span_ids == ids([before, after])
    eventually(lambda: daemon.counted("tracefwd_lines_rejected_total", reason=reason) == 1, 5)


def test_lines_end_with_lf_or_crlf_and_the_last_one_may_lack_it(daemon: Daemon, collector: OTLPSink) -> None:
    """Empty lines are skipped; a last line without a newline is taken at the end of the stream."""
    first, second, third = make_spans(3)
    with Client(daemon.socket) as client:
        client.write(b"\n\r\n" + line(first)[:-1] + b"\r\n\n" + line(second) + line(third)[:-1])
        answer = client.finish()
    assert (answer["accepted"], answer["rejected"]) == (3, 0)
    collector.wait_for(3)
    assert collector.span_ids == ids([first, second, third])


def test_a_half_closed_client_gets_one_summary(daemon: Daemon) -> None:
    """It counts since the last answer, and `line` counts from 1 on the connection."""
    with Client(daemon.socket) as client:
        client.send(*make_spans(3))
        client.write(b"nonsense\n")
        first = client.ask("a")
        client.write(b"more nonsense\n")
        client.send(*make_spans(2))
        last = client.finish()
    assert (first["accepted"], first["rejected"]) == (3, 1)
    assert first["errors"] == [{"line": 4, "reason": "invalid_json"}]
    assert (last["accepted"], last["rejected"]) == (2, 1)
    assert last["errors"] == [{"line": 6, "reason": "invalid_json"}]


def test_an_empty_connection_gets_a_summary_of_nothing(daemon: Daemon) -> None:
    """No span, no error."""
    answer = send_all(daemon.socket, [])
    assert (answer["accepted"], answer["rejected"], answer["errors"]) == (0, 0, [])


@pytest.mark.parametrize("ack", [7, -1.5, "text", "", 'caf\u00e9 "x"', 0, 123456789012345678901234567890])
def test_an_ack_may_be_any_string_or_number(daemon: Daemon, ack: object) -> None:
    """It comes back as it was."""
    with Client(daemon.socket) as client:
        client.send(make_span())
        assert client.ask(ack)["accepted"] == 1


def test_at_most_20_errors_are_listed_and_all_are_counted(daemon: Daemon) -> None:
    """The answer stays small whatever was sent."""
    with Client(daemon.socket) as client:
        client.write(b"bad\n" * 500)
        answer = client.ask()
    assert (answer["accepted"], answer["rejected"]) == (0, 500)
    assert [error["line"] for error in answer["errors"]] == list(range(1, 21))


def test_answers_come_in_order(daemon: Daemon) -> None:
    """Many acks asked before the first is read."""
    with Client(daemon.socket) as client:
        for number in range(200):
            client.send(make_span(), {"ack": number})
        answers = [client.read() for _ in range(200)]
    assert [answer and answer["ack"] for answer in answers] == list(range(200))
    assert sum(answer["accepted"] for answer in answers if answer) == 200


def test_a_client_that_never_reads_is_a_good_citizen(daemon: Daemon, collector: OTLPSink) -> None:
    """Its spans are taken without an answer being read, and after it has gone too."""
    spans = make_spans(500)
    with socket.socket(socket.AF_UNIX) as writer:
        writer.connect(str(daemon.socket))
        writer.sendall(lines(spans))
    collector.wait_for(500)
    assert collector.span_ids == ids(spans)


def test_a_client_that_asks_and_never_reads_loses_answers_not_spans(daemon: Daemon, collector: OTLPSink) -> None:
    """20,000 acks are asked for and none is read; other clients are served meanwhile."""
    with Client(daemon.socket, timeout=60) as silent:
        sent = 0
        for batch in range(200):
            silent.write(b"".join(line(make_span()) + line({"ack": batch * 100 + turn}) for turn in range(100)))
            sent += 100
        neighbour = make_span(name="neighbour")
        assert send_all(daemon.socket, [neighbour])["accepted"] == 1
        collector.wait_for(sent + 1, 60)
    assert len(set(collector.span_ids)) == sent + 1


def test_many_clients_at_once_each_get_their_own_answers(daemon: Daemon, collector: OTLPSink) -> None:
    """Counts do not mix between connections."""
    clients = [Client(daemon.socket) for _ in range(50)]
    for number, client in enumerate(clients):
        client.send(*make_spans(number))
        client.write(b"bad\n" * (number % 3))
    answers = [client.finish() for client in clients]
    assert [answer["accepted"] for answer in answers] == list(range(50))
    assert [answer["rejected"] for answer in answers] == [number % 3 for number in range(50)]
    collector.wait_for(sum(range(50)))
    for client in clients:
        client.socket.close()


def test_generated_ids_are_equal_at_every_redelivery(daemon: Daemon, collector: OTLPSink) -> None:
    """A lost answer makes the daemon send again: the same ids."""
    from sink import Reply

    collector.script.append(Reply(503))
    send_all(daemon.socket, [{"name": "no ids"}])
    eventually(lambda: len(collector.requests) >= 2)
    first, second = (request.spans[0] for request in collector.requests[:2])
    assert (first.trace_id, first.span_id, first.start, first.end) == (second.trace_id, second.span_id, second.start, second.end)


def test_a_span_stays_one_span_when_it_comes_in_pieces(daemon: Daemon, collector: OTLPSink) -> None:
    """One byte at a time, and a span of 3 MiB."""
    small = make_span(attributes={"text": "caf\u00e9"})
    large = make_span(attributes={"text": "x" * (3 << 20)})
    with Client(daemon.socket) as client:
        for index in range(len(line(small))):
            client.write(line(small)[index : index + 1])
        client.send(large)
        assert client.finish()["accepted"] == 2
    spans = collector.wait_for(2)
    assert only(spans, small).attributes["text"] == "caf\u00e9"
    assert len(only(spans, large).attributes["text"]) == 3 << 20
