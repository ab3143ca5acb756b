"""Langfuse through the real daemon, before a fake of it on loopback; and the two commands that ask a platform: check --probe, send --test."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from client import send_all
from conftest import MakeDaemon, MakeServer
from daemon import QUICK
from sink import OTLPSink, Received, Reply, Server, parse_request, spans_of
from spans import make_spans

PUBLIC, SECRET_KEY = "pk-lf-1", "sk-lf-sesame"


class Langfuse(Server):
    """Its doors for health, key and spans; a span without sound ids refuses a whole request."""

    def __init__(self, version: str = "4.16.0") -> None:
        super().__init__(self.answer)
        self.version = version
        self.names: dict[tuple[str, str], str] = {}
        self.kinds: dict[str, str] = {}

    @staticmethod
    def json(status: int, value: Any) -> Reply:
        """An answer in JSON."""
        return Reply(status, {"Content-Type": "application/json"}, json.dumps(value).encode())

    def answer(self, request: Received) -> Reply:
        """As the contract has it."""
        if request.path == "/api/public/health":
            return self.json(200, {"status": "OK", "version": self.version})
        key = base64.b64encode(f"{PUBLIC}:{SECRET_KEY}".encode()).decode()
        if request.headers.get("authorization") != f"Basic {key}":
            return self.json(401, {"message": "Invalid credentials"})
        if request.path == "/api/public/projects":
            return self.json(200, {"data": [{"id": "p-1", "name": "shop"}]})
        assert request.path == "/api/public/otel/v1/traces" and request.method == "POST"
        assert request.headers["x-langfuse-ingestion-version"] == "4" and request.headers["content-encoding"] == "gzip"
        spans = spans_of(parse_request(request))
        if any("bad" in span.name for span in spans):
            return self.json(400, {"message": "Invalid trace or span id"})
        for span in spans:
            self.names[span.trace_id, span.span_id] = span.name
            self.kinds[span.name] = span.attributes["langfuse.observation.type"]
        return self.json(200, {"id": "job-1"})


@pytest.fixture
def langfuse(make_server: MakeServer) -> Langfuse:
    """One that takes everything but bad spans."""
    return make_server(Langfuse)


def destination(server: Server, secret: str = SECRET_KEY, **keys: Any) -> dict[str, Any]:
    """Its configuration."""
    return {"type": "langfuse", "endpoint": server.url, "public_key": PUBLIC, "secret_key": secret, **keys}


def test_every_span_arrives_once_and_a_bad_one_costs_itself(make_daemon: MakeDaemon, langfuse: Langfuse) -> None:
    """300 spans in several requests; the bad one is found by halving."""
    daemon = make_daemon({"langfuse": destination(langfuse, **QUICK)}).start()
    spans = make_spans(300, model="gpt-4o")
    spans[123]["name"] = "bad"
    assert send_all(daemon.socket, spans)["accepted"] == 300
    status = daemon.settled()
    assert status.outcomes("langfuse") == {"delivered": 299, "dead": 1}
    assert len(langfuse.names) == 299
    assert set(langfuse.kinds.values()) == {"generation"}
    assert [letter["reason"] for letter in daemon.dead()] == ["http_400"]


def test_probe_says_in_words_what_works(make_daemon: MakeDaemon, make_server: MakeServer, langfuse: Langfuse, collector: OTLPSink) -> None:
    """Health, version, key and project; a collector can only be connected to. Nothing is sent."""
    good = {"langfuse": destination(langfuse), "collector": {"type": "otlp", "endpoint": collector.url}}
    said = make_daemon(good).call("check", "--probe")
    assert 'Langfuse 4.16.0 is up; the key is of the project "shop"' in said
    assert f"collector  ok: {collector.url}/v1/traces: connected" in said
    assert langfuse.names == {} and collector.requests == []
    old = make_server(Langfuse, "3.20.1")
    silent = make_server(Server, lambda request: Reply(503))
    bad = {"wrong": destination(langfuse, "sk-lf-other"), "old": destination(old), "down": destination(silent)}
    result = make_daemon(bad).run("check", "--probe")
    assert result.returncode == 1
    rows = {row.split()[0]: row for row in result.stdout.splitlines()[1:]}
    assert "FAILS" in rows["wrong"] and "the key is refused (answered 401: Invalid credentials)" in rows["wrong"]
    assert "FAILS" in rows["old"] and "3.20.1 has no OTLP door" in rows["old"]
    assert "FAILS" in rows["down"] and "answered 503" in rows["down"]
    assert "sesame" not in result.stdout + result.stderr


def test_send_test_sends_one_marked_span_past_the_daemon(make_daemon: MakeDaemon, langfuse: Langfuse, collector: OTLPSink) -> None:
    """To one destination or all, with the daemon stopped, and says what was answered."""
    daemon = make_daemon({"langfuse": destination(langfuse), "collector": {"type": "otlp", "endpoint": collector.url}})
    said = daemon.call("send", "--test", "--to", "langfuse")
    assert f"langfuse: {langfuse.url} took it" in said
    ((trace, _),) = langfuse.names
    assert trace in said and langfuse.kinds == {"tracefwd test": "generation"} and collector.requests == []
    daemon.call("send", "--test")
    assert len(langfuse.names) == 2 and len(collector.spans) == 1
    daemon.config["destinations"]["langfuse"]["secret_key"] = "sk-lf-other"
    daemon.write_config()
    result = daemon.run("send", "--test", "--to", "langfuse")
    assert result.returncode == 1 and "Invalid credentials" in result.stdout and "sk-lf-other" not in result.stdout + result.stderr
    assert daemon.run("send", "--test", "--to", "nobody").returncode == 1
    assert daemon.run("send", "--to", "langfuse").returncode != 0
