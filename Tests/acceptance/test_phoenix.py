"""A real Phoenix server (arize-phoenix): spans over the unix socket are read back from its REST API.

Phoenix binds its gRPC port on every interface whatever it is told, so server, daemon and test run in a network namespace
in which only the loopback exists:

    unshare --net sh -c 'ip link set lo up && exec pytest -m real_phoenix test_phoenix.py'
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from client import send_all
from conftest import MakeDaemon
from daemon import QUICK, Daemon, eventually, free_port
from spans import ids, make_span, make_spans

pytestmark = pytest.mark.real_phoenix

PROJECT = "shop"


class Phoenix:
    """The server, in a folder of its own."""

    def __init__(self, folder: Path) -> None:
        self.url = f"http://127.0.0.1:{free_port()}"
        self.folder = folder
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Starts it and waits until it is healthy; that takes about ten seconds."""
        environment = {
            **os.environ,
            "PHOENIX_HOST": "127.0.0.1",
            "PHOENIX_PORT": self.url.rpartition(":")[2],
            "PHOENIX_GRPC_PORT": str(free_port()),
            "PHOENIX_WORKING_DIR": str(self.folder),
            "PHOENIX_SQL_DATABASE_URL": f"sqlite:///{self.folder}/phoenix.db",
            "PHOENIX_TELEMETRY_ENABLED": "false",
            "PHOENIX_ALLOW_EXTERNAL_RESOURCES": "false",
            "PHOENIX_AGENTS_DISABLE_WEB_ACCESS": "true",
            "PHOENIX_DISABLE_AGENT_ASSISTANT": "true",
            "PHOENIX_ENABLE_MCP_SERVER": "false",
        }
        with open(self.folder / "log", "wb") as log:
            command = [Path(sys.executable).with_name("phoenix"), "serve"]
            self.process = subprocess.Popen(command, stdout=log, stderr=log, env=environment)
        eventually(lambda: self.healthy() or not self.running, 120, "Phoenix is healthy")
        assert self.running, (self.folder / "log").read_text()[-5000:]

    @property
    def running(self) -> bool:
        """Whether the process is there."""
        return self.process is not None and self.process.poll() is None

    def healthy(self) -> bool:
        """Whether it answers."""
        try:
            with urllib.request.urlopen(f"{self.url}/healthz", timeout=2) as answer:
                return answer.status == 200
        except OSError:
            return False

    def stop(self) -> None:
        """Ends it by its own pid."""
        assert self.process
        self.process.terminate()
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def spans(self, project: str = PROJECT) -> dict[str, dict[str, Any]]:
        """All spans of a project by their id; none where the project does not exist yet."""
        found: dict[str, dict[str, Any]] = {}
        cursor = ""
        while True:
            try:
                with urllib.request.urlopen(f"{self.url}/v1/projects/{project}/spans?limit=500{cursor}", timeout=20) as answer:
                    page = json.load(answer)
            except urllib.error.HTTPError as error:
                if error.code == 404:
                    return {}
                raise
            for span in page["data"]:
                assert span["context"]["span_id"] not in found
                found[span["context"]["span_id"]] = span
            if not page.get("next_cursor"):
                return found
            cursor = f"&cursor={page['next_cursor']}"

    def wait_for(self, count: int, project: str) -> dict[str, dict[str, Any]]:
        """Waits for so many spans; Phoenix inserts in the background, and reading a project is work for it."""
        limit = time.monotonic() + 120
        while len(found := self.spans(project)) < count:
            assert time.monotonic() < limit, f"{len(found)} of {count} spans in {project}\n{(self.folder / 'log').read_text()[-5000:]}"
            time.sleep(1)
        return found


@pytest.fixture(scope="module")
def phoenix(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Phoenix]:
    """One server for all tests of this file."""
    routes = Path("/proc/self/net/route").read_text().splitlines()[1:]
    assert not routes, "not in a network namespace of its own; see the head of this file"
    server = Phoenix(tmp_path_factory.mktemp("phoenix"))
    server.start()
    yield server
    server.stop()


