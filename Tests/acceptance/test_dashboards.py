"""The Prometheus alerts and the Grafana board in packaging/: each metric and each label that they name is on /metrics."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from typing import Any

import pytest
from client import send_all
from conftest import MakeDaemon
from daemon import CHECKOUT, QUICK
from sink import OTLPSink
from spans import make_spans

ALERTS = CHECKOUT / "packaging/prometheus/alerts.yaml"
BOARD = CHECKOUT / "packaging/grafana/tracefwd.json"
# What Prometheus itself adds to each sample.
SCRAPED = {"instance", "job"}


def board_expressions() -> list[str]:
    """Every query of the board: panels, variables, annotations."""
    found: list[str] = []

    def walk(value: Any) -> None:
        if isinstance(value, dict):
            found.extend(text for key, text in value.items() if key in ("expr", "query") and isinstance(text, str))
            for each in value.values():
                walk(each)
        elif isinstance(value, list):
            for each in value:
                walk(each)

    walk(json.loads(BOARD.read_text()))
    return found


def alert_expressions() -> list[str]:
    """What stands between `expr:` and the next key of each rule."""
    return re.findall(r"expr:(.*?)\n\s+(?:for|labels):", ALERTS.read_text(), re.DOTALL)


@pytest.mark.parametrize("expressions", [alert_expressions, board_expressions])
def test_every_metric_and_label_exists(make_daemon: MakeDaemon, collector: OTLPSink, expressions: Any) -> None:
    """A name that is on no page would never raise an alert or draw a line, and nobody would know."""
    daemon = make_daemon({"collector": {"type": "otlp", "endpoint": collector.url, **QUICK}})
    daemon.start()
    send_all(daemon.socket, [*make_spans(3), {"trace_id": "bad"}])
    collector.wait_for(3)
    daemon.settled()
    page = daemon.get("/metrics")[1]
    families = set(re.findall(r"^# TYPE (\S+)", page, re.MULTILINE))
    labels = set(re.findall(r'[{,]([a-z_]+)="', page)) | SCRAPED

    named = expressions()
    assert len(named) > 10, "the expressions were not found"
    for text in named:
        plain = re.sub(r'"[^"]*"', '""', text)
        for name in re.findall(r"\btracefwd_[a-z_]+", plain):
            assert re.sub(r"_(bucket|sum|count)$", "", name) in families, f"{name} is not on /metrics: {text}"
        selectors = re.findall(r"\b([a-z_]+)\s*(?:=~|!~|!=|=)\s*\"\"", plain)
        grouped = [word.strip() for group in re.findall(r"\b(?:by|on)\s*\(([^)]*)\)", plain) for word in group.split(",")]
        for name in {*selectors, *grouped}:
            assert name in labels, f"the label {name} is on no sample of /metrics: {text}"


def test_the_alerts_are_raised_as_they_should() -> None:
    """Prometheus' own tool runs the cases beside the alerts."""
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("promtool is not here; Debian's package prometheus has it")
    for words in (["check", "rules", ALERTS.name], ["test", "rules", "alerts_test.yaml"]):
        result = subprocess.run([promtool, *words], cwd=ALERTS.parent, capture_output=True, text=True, timeout=60)
        assert result.returncode == 0, result.stdout + result.stderr
