"""Fan-out to destinations of every type, and what one of them may not do to another."""

from __future__ import annotations

import gzip
import json
import time
from pathlib import Path
from typing import Any

from client import send_all
from conftest import SECRET, MakeDaemon, MakeServer
from daemon import QUICK, eventually
from sink import OTLPSink, Reply, WebhookRecorder
from spans import ids, make_span, make_spans


def file_spans(path: Path) -> list[dict[str, Any]]:
    """The native spans of a file destination."""
    return [json.loads(row) for row in path.read_bytes().splitlines()] if path.exists() else []


def test_fan_out_to_every_type_at_once(make_daemon: MakeDaemon, make_server: MakeServer, recorder: WebhookRecorder, folder: Path) -> None:
    """OTLP as protobuf, as JSON, each plain and gzipped, a signed webhook, a file and the console: the same spans everywhere."""
    kinds = {f"{encoding}_{compression}": (encoding, compression) for encoding in ("protobuf", "json") for compression in ("none", "gzip")}
    sinks: dict[str, OTLPSink] = {name: make_server(OTLPSink) for name in kinds}
    archive = folder / "archive.ndjson"
    destinations: dict[str, Any] = {
        name: {"type": "otlp", "endpoint": sinks[name].url, "encoding": kinds[name][0], "compression": kinds[name][1], **QUICK}
        for name in kinds
    }
    destinations["hook"] = {"type": "webhook", "url": f"{recorder.url}/hooks/llm", "secrets": [SECRET], **QUICK}
    destinations["archive"] = {"type": "file", "path": str(archive), "linger": "20ms"}
    destinations["screen"] = {"type": "console", "linger": "20ms"}
    daemon = make_daemon(destinations).start()
    spans = make_spans(750, model="gpt-4o", resource={"service.name": "shop"})
    assert send_all(daemon.socket, spans)["accepted"] == 750
    status = daemon.settled()

    for name, (encoding, compression) in kinds.items():
        assert sinks[name].span_ids == ids(spans), name
        for request in sinks[name].requests:
            assert request.path == "/v1/traces"
            assert request.headers["content-type"] == ("application/json" if encoding == "json" else "application/x-protobuf")
            assert request.headers.get("content-encoding", "none") == compression
    reference = sorted(sinks["protobuf_none"].spans, key=lambda span: span.span_id)
    assert all(sorted(sink.spans, key=lambda span: span.span_id) == reference for sink in sinks.values())
    assert recorder.failures == []
    assert ids(recorder.spans) == ids(spans)
    assert all(request.path == "/hooks/llm" for request in recorder.requests)
    assert ids(file_spans(archive)) == ids(spans)
    assert {name: status.outcomes(name) for name in destinations} == {name: {"delivered": 750} for name in destinations}


def test_the_file_is_the_native_form_and_reads_back_the_same(make_daemon: MakeDaemon, collector: OTLPSink, folder: Path) -> None:
    """What the file destination printed, sent again, is the same span."""
    archive = folder / "archive.ndjson"
    destinations = {
        "archive": {"type": "file", "path": str(archive), "linger": "20ms"},
        "collector": {"type": "otlp", "endpoint": collector.url, **QUICK},
    }
    daemon = make_daemon(destinations).start()
    span = make_span(
        model="gpt-4o",
        input="Weather in Paris?",
        output="Rainy.",
        usage={"input_tokens": 3, "output_tokens": 4},
        attributes={"text": 'caf\u00e9 \u2028 "x"', "list": [1, 2.5, "x", None], "map": {"a": True}, "big": 9223372036854775807},
        events=[{"name": "e", "time": 1700000000000000001, "attributes": {"n": 1}}],
        links=[{"trace_id": "4bf92f3577b34da6a3ce929d0e0e4736", "span_id": "00f067aa0ba902b8"}],
        status={"code": "error", "message": "m"},
        service="shop",
    )
    send_all(daemon.socket, [span])
    (printed,) = eventually(lambda: file_spans(archive))
    assert printed["status"] == {"code": "error", "message": "m"}
    assert printed["start_time"].endswith("Z") and len(printed["start_time"].split(".")[1]) == 10
    assert send_all(daemon.socket, [printed])["accepted"] == 1
    first, second = collector.wait_for(2)
    assert first == second


