"""What we write for Langfuse, beside what its own SDK writes: the golden bytes of Tests/Fixtures/langfuse are decoded with
opentelemetry-proto, their names and kinds of values compared with a span of the SDK's, and the events of the JSON door are read by the models
of langfuse 3.5.0, which stands in a folder of its own (contract langfuse, section 3)."""

import gzip
import http.server
import json
import pathlib
import subprocess
import sys
import threading

import pytest

langfuse = pytest.importorskip("langfuse", reason="langfuse is not installed: PyPI cannot be reached")
pytest.importorskip("opentelemetry.proto", reason="opentelemetry-proto is not installed: PyPI cannot be reached")

from langfuse._client.attributes import LangfuseOtelSpanAttributes  # noqa: E402
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest  # noqa: E402

FIXTURES = pathlib.Path(__file__).resolve().parents[1] / "Fixtures" / "langfuse"
CASES = sorted(path.name.removesuffix(".out.pb") for path in FIXTURES.glob("*.out.pb"))
MODELS = pathlib.Path(sys.prefix) / "langfuse-3"

# The server reads these two before the SDK's `session.id` and `user.id`.
OURS_ALONE = {"langfuse.session.id", "langfuse.user.id"}
METADATA = ("langfuse.observation.metadata.", "langfuse.trace.metadata.")
# What the SDK writes and we do not: marks of its own making.
SDKS_ALONE = {"langfuse.internal.is_app_root", "user.id", "session.id"}


def attributes_of(body):
    request = ExportTraceServiceRequest.FromString(body)
    (span,) = [span for resource in request.resource_spans for scope in resource.scope_spans for span in scope.spans]
    keys = [pair.key for pair in span.attributes]
    assert len(keys) == len(set(keys)), "an attribute is there twice"
    return span, {pair.key: pair.value for pair in span.attributes}


def ours(case):
    span, attributes = attributes_of((FIXTURES / f"{case}.out.pb").read_bytes())
    return span, {key: value for key, value in attributes.items() if key.startswith("langfuse.")}


@pytest.fixture(scope="module")
def sdks():
    """What the SDK sends for the span of fixture `chat-with-tools`, and more that no one span of ours has."""
    bodies = []

    class Recorder(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["content-length"]))
            bodies.append((self.path, dict(self.headers), gzip.decompress(body) if self.headers["content-encoding"] == "gzip" else body))
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"{}")

        def log_message(self, *arguments):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Recorder)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    from datetime import datetime, timezone

    client = langfuse.Langfuse(
        public_key="pk-lf-1", secret_key="sk-lf-1", base_url=f"http://127.0.0.1:{server.server_port}", environment="prod", release="2.1")
    with langfuse.propagate_attributes(session_id="conv-1", user_id="u-1", tags=["a", "b"]):
        generation = client.start_observation(
            name="chat gpt-4o", as_type="generation", model="gpt-4o", input=[{"role": "user", "content": "Weather in Paris?"}],
            model_parameters={"temperature": 0.2}, metadata={"attempt": 2, "cached": False, "share": 0.5, "tier": "gold", "shop": {"id": 7}},
            completion_start_time=datetime(2023, 11, 14, 22, 13, 20, 250000, tzinfo=timezone.utc))
        generation.update(
            output={"role": "assistant", "content": "Rainy."}, level="ERROR", status_message="the provider is overloaded",
            usage_details={"input": 100, "input_cached_tokens": 20, "output": 30, "total": 150}, cost_details={"total": 0.0006})
        generation.end()
    client.flush()
    server.shutdown()
    (found,) = [(headers, body) for path, headers, body in bodies if path == "/api/public/otel/v1/traces"]
    headers, body = found
    return {name.lower(): value for name, value in headers.items()}, attributes_of(body)[1]


def test_there_is_something_to_read():
    assert CASES


def test_the_sdk_sends_the_same_key_and_version(sdks):
    headers, _ = sdks
    lines = (FIXTURES / "chat.out.txt").read_text().splitlines()
    sent = {line.split(": ")[0].lower(): line.split(": ")[1] for line in lines[1 : lines.index("")]}
    assert headers["authorization"] == "Basic cGstbGYtMTpzay1sZi0x"
    for name in ["content-type", "content-encoding", "x-langfuse-ingestion-version"]:
        assert headers[name] == sent[name]


@pytest.mark.parametrize("case", CASES)
def test_the_sdk_knows_every_name(case):
    known = {value for value in vars(LangfuseOtelSpanAttributes).values() if isinstance(value, str)}
    _, written = ours(case)
    for name in written:
        assert name in known | OURS_ALONE or name.startswith(METADATA), name


@pytest.mark.parametrize("case", CASES)
def test_values_are_of_the_sdks_kinds(case, sdks):
    _, theirs = sdks
    _, written = ours(case)
    for name, value in written.items():
        kind = value.WhichOneof("value")
        if name in theirs:
            assert kind == theirs[name].WhichOneof("value"), name
        elif name.startswith(METADATA) or name in OURS_ALONE:
            assert kind == "string_value", name
        elif name == "langfuse.observation.prompt.version":
            assert kind == "int_value"


def test_a_span_says_all_that_the_sdks_says(sdks):
    _, theirs = sdks
    _, chat = ours("chat")
    _, streaming = ours("streaming")
    _, error = ours("error")
    _, tools = ours("chat-with-tools")
    for name in theirs.keys() - SDKS_ALONE:
        assert name in chat.keys() | streaming.keys() | error.keys() | tools.keys(), name


def test_json_reads_as_the_sdks_does(sdks):
    _, theirs = sdks
    _, chat = ours("chat")
    for name in ["input", "output", "usage_details", "cost_details"]:
        name = f"langfuse.observation.{name}"
        assert json.loads(chat[name].string_value) == json.loads(theirs[name].string_value), name
    _, streaming = ours("streaming")
    first = "langfuse.observation.completion_start_time"
    assert json.loads(streaming[first].string_value)[:19] == json.loads(theirs[first].string_value)[:19]


READ = """
import json, sys
from langfuse.api.resources.ingestion.types.ingestion_event import (
    IngestionEvent_EventCreate, IngestionEvent_GenerationCreate, IngestionEvent_SpanCreate, IngestionEvent_TraceCreate)
models = {"event-create": IngestionEvent_EventCreate, "generation-create": IngestionEvent_GenerationCreate,
          "span-create": IngestionEvent_SpanCreate, "trace-create": IngestionEvent_TraceCreate}
for event in json.load(sys.stdin)["batch"]:
    model = models[event["type"]]
    read = model(**event)
    written = json.loads(read.json(by_alias=True, exclude_none=True))
    missing = event["body"].keys() - written["body"].keys()
    assert not missing, missing
    body = event["body"]
    if "level" in body:
        try:
            model(**{**event, "body": {**body, "level": "LOUD"}})
        except Exception:
            pass
        else:
            raise AssertionError("the model takes any level: it proves nothing")
    known = {field.alias for field in type(read.body).__fields__.values()}
    assert body.keys() <= known, body.keys() - known
"""


@pytest.mark.skipif(not MODELS.is_dir(), reason="langfuse 3.5.0 is not installed beside: make test-vendors does that")
@pytest.mark.parametrize("case", CASES)
def test_the_models_of_3_5_read_each_event(case):
    body = (FIXTURES / f"{case}.ingestion.out").read_bytes()
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", f"import sys; sys.path.insert(0, {str(MODELS)!r})\n{READ}"], input=body,
        capture_output=True, timeout=120)
    assert done.returncode == 0, done.stderr.decode()[-2000:]
