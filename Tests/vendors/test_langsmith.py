"""What we write for LangSmith, beside what the vendor's own code writes for the same run: the golden bytes of Tests/Fixtures/langsmith are
decoded with opentelemetry-proto and compared, name by name and type by type, with the attributes of langsmith's OTELExporter (contract
langsmith, section 4.1)."""

import json
import pathlib
import uuid

import pytest

langsmith = pytest.importorskip("langsmith", reason="langsmith is not installed: PyPI cannot be reached")
pytest.importorskip("opentelemetry.sdk", reason="opentelemetry-sdk is not installed: PyPI cannot be reached")
pytest.importorskip("opentelemetry.proto", reason="opentelemetry-proto is not installed: PyPI cannot be reached")

from langsmith._internal._operations import serialize_run_dict  # noqa: E402
from langsmith._internal.otel._otel_exporter import OTELExporter  # noqa: E402
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest  # noqa: E402
from opentelemetry.sdk.trace import TracerProvider  # noqa: E402
from opentelemetry.sdk.trace.export import SimpleSpanProcessor  # noqa: E402
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter  # noqa: E402

FIXTURES = pathlib.Path(__file__).resolve().parents[1] / "Fixtures" / "langsmith"
CASES = sorted(path.name.removesuffix(".out.pb") for path in FIXTURES.glob("*.out.pb"))

USER = {"role": "user", "content": "Weather in Paris?"}
CALL = {"id": "call_2", "type": "function", "function": {"name": "weather", "arguments": '{"city":"Paris","days":2}'}}
# The runs that the SDK would have made where our fixtures have spans: type, name, inputs, outputs, metadata, and what else a run has.
RUNS = {
    "chat": dict(
        run_type="llm", name="chat gpt-4o", tags=["a", "b"], inputs={"messages": [USER]},
        outputs={"messages": [{"role": "assistant", "content": "Rainy."}],
                 "usage_metadata": {"input_tokens": 120, "output_tokens": 30, "total_tokens": 150,
                                    "input_token_details": {"cache_read": 20}, "total_cost": 0.0006}},
        metadata={"ls_provider": "openai", "ls_model_name": "gpt-4o", "thread_id": "conv-1", "user_id": "u-1"}),
    "chat-with-tools": dict(
        run_type="llm", name="chat gpt-4o", tags=["paid; eu", "web"],
        inputs={"messages": [
            {"role": "system", "content": "Be brief."}, {"role": "user", "content": 'Weather in Paris, "in short"?'},
            {"role": "assistant", "content": None, "tool_calls": [
                {"id": "call_1", "type": "function", "function": {"name": "weather", "arguments": '{"city":"Paris","days":1}'}}]},
            {"role": "tool", "tool_call_id": "call_1", "content": '{"sky":"rain","degrees":12.5}'}]},
        outputs={"messages": [{"role": "assistant", "content": "Rain now; let me look at tomorrow.", "tool_calls": [CALL],
                               "reasoning_content": "Tomorrow may matter."}],
                 "finish_reason": "tool_calls", "usage_metadata": {"input_tokens": 210, "output_tokens": 44, "total_tokens": 254}},
        invocation_params={"tools": [{"type": "function", "name": "weather", "parameters": {
            "type": "object", "properties": {"city": {"type": "string"}}}}]},
        metadata={"ls_provider": "openai", "ls_model_name": "gpt-4o", "release": "2.1", "attempt": 2, "cached": False, "thread_id": "t-9",
                  "invocation_params": {"max_tokens": 256, "temperature": 0.2}}),
    "streaming": dict(
        run_type="llm", name="chat claude-sonnet-4", inputs={"messages": [{"role": "user", "content": "Count to three."}]},
        outputs={"messages": [{"role": "assistant", "content": "1, 2, 3"}],
                 "usage_metadata": {"input_tokens": 11, "output_tokens": 8, "total_tokens": 19}},
        metadata={"ls_provider": "anthropic", "ls_model_name": "claude-sonnet-4"}),
    "embeddings": dict(
        run_type="embedding", name="embeddings text-embedding-3-small", inputs={"input": "a red kettle"},
        outputs={"usage_metadata": {"input_tokens": 4, "output_tokens": 0, "total_tokens": 4}},
        metadata={"ls_provider": "openai", "ls_model_name": "text-embedding-3-small"}),
    "tool": dict(
        run_type="tool", name="execute_tool weather", inputs={"city": "Paris", "days": 1}, outputs={"output": "rain, 12.5 degrees"},
        metadata={"thread_id": "4711"}, tool_call_id="call_1"),
    "retrieval": dict(
        run_type="retriever", name="retrieval kettles", inputs={"query": "red kettle"},
        outputs={"documents": [
            {"page_content": "A red kettle.", "metadata": {"id": "d-1", "score": 0.91, "page": 3}, "type": "Document"},
            {"page_content": "", "metadata": {"id": "d-2", "score": 0.5}, "type": "Document"}]}),
    "agent": dict(
        run_type="chain", name="invoke_agent shopper", inputs={"messages": [{"role": "user", "content": "Find me a kettle."}]},
        outputs={"messages": [{"role": "assistant", "content": "The red one."}]},
        metadata={"ls_provider": "openai", "thread_id": "conv-1", "user_id": "u-1"}),
    "error": dict(
        run_type="llm", name="chat gpt-4o", inputs={"messages": [{"role": "user", "content": "Hello?"}]}, error="no answer within 30 s",
        metadata={"ls_provider": "openai", "ls_model_name": "gpt-4o"}),
}
# What the vendor's exporter writes and we do otherwise, each with its reason.
OTHERWISE = {
    "langsmith.trace.session_name": "the project is a header of ours",
    "gen_ai.usage.input_token_details": "the text of a Python dict; ours are in langsmith.usage_metadata",
    "langsmith.metadata.invocation_params": "parameters are gen_ai.request.* alone",
}
# Guessed by the exporter from the model's name, "langchain" where there is none; and GenAI's operations are finer than run types.
GUESSED = {("embeddings", "gen_ai.system"), ("tool", "gen_ai.system"), ("retrieval", "gen_ai.system"), ("agent", "gen_ai.system"),
           ("retrieval", "gen_ai.operation.name"), ("agent", "gen_ai.operation.name"), ("tool", "gen_ai.tool.name")}