def test_a_webhook_batch_is_an_envelope_with_a_stable_id(make_daemon: MakeDaemon, recorder: WebhookRecorder) -> None:
    """The same id at a retry, a fresh timestamp and signature; type, timestamp and data as the contract has them."""
    recorder.script.append(Reply(503))
    daemon = make_daemon({"hook": {"type": "webhook", "url": recorder.url, "secrets": [SECRET], **QUICK, "backoff": {"base": "1500ms"}}})
    daemon.start()
    spans = make_spans(3)
    send_all(daemon.socket, spans)
    recorder.wait(lambda: len(recorder.requests) >= 2)
    first, second = recorder.requests[:2]
    assert recorder.failures == []
    assert first.headers["webhook-id"] == second.headers["webhook-id"]
    assert first.headers["webhook-id"].startswith("tfw_") and len(first.headers["webhook-id"]) == 36
    assert first.headers["content-type"] == "application/json"
    body = json.loads(second.body)
    assert (body["type"], body["data"]["count"]) == ("llm.spans", 3)
    assert ids(body["data"]["spans"]) == ids(spans)


def test_a_webhook_signs_with_the_old_secret_too(make_daemon: MakeDaemon, make_server: MakeServer) -> None:
    """During a rotation a receiver that knows only the former secret still verifies."""
    old = make_server(WebhookRecorder, SECRET)
    new_secret = "whsec_" + "QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVo="
    daemon = make_daemon({"hook": {"type": "webhook", "url": old.url, "secrets": [new_secret, SECRET], **QUICK}}).start()
    send_all(daemon.socket, make_spans(1))
    old.wait(lambda: bool(old.requests))
    assert old.failures == []
    assert old.requests[0].headers["webhook-signature"].count("v1,") == 2


def test_a_hanging_destination_does_not_slow_the_others(make_daemon: MakeDaemon, make_server: MakeServer) -> None:
    """The median way through the healthy destination stays where it was, and acks too."""
    hanging = make_server(OTLPSink, otherwise=lambda request: Reply(action="hang"))
    healthy = make_server(OTLPSink)
    destinations = {
        "hanging": {"type": "otlp", "endpoint": hanging.url, **QUICK, "timeout": "60s"},
        "healthy": {"type": "otlp", "endpoint": healthy.url, **QUICK},
    }
    daemon = make_daemon(destinations).start()
    latencies = []
    for _ in range(40):
        begin = time.monotonic()
        sent = len(healthy.spans)
        send_all(daemon.socket, make_spans(20))
        healthy.wait_for(sent + 20)
        latencies.append(time.monotonic() - begin)
    assert hanging.requests and not hanging.spans
    assert sorted(latencies)[20] < 0.5
    assert max(latencies) < 3
    status = eventually(lambda: (page := daemon.status()).spooled["healthy"] == 0 and page)
    assert status.spooled["hanging"] == 800
    assert status.outcomes("healthy") == {"delivered": 800}


def test_a_failing_destination_does_not_slow_the_others(make_daemon: MakeDaemon, make_server: MakeServer) -> None:
    """Connection refused, resets and HTML from a proxy, beside one that works."""
    healthy = make_server(OTLPSink)
    resetting = make_server(OTLPSink, otherwise=lambda request: Reply(action="reset"))
    page = Reply(502, {"Content-Type": "text/html"}, b"<html>Bad gateway</html>")
    proxied = make_server(OTLPSink, otherwise=lambda request: page)
    destinations = {
        "refused": {"type": "otlp", "endpoint": "http://127.0.0.1:9", **QUICK},
        "resetting": {"type": "otlp", "endpoint": resetting.url, **QUICK},
        "proxied": {"type": "otlp", "endpoint": proxied.url, **QUICK},
        "healthy": {"type": "otlp", "endpoint": healthy.url, **QUICK},
    }
    daemon = make_daemon(destinations).start()
    spans = make_spans(500)
    begin = time.monotonic()
    send_all(daemon.socket, spans)
    healthy.wait_for(500)
    assert time.monotonic() - begin < 3
    assert healthy.span_ids == ids(spans)
    eventually(lambda: daemon.status().spooled == {"refused": 500, "resetting": 500, "proxied": 500, "healthy": 0})
    resetting.otherwise = proxied.otherwise = lambda request: Reply()
    resetting.wait_for(500)
    proxied.wait_for(500)
    assert set(resetting.span_ids) == set(proxied.span_ids) == set(ids(spans))


