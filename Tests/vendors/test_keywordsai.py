"""What we write for Keywords AI, read by the vendor's own packages: the golden bytes of Tests/Fixtures/keywordsai through the models of
respan-api, each name of an attribute against respan-sdk's list of those that become columns, and what the vendor's own client and exporter
do with answers (contract keywordsai, section 5)."""

import http.server
import json
import pathlib
import threading

import pytest

respan = pytest.importorskip("respan", reason="respan-api is not installed: PyPI cannot be reached")
otlp_constants = pytest.importorskip("respan_sdk.constants.otlp_constants", reason="respan-sdk is not installed: PyPI cannot be reached")

from google.protobuf.json_format import MessageToDict  # noqa: E402
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest  # noqa: E402
from respan.traces.types.create_trace_request_resource_spans_item import CreateTraceRequestResourceSpansItem  # noqa: E402
from respan.types.span_create_request import SpanCreateRequest  # noqa: E402

FIXTURES = pathlib.Path(__file__).resolve().parents[1] / "Fixtures" / "keywordsai"
CASES = sorted(path.name.removesuffix(".json") for path in FIXTURES.glob("*.json") if path.name.count(".") == 1)

# Not on the vendor's list, and yet written by its own exporters (contract, sections 2 and 5).
UNLISTED = {"cost", "gen_ai.system", "llm.request.functions", "traceloop.entity.name"}
# What tracefwd adds; the attributes before them are the sender's.
FIRST_ADDED = "respan.entity.log_type"


def otlp(case):
    return json.loads((FIXTURES / f"{case}.otlp.json").read_bytes())


def spans(body):
    return [span for resource in body["resourceSpans"] for scope in resource["scopeSpans"] for span in scope["spans"]]


def stored_names(case):
    """The names that the sender's span has in the spool, as far as its own file tells."""
    return set(json.loads((FIXTURES / f"{case}.json").read_bytes()).get("attributes", {}))


@pytest.mark.parametrize("case", CASES)
def test_the_vendors_model_takes_our_otlp(case):
    for item in otlp(case)["resourceSpans"]:
        read = CreateTraceRequestResourceSpansItem(**item)
        sent, seen = spans({"resourceSpans": [item]}), [span for scope in read.scope_spans for span in scope.spans]
        assert [(span.trace_id, span.span_id, span.name) for span in seen] == [(s["traceId"], s["spanId"], s["name"]) for s in sent]
        assert [span.start_time_unix_nano for span in seen] == [s["startTimeUnixNano"] for s in sent]
        assert [len(span.attributes) for span in seen] == [len(s["attributes"]) for s in sent]


@pytest.mark.parametrize("case", CASES)
def test_each_name_that_we_add_becomes_a_column(case):
    for span in spans(otlp(case)):
        names = [attribute["key"] for attribute in span["attributes"]]
        assert len(names) == len(set(names)), "an attribute is there twice"
        added = [name for name in names[names.index(FIRST_ADDED) :] if name not in stored_names(case)] if FIRST_ADDED in names else []
        for name in added:
            known = name in otlp_constants.ALL_PROMOTED_KEYS or name.startswith(("gen_ai.prompt.", "gen_ai.completion."))
            assert known or name in UNLISTED, f"{name} becomes no column"


@pytest.mark.parametrize("case", CASES)
def test_types_are_those_that_the_vendor_reads(case):
    """Texts of JSON are JSON, counts are integers, the cost is a double."""
    for span in spans(otlp(case)):
        for attribute in span["attributes"]:
            key, value = attribute["key"], attribute["value"]
            if key in ("traceloop.entity.input", "traceloop.entity.output", "respan.metadata") or key.endswith(".tool_calls"):
                json.loads(value["stringValue"])
            if key.endswith("_tokens") and not key.startswith("gen_ai.request."):
                assert int(value["intValue"]) >= 0
            if key == "cost":
                assert isinstance(value["doubleValue"], float)
            if key == "respan.metadata":
                assert all(isinstance(item, str) for item in json.loads(value["stringValue"]).values())


def test_protobuf_and_json_say_the_same():
    request = ExportTraceServiceRequest.FromString(bytes.fromhex((FIXTURES / "contract.otlp.hex").read_text()))
    by_protobuf = spans(MessageToDict(request))[0]["attributes"]
    by_json = spans(otlp("contract"))[0]["attributes"]
    assert [a["key"] for a in by_protobuf] == [a["key"] for a in by_json]
    for one, other in zip(by_protobuf, by_json):
        assert one["value"] == other["value"], one["key"]