def value(any_value):
    kind = any_value.WhichOneof("value")
    if kind == "array_value":
        return tuple(value(item) for item in any_value.array_value.values)
    if kind == "kvlist_value":
        return {pair.key: value(pair.value) for pair in any_value.kvlist_value.values}
    return getattr(any_value, kind) if kind else None


def ours(case):
    """The span of a golden file, and its attributes."""
    request = ExportTraceServiceRequest.FromString((FIXTURES / f"{case}.out.pb").read_bytes())
    (span,) = [span for resource in request.resource_spans for scope in resource.scope_spans for span in scope.spans]
    assert len({pair.key for pair in span.attributes}) == len(span.attributes), "an attribute is there twice"
    return span, {pair.key: value(pair.value) for pair in span.attributes}


def theirs(case):
    """The span that the vendor's exporter makes of the same run."""
    run = dict(RUNS[case])
    metadata, params = run.pop("metadata", {}), run.pop("invocation_params", None)
    extra = {"metadata": metadata}
    if params:
        extra["invocation_params"] = params
    if "tool_call_id" in run:
        extra["tool_call_id"] = run.pop("tool_call_id")
    run_id = uuid.UUID("4bf92f35-77b3-4da6-a3ce-929d0e0e4736")
    run |= dict(
        id=run_id, trace_id=run_id, dotted_order=f"20231114T221320000000Z{run_id}", session_name="shop", extra=extra,
        start_time="2023-11-14T22:13:20+00:00", end_time="2023-11-14T22:13:21+00:00")
    memory, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(memory))
    OTELExporter(tracer_provider=provider).export_batch([serialize_run_dict("post", run)], {})
    (span,) = memory.get_finished_spans()
    return span


def parsed(name, text):
    """JSON texts are compared by what they say; usage stands apart in ours, the reason why a model stopped in an attribute of its own."""
    if name not in ("gen_ai.prompt", "gen_ai.completion", "gen_ai.tool.definitions"):
        return text
    content = json.loads(text)
    if isinstance(content, dict):
        content = {key: item for key, item in content.items() if key not in ("usage_metadata", "finish_reason")}
    return content


@pytest.mark.parametrize("case", RUNS)
def test_we_write_what_the_vendors_exporter_writes(case):
    _, written = ours(case)
    for name, expected in theirs(case).attributes.items():
        if name in OTHERWISE or parsed(name, expected) == {}:
            continue
        if (case, name) == ("embeddings", "gen_ai.usage.output_tokens"):
            continue  # not known, so only in usage_metadata, where it is the rest of the total
        if (case, name) in GUESSED:
            assert isinstance(written.get(name, expected), type(expected)), name
            continue
        assert name in written, f"{name} is missing"
        assert type(written[name]) is type(expected), f"{name} is {type(written[name])}"
        assert parsed(name, written[name]) == parsed(name, expected), name


@pytest.mark.parametrize("case", [case for case in RUNS if "usage_metadata" in RUNS[case].get("outputs", {})])
def test_usage_is_what_a_run_has(case):
    _, written = ours(case)
    assert json.loads(written["langsmith.usage_metadata"]) == RUNS[case]["outputs"]["usage_metadata"]


def test_an_error_has_the_vendors_event():
    span, _ = ours("error")
    expected = theirs("error")
    assert span.status.code == 2 == expected.status.status_code.value
    (event,), (theirs_event,) = span.events, expected.events
    assert event.name == theirs_event.name == "exception"
    attributes = {pair.key: value(pair.value) for pair in event.attributes}
    assert attributes["exception.message"] == theirs_event.attributes["exception.message"]
    for name, given in attributes.items():
        assert type(given) is type(theirs_event.attributes[name]), name


@pytest.mark.parametrize("case", CASES)
def test_each_name_of_langsmiths_own_is_known_to_its_sdk(case):
    _, written = ours(case)
    package = pathlib.Path(langsmith.__file__).parent
    source = "".join(path.read_text() for path in (package / "_internal").rglob("*.py"))
    for name in written:
        if name.startswith("langsmith.") and not name.startswith("langsmith.metadata."):
            assert f'"{name}"' in source, name


@pytest.mark.parametrize("case", CASES)
def test_what_the_sdk_reads_as_json_is_json(case):
    _, written = ours(case)
    for name in ("gen_ai.prompt", "gen_ai.completion", "langsmith.usage_metadata"):
        if name in written:
            assert isinstance(json.loads(written[name]), dict), name
    usage = json.loads(written.get("langsmith.usage_metadata", "{}"))
    # The exporter's own reader takes totals of both sides, as integers, or none.
    tokens = OTELExporter().get_unified_run_tokens({"usage_metadata": usage})
    assert tokens == ((usage["input_tokens"], usage["output_tokens"]) if usage else None)
    for attachment in json.loads(written.get("langsmith.attachments", "[]")):
        assert set(attachment) == {"name", "content", "mime_type"} and "." not in attachment["name"]