def test_a_traces_endpoint_is_taken_literally(make_daemon: MakeDaemon, collector: OTLPSink) -> None:
    """`endpoint:` is a base that gets /v1/traces and keeps its prefix, `traces_endpoint:` is used as it stands."""
    destinations = {
        "literal": {"type": "otlp", "traces_endpoint": f"{collector.url}/some/where", **QUICK},
        "base": {"type": "otlp", "endpoint": f"{collector.url}/prefix/", **QUICK},
    }
    daemon = make_daemon(destinations).start()
    send_all(daemon.socket, make_spans(1))
    collector.wait_for(2)
    assert sorted({request.path for request in collector.requests}) == ["/prefix/v1/traces", "/some/where"]


def test_headers_go_out_and_secrets_stay_in(make_daemon: MakeDaemon, collector: OTLPSink, folder: Path) -> None:
    """A literal, one from the environment, one from a file; none of them shows in a page or in the journal."""
    (folder / "key").write_text("from-a-file\n")
    headers = {"x-plain": "open", "x-env": "${TEST_TRACEFWD_KEY}", "x-file": {"file": str(folder / "key")}}
    daemon = make_daemon({"collector": {"type": "otlp", "endpoint": collector.url, "headers": headers, **QUICK}})
    daemon.start(environment={"TEST_TRACEFWD_KEY": "from-the-environment"})
    send_all(daemon.socket, make_spans(1))
    collector.wait_for(1)
    (request,) = collector.requests
    assert [request.headers[name] for name in headers] == ["open", "from-the-environment", "from-a-file"]
    assert request.headers["user-agent"].startswith("tracefwd/")
    shown = daemon.get("/metrics")[1] + daemon.log
    assert "from-the-environment" not in shown and "from-a-file" not in shown


def test_a_batch_keeps_its_limits(make_daemon: MakeDaemon, collector: OTLPSink) -> None:
    """At most `max_spans` in a request; a batch that is not full goes after `linger`."""
    daemon = make_daemon({"collector": {"type": "otlp", "endpoint": collector.url, **QUICK, "max_spans": 64}}).start()
    spans = make_spans(1000)
    send_all(daemon.socket, spans)
    collector.wait_for(1000)
    assert max(len(request.spans) for request in collector.requests) <= 64
    assert collector.span_ids == ids(spans)


def test_spans_of_one_service_share_one_resource(make_daemon: MakeDaemon, collector: OTLPSink) -> None:
    """Neighbours with equal resource and scope are merged on the way out."""
    from sink import parse_request

    daemon = make_daemon({"collector": {"type": "otlp", "endpoint": collector.url, **QUICK}}).start()
    send_all(daemon.socket, make_spans(100, service="shop"))
    collector.wait_for(100)
    messages = [parse_request(request) for request in collector.requests]
    assert sum(len(message.resource_spans) for message in messages) <= 2 * len(messages)


def test_a_file_is_rotated_by_size_and_packed(make_daemon: MakeDaemon, folder: Path) -> None:
    """No span is lost over a rotation; old files are gzipped."""
    archive = folder / "out" / "archive.ndjson"
    archive.parent.mkdir()
    destination = {"type": "file", "path": str(archive), "linger": "20ms", "rotate": {"size": "256KiB"}}
    daemon = make_daemon({"archive": destination}).start()
    spans = make_spans(2000, input="x" * 300)
    send_all(daemon.socket, spans)
    daemon.settled()
    daemon.stop()
    old = [path for path in archive.parent.iterdir() if path != archive]
    assert old and all(path.suffix == ".gz" for path in old)
    rows = [row for path in old for row in gzip.decompress(path.read_bytes()).splitlines()] + archive.read_bytes().splitlines()
    assert ids(map(json.loads, rows)) == ids(spans)