def start(make_daemon: MakeDaemon, phoenix: Phoenix, project: str = PROJECT) -> Daemon:
    """A daemon that forwards to Phoenix as to any OTLP endpoint."""
    headers = {"x-project-name": project}
    destination = {"type": "otlp", "endpoint": phoenix.url, "compression": "gzip", "headers": headers, **QUICK}
    return make_daemon({"phoenix": destination}).start()


def same_instant(text: str, nanoseconds: int) -> bool:
    """Phoenix keeps microseconds, and rounds them through a double."""
    return abs(datetime.fromisoformat(text).timestamp() - nanoseconds / 1e9) < 5e-6


def test_a_trace_is_read_back_as_it_was_sent(make_daemon: MakeDaemon, phoenix: Phoenix) -> None:
    """Names, ids, parent, times, status, attributes, events."""
    daemon = start(make_daemon, phoenix)
    root = make_span(name="answer the customer", kind="server", attributes={"openinference.span.kind": "CHAIN"})
    call = make_span(
        trace_id=root["trace_id"],
        parent_span_id=root["span_id"],
        name="chat gpt-4o",
        model="gpt-4o",
        provider="openai",
        input="Weather in Paris?",
        output="Rainy, caf\u00e9 \U0001f327",
        usage={"input_tokens": 120, "output_tokens": 30},
        session_id="conversation-1",
        user_id="u-1",
        attributes={"custom.text": "x", "custom.number": 7, "custom.flag": True},
    )
    tool = make_span(
        trace_id=root["trace_id"],
        parent_span_id=root["span_id"],
        name="execute_tool weather",
        status={"code": "error", "message": "timed out"},
        events=[{"name": "exception", "time": root["end_time"], "attributes": {"exception.type": "Timeout"}}],
    )
    assert send_all(daemon.socket, [root, call, tool])["accepted"] == 3
    spans = phoenix.wait_for(3, PROJECT)

    for sent in (root, call, tool):
        got = spans[sent["span_id"]]
        assert got["name"] == sent["name"]
        assert got["context"]["trace_id"] == sent["trace_id"]
        assert (got["parent_id"] or None) == sent.get("parent_span_id")
        assert same_instant(got["start_time"], sent["start_time"])
        assert same_instant(got["end_time"], sent["end_time"])
    assert spans[root["span_id"]]["span_kind"] == "CHAIN"
    attributes = spans[call["span_id"]]["attributes"]
    expected = {
        "custom.text": "x",
        "custom.number": 7,
        "custom.flag": True,
        "gen_ai.request.model": "gpt-4o",
        "llm.model_name": "gpt-4o",
        "llm.token_count.prompt": 120,
        "llm.token_count.completion": 30,
        "session.id": "conversation-1",
        "user.id": "u-1",
    }
    assert {name: attributes.get(name) for name in expected} == expected
    failed = spans[tool["span_id"]]
    assert (failed["status_code"], failed["status_message"]) == ("ERROR", "timed out")
    assert [event["name"] for event in failed["events"]] == ["exception"]


def test_a_thousand_spans_arrive_once_each(make_daemon: MakeDaemon, phoenix: Phoenix) -> None:
    """Over kill -9 as well: Phoenix knows a repeat by its span id."""
    daemon = start(make_daemon, phoenix, "thousand")
    spans = make_spans(1000, service="shop")
    assert send_all(daemon.socket, spans)["accepted"] == 1000
    daemon.kill()
    daemon.start()
    found = phoenix.wait_for(1000, "thousand")
    assert sorted(found) == ids(spans)
    indexes = {span["span_id"]: span["attributes"]["test.index"] for span in spans}
    assert {span_id: span["attributes"]["test.index"] for span_id, span in found.items()} == indexes


def test_spans_sent_while_phoenix_is_down_arrive_when_it_is_back(make_daemon: MakeDaemon, phoenix: Phoenix) -> None:
    """The server is stopped and started under the daemon."""
    daemon = start(make_daemon, phoenix, "outage")
    phoenix.stop()
    spans = make_spans(50)
    assert send_all(daemon.socket, spans)["accepted"] == 50
    phoenix.start()
    assert sorted(phoenix.wait_for(50, "outage")) == ids(spans)