@pytest.mark.parametrize("case", CASES)
def test_the_vendors_model_takes_our_rows(case):
    for row in json.loads((FIXTURES / f"{case}.logs.json").read_bytes())["logs"]:
        read = SpanCreateRequest(**row)
        declared = set(SpanCreateRequest.model_fields)
        unknown = set(row) - declared
        assert not unknown, f"{unknown}: no member of the vendor's schema"
        assert read.model and read.status_code
        assert "respan_params" not in row and "keywordsai_params" not in row
        if read.timestamp and read.latency is not None:
            assert (read.timestamp - read.start_time).total_seconds() == pytest.approx(read.latency, abs=1e-6)


class Recorder(http.server.BaseHTTPRequestHandler):
    """Answers with what `answers` holds, the last one for ever, and keeps what came."""

    answers: list = []
    seen: list = []

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        type(self).seen.append((self.path, dict(self.headers), body))
        status, answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        answer = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_):
        pass


@pytest.fixture
def recorder():
    handler = type("Handler", (Recorder,), {"answers": [(200, {})], "seen": []})
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    handler.base = f"http://127.0.0.1:{server.server_address[1]}"
    yield handler
    server.shutdown()
    server.server_close()
    thread.join()


def test_the_vendors_client_uses_our_doors(recorder):
    from respan import RespanClient

    client = RespanClient(base_url=recorder.base, authorization="Bearer k")
    recorder.answers = [(200, {"partialSuccess": {"rejectedSpans": 0, "errorMessage": ""}})]
    client.traces.create_trace(resource_spans=[CreateTraceRequestResourceSpansItem(**item) for item in otlp("contract")["resourceSpans"]])
    recorder.answers = [(201, {"success_count": 0, "error_count": 1, "errors": [{"index": 0, "error": "bad"}]})]
    answer = client.spans.bulk_create_spans(logs=[SpanCreateRequest(**json.loads((FIXTURES / "contract.logs.json").read_bytes())["logs"][0])])
    assert answer.error_count == 1 and answer.errors[0].index == 0
    assert [path for path, _, _ in recorder.seen] == ["/api/v2/traces", "/api/request-logs/bulk/"]
    assert all(headers["Authorization"] == "Bearer k" for _, headers, _ in recorder.seen)
    sent = json.loads(recorder.seen[0][2])
    assert [a["key"] for a in spans(sent)[0]["attributes"]] == [a["key"] for a in spans(otlp("contract"))[0]["attributes"]]


def test_what_the_vendors_exporter_writes_for_the_same_call_we_write_too(recorder):
    """The names and types by which the vendor's own exporter sends a call, beside ours."""
    exporters = pytest.importorskip("respan_tracing.exporters.respan", reason="respan-tracing is not installed")
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor

    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporters.RespanSpanExporter(endpoint=f"{recorder.base}/api", api_key="k")))
    attributes = {
        "llm.request.type": "chat", "gen_ai.system": "openai", "gen_ai.request.model": "gpt-4o", "gen_ai.response.model": "gpt-4o",
        "gen_ai.prompt.0.role": "user", "gen_ai.prompt.0.content": "Weather in Paris?",
        "gen_ai.completion.0.role": "assistant", "gen_ai.completion.0.content": "Rainy.",
        "gen_ai.usage.prompt_tokens": 120, "gen_ai.usage.completion_tokens": 30, "llm.usage.total_tokens": 150,
    }
    with provider.get_tracer("t").start_as_current_span("openai.chat", attributes=attributes):
        pass
    provider.shutdown()
    assert [path for path, _, _ in recorder.seen] == ["/api/v2/traces"]
    theirs = {a["key"]: next(iter(a["value"])) for a in spans(json.loads(recorder.seen[0][2]))[0]["attributes"]}
    ours = {a["key"]: next(iter(a["value"])) for a in spans(otlp("contract"))[0]["attributes"]}
    for key in attributes.keys() - {"gen_ai.response.model"}:
        assert ours[key] == theirs[key], key
    assert theirs.get("respan.entity.log_type", "stringValue") == ours["respan.entity.log_type"]
