"""What the parser makes of native spans, against the contract (ingest, section 1) and the OpenTelemetry project's own messages.

Thousands of spans are generated from a seed, given to `tracefwd debug-parse`, decoded by `opentelemetry-proto`, and compared name by name,
type by type, value by value with what this file, independently, says they are:

    python intake_check.py [--count 5000] [--seed 1] [--tool "path/to/tracefwd debug-parse"]
"""

from __future__ import annotations

import argparse
import json
import random
import shlex
import struct
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from fractions import Fraction
from typing import Any

from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, Span

WORDS = ["a", "b", "gen_ai.request.model", "user.id", "déjà", "名前", "emoji 😀", 'quote " and \\', "line\nbreak", "", "x" * 130, "tab\t"]
KINDS = ["internal", "server", "client", "producer", "consumer"]
CODES = ["unset", "ok", "error"]
INT64 = range(-(2**63), 2**63)


class Generator:
    """Spans as they are sent, each with what must come out."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)

    def chance(self, one_in: int) -> bool:
        return self.random.randrange(one_in) == 0

    def text(self) -> str:
        return "".join(self.random.choice(WORDS) for _ in range(self.random.randrange(4)))

    def hex(self, digits: int) -> str:
        return f"{self.random.randrange(1, 16**digits):0{digits}x}"

    def value(self, depth: int = 3) -> Any:
        kind = self.random.randrange(9 if depth else 6)
        if kind == 0:
            return self.random.choice([None, True, False])
        if kind == 1:
            return self.random.choice([0, 1, -1, 127, 128, 2**63 - 1, -(2**63), 2**63, -(2**63) - 1, 10**40, self.random.getrandbits(63)])
        if kind == 2:
            return self.random.choice([0.0, -0.0, 0.1, 1e300, 5e-324, self.random.uniform(-1, 1), self.random.uniform(-1, 1) * 10 ** self.random.randrange(300)])
        if kind in (6, 7):
            return {self.text(): self.value(depth - 1) for _ in range(self.random.randrange(4))}
        if kind == 8:
            return [self.value(depth - 1) for _ in range(self.random.randrange(4))]
        return self.text()

    def attributes(self) -> dict[str, Any]:
        return {self.text(): self.value() for _ in range(self.random.randrange(5))}

    def time(self) -> tuple[Any, int]:
        """A time as it may be sent, and its nanoseconds."""
        seconds, nanos = self.random.randrange(1_000_000_000, 4_000_000_000), self.random.randrange(1_000_000_000)
        whole = seconds * 1_000_000_000 + nanos
        form = self.random.randrange(6)
        if form == 0:
            return whole, whole
        if form == 1:
            return whole // 1_000, whole // 1_000 * 1_000
        if form == 2:
            return whole // 1_000_000, whole // 1_000_000 * 1_000_000
        if form == 3:
            return seconds, seconds * 1_000_000_000
        if form == 4:
            return str(whole), whole
        zone = timezone(timedelta(minutes=self.random.randrange(-1_400, 1_400)))
        local = datetime.fromtimestamp(seconds, zone)
        offset = local.strftime("%z")
        return local.strftime("%Y-%m-%dT%H:%M:%S") + f".{nanos:09d}{offset[:3]}:{offset[3:5]}", whole

    def span(self) -> tuple[dict[str, Any], dict[str, Any]]:
        line: dict[str, Any] = {"name": self.text() or "n"}
        expected: dict[str, Any] = {"name": line["name"], "kind": 1, "attributes": {}, "resource": {}, "events": [], "links": []}
        attributes: dict[str, Any] = expected["attributes"]
        short: dict[str, Any] = {}
        if self.chance(2):
            line["trace_id"] = self.hex(32).upper() if self.chance(2) else self.hex(32)
            expected["trace_id"] = bytes.fromhex(line["trace_id"])
        if self.chance(2):
            line["span_id"] = self.hex(16)
            expected["span_id"] = bytes.fromhex(line["span_id"])
        if self.chance(2):
            line["parent_span_id"] = self.hex(16)
            expected["parent_span_id"] = bytes.fromhex(line["parent_span_id"])
        if self.chance(2):
            expected["kind"] = self.random.randrange(1, 6)
            line["kind"] = KINDS[expected["kind"] - 1]
        self.times(line, expected)
        if self.chance(2):
            line["status"] = {"code": self.random.choice(CODES), "message": self.text()}
            expected["status"] = (CODES.index(line["status"]["code"]), line["status"]["message"])
        if self.chance(3):
            line["error"] = {"type": "T", "message": self.text()}
            short["error.type"] = "T"
            expected.setdefault("status", (2, line["error"]["message"]))
        for member, attribute in [("model", "gen_ai.request.model"), ("provider", "gen_ai.provider.name"), ("session_id", "session.id"), ("user_id", "user.id")]:
            if self.chance(3):
                line[member] = short[attribute] = self.text()
        if "model" in line:
            short["gen_ai.operation.name"] = "chat"
        for member, attribute, role in [("input", "gen_ai.input.messages", "user"), ("output", "gen_ai.output.messages", "assistant")]:
            if self.chance(3):
                line[member] = self.text()
                short[attribute] = [{"role": role, "parts": [{"type": "text", "content": line[member]}]}]
        if self.chance(3):
            line["usage"] = {"prompt_tokens": 12, "completion_tokens": 3, "prompt_tokens_details": {"cached_tokens": 5}, "total_tokens": 15}
            short |= {f"gen_ai.usage.{name}": count for name, count in
                      [("input_tokens", 12), ("output_tokens", 3), ("cache_read.input_tokens", 5), ("total_tokens", 15)]}
        elif self.chance(3):
            line["usage"] = {"input_tokens": 1, "cache_creation_input_tokens": 20, "cache_read_input_tokens": 300, "output_tokens": 4}
            short |= {f"gen_ai.usage.{name}": count for name, count in
                      [("input_tokens", 321), ("cache_write.input_tokens", 20), ("cache_read.input_tokens", 300), ("output_tokens", 4)]}
        if self.chance(4):
            line["cost_usd"] = short["tracefwd.cost_usd"] = self.random.random()
        if self.chance(4):
            line["tags"] = short["tracefwd.tags"] = [self.text() for _ in range(self.random.randrange(4))]
        if self.chance(4):
            line["metadata"] = self.attributes()
            short |= {f"tracefwd.metadata.{key}": value for key, value in line["metadata"].items()}
        if self.chance(3):
            line["vendor.detail"] = short["vendor.detail"] = self.value()
        if self.chance(3):
            line["anything"] = short["tracefwd.extra.anything"] = self.value()
        if self.chance(2):
            line["attributes"] = self.attributes()
        attributes |= short | line.get("attributes", {})
        if self.chance(2):
            line["resource"] = self.attributes()
            expected["resource"] = dict(line["resource"])
        if self.chance(3):
            line["service"] = self.text()
            expected["resource"].setdefault("service.name", line["service"])
        if self.chance(3):
            line["scope"] = {"name": self.text(), "version": "1.0", "attributes": self.attributes()}
            expected["scope"] = line["scope"]
        self.events(line, expected)
        if self.chance(4):
            line["links"] = [{"trace_id": self.hex(32), "span_id": self.hex(16), "attributes": self.attributes(), "flags": 1}]
            expected["links"] = line["links"]
        items = list(line.items())
        self.random.shuffle(items)
        return dict(items), expected

    def times(self, line: dict[str, Any], expected: dict[str, Any]) -> None:
        if self.chance(2):
            line["start_time"], expected["start"] = self.time()
        if self.chance(2):
            line["end_time"], expected["end"] = self.time()
        if self.chance(2):
            line["duration_ms"] = self.random.choice([0, 7, 12.5, 0.000001, 3600000])
            length = int(Fraction(repr(line["duration_ms"])) * 1_000_000)
            if "start" in expected and "end" not in expected:
                expected["end"] = expected["start"] + length
            elif "start" not in expected:
                expected["length"] = length

    def events(self, line: dict[str, Any], expected: dict[str, Any]) -> None:
        if not self.chance(3):
            return
        line["events"] = []
        for _ in range(self.random.randrange(3)):
            event: dict[str, Any] = {"name": self.text(), "attributes": self.attributes()}
            wanted = {"name": event["name"], "attributes": event["attributes"], "time": None}
            if self.chance(2):
                event["time"], wanted["time"] = self.time()
            line["events"].append(event)
            expected["events"].append(wanted)


def same(got: AnyValue, wanted: Any) -> bool:
    """Whether a value is `wanted`, of the type that the contract gives it."""
    kind = got.WhichOneof("value")
    if wanted is None:
        return kind is None
    if isinstance(wanted, bool):
        return kind == "bool_value" and got.bool_value is wanted
    if isinstance(wanted, int):
        return (kind == "int_value" and got.int_value == wanted) if wanted in INT64 else (kind == "string_value" and got.string_value == str(wanted))
    if isinstance(wanted, float):
        return kind == "double_value" and struct.pack("<d", got.double_value) == struct.pack("<d", wanted)
    if isinstance(wanted, str):
        return kind == "string_value" and got.string_value == wanted
    if isinstance(wanted, list):
        values = got.array_value.values
        return kind == "array_value" and len(values) == len(wanted) and all(map(same, values, wanted))
    return kind == "kvlist_value" and same_attributes(got.kvlist_value.values, wanted)


def same_attributes(got: Any, wanted: dict[str, Any]) -> bool:
    pairs: list[KeyValue] = list(got)
    return len(pairs) == len(wanted) and all(pair.key in wanted and same(pair.value, wanted[pair.key]) for pair in pairs)


def differences(content: bytes, expected: dict[str, Any], received: range) -> Iterator[str]:
    """The names of what is not as expected."""
    message = ResourceSpans.FromString(content)
    if len(message.scope_spans) != 1 or len(message.scope_spans[0].spans) != 1:
        yield "shape"
        return
    scope, span = message.scope_spans[0].scope, message.scope_spans[0].spans[0]
    if message.HasField("resource") != bool(expected["resource"]) or not same_attributes(message.resource.attributes, expected["resource"]):
        yield "resource"
    wanted_scope = expected.get("scope", {"name": "", "version": "", "attributes": {}})
    if (scope.name, scope.version) != (wanted_scope["name"], wanted_scope["version"]) or not same_attributes(scope.attributes, wanted_scope["attributes"]):
        yield "scope"
    if span.name != expected["name"]:
        yield "name"
    if span.kind != expected["kind"]:
        yield "kind"
    if expected.get("trace_id", span.trace_id) != span.trace_id or len(span.trace_id) != 16 or not any(span.trace_id):
        yield "trace_id"
    if expected.get("span_id", span.span_id) != span.span_id or len(span.span_id) != 8 or not any(span.span_id):
        yield "span_id"
    if span.parent_span_id != expected.get("parent_span_id", b""):
        yield "parent_span_id"
    if (span.status.code, span.status.message) != expected.get("status", (0, "")):
        yield "status"
    if not same_attributes(span.attributes, expected["attributes"]):
        yield "attributes"
    yield from time_differences(span, expected, received)
    if len(span.events) != len(expected["events"]) or not all(
        got.name == wanted["name"] and same_attributes(got.attributes, wanted["attributes"])
        and got.time_unix_nano == (span.end_time_unix_nano if wanted["time"] is None else wanted["time"])
        for got, wanted in zip(span.events, expected["events"])
    ):
        yield "events"
    if len(span.links) != len(expected["links"]) or not all(
        got.trace_id.hex() == wanted["trace_id"] and got.span_id.hex() == wanted["span_id"] and got.flags == 1
        and same_attributes(got.attributes, wanted["attributes"])
        for got, wanted in zip(span.links, expected["links"])
    ):
        yield "links"
    if message.SerializeToString() != content:  # fields in order, lengths as short as can be, nothing unknown
        yield "bytes"


def time_differences(span: Span, expected: dict[str, Any], received: range) -> Iterator[str]:
    start, end = span.start_time_unix_nano, span.end_time_unix_nano
    if "start" in expected:
        if start != expected["start"]:
            yield "start_time"
        if "end" not in expected and not (end == start or end in received):
            yield "end_time (received)"
    elif start != end - expected.get("length", 0):
        yield "start_time (derived)"
    if "end" in expected and end != expected["end"]:
        yield "end_time"
    if "start" not in expected and "end" not in expected and end not in received:
        yield "end_time (received)"


def rejections() -> list[tuple[str, str]]:
    """A few lines that are no spans, and why."""
    return [
        ("{", "invalid_json"), ("[]", "not_an_object"), ("{}", "missing_name"), ('{"name":"n","trace_id":"0"}', "bad_trace_id"),
        ('{"name":"n","span_id":"xyz"}', "bad_span_id"), ('{"name":"n","start_time":"noon"}', "bad_timestamp"), ('{"name":7}', "bad_type:name"),
        ('{"name":"n","x":' + "[" * 64 + "]" * 64 + "}", "too_deep"), ('{"name":"\\ud800"}', "invalid_json"),
        ('{"name":"n","attributes":{' + ",".join(f'"k{i}":1' for i in range(1001)) + "}}", "too_large"),
    ]


def answers(output: bytes) -> Iterator[tuple[int, bytes]]:
    """What `debug-parse` wrote: a byte (0 span, 1 rejected), a big-endian length of 4 bytes, and so many bytes."""
    at = 0
    while at < len(output):
        kind, length = struct.unpack_from(">BI", output, at)
        yield kind, output[at + 5 : at + 5 + length]
        at += 5 + length


def check(tool: list[str], count: int, seed: int) -> int:
    """The number of lines that did not become what they should."""
    generator = Generator(seed)
    spans = [generator.span() for _ in range(count)]
    lines = [json.dumps(line, ensure_ascii=index % 2 == 0, separators=(",", ":") if index % 3 else None) for index, (line, _) in enumerate(spans)]
    refused = rejections()
    began = time.time_ns()
    run = subprocess.run(tool, input="\n".join(lines + [line for line, _ in refused] + [""]).encode(), stdout=subprocess.PIPE, check=True)
    received = range(began - 2_000_000_000, time.time_ns() + 2_000_000_000)
    results = list(answers(run.stdout))
    failures = abs(len(results) - count - len(refused))
    for (kind, content), line, (_, expected) in zip(results, lines, spans):
        if kind != 0:
            wrong = [content.decode()]
        else:
            wrong = list(differences(content, expected, received))
        if wrong:
            failures += 1
            print(f"again: --seed {seed}; {', '.join(wrong)}: {line[:2000]}", file=sys.stderr)
    for (kind, content), (line, reason) in zip(results[count:], refused):
        if (kind, content.decode()) != (1, reason):
            failures += 1
            print(f"{reason} expected, got {kind} {content!r}: {line[:200]}", file=sys.stderr)
    return failures


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=5_000, help="spans to generate")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(2**32), help="another run each time, unless given")
    parser.add_argument("--tool", default=".build/debug/tracefwd debug-parse", help="what reads lines and writes messages")
    options = parser.parse_args()
    failures = check(shlex.split(options.tool), options.count, options.seed)
    print(f"{options.count} spans, seed {options.seed}: {failures} not as the contract says")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
