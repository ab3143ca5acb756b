"""Native spans for the tests: dictionaries with random ids, and the line that one becomes on the wire."""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Iterable
from typing import Any

Span = dict[str, Any]


def make_span(**members: Any) -> Span:
    """A chat span as an instrumented application sends it; `members` replace or add."""
    end = time.time_ns()
    return {
        "trace_id": secrets.token_hex(16),
        "span_id": secrets.token_hex(8),
        "name": "chat gpt-4o",
        "kind": "client",
        "start_time": end - 812_345_678,
        "end_time": end,
        **members,
    }


def make_spans(count: int, **members: Any) -> list[Span]:
    """Spans told apart by their ids and by the attribute `test.index`."""
    return [make_span(**{"attributes": {"test.index": index}, **members}) for index in range(count)]


def line(value: object) -> bytes:
    """One JSON value as one line."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"


def lines(values: Iterable[object]) -> bytes:
    """One line for each value."""
    return b"".join(map(line, values))


def ids(spans: Iterable[Span]) -> list[str]:
    """The span ids, sorted: equal lists mean the same spans, each as often."""
    return sorted(span["span_id"] for span in spans)
