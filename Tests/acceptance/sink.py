"""Loopback HTTP servers that play the platforms: they answer by a script and keep what they took."""

from __future__ import annotations

import gzip
import json
import socket
import ssl
import struct
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from google.protobuf import json_format
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest, ExportTraceServiceResponse
from opentelemetry.proto.common.v1.common_pb2 import AnyValue
from standardwebhooks import Webhook

PROTOBUF = "application/x-protobuf"


@dataclass(frozen=True)
class Reply:
    """What a server does with a request. `action` is `hang` (until the server stops) or `reset` (RST, no answer)."""

    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    delay: float = 0
    action: str | None = None


@dataclass
class Received:
    """One request, as it came."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes
    at: float
    client_certificate: dict[str, Any] | None = None
    spans: list[SinkSpan] = field(default_factory=list)
    reply: Reply = Reply()

    @property
    def plain_body(self) -> bytes:
        """The body with its content encoding undone."""
        return gzip.decompress(self.body) if self.headers.get("content-encoding") == "gzip" else self.body


Decide = Callable[[Received], Reply]


class Server:
    """An HTTP server on a loopback port, by default one of its own. `script` answers the next requests, `otherwise` those after it."""

    def __init__(self, otherwise: Decide | None = None, tls: ssl.SSLContext | None = None, port: int = 0) -> None:
        self.script: deque[Reply] = deque()
        self.otherwise: Decide = otherwise or (lambda request: Reply())
        self.requests: list[Received] = []
        self.lock = threading.Lock()
        self.stopping = threading.Event()
        self._http = _HTTPServer(("127.0.0.1", port), _Handler)
        self._http.owner = self
        if tls:
            self._http.socket = tls.wrap_socket(self._http.socket, server_side=True, do_handshake_on_connect=False)
        self._scheme = "https" if tls else "http"
        self._thread = threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        self._thread.start()

    @property
    def port(self) -> int:
        """The port it took."""
        return self._http.server_address[1]

    @property
    def url(self) -> str:
        """Its base address, without a path."""
        return f"{self._scheme}://127.0.0.1:{self.port}"

    def stop(self) -> None:
        """Stops listening and lets hanging requests go."""
        self.stopping.set()
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()

    def handle(self, request: Received) -> Reply:
        """Decides on a request and keeps it."""
        self.decode(request)
        with self.lock:
            reply = self.script.popleft() if self.script else self.otherwise(request)
            request.reply = reply
            self.requests.append(request)
        return reply

    def decode(self, request: Received) -> None:
        """What a kind of platform reads in a body."""

    def answered(self, request: Received) -> None:
        """The reply was written whole, and the client was still there: unless it is killed now, it knows."""

    def wait(self, condition: Callable[[], bool], seconds: float = 20) -> None:
        """Waits until something about the server is so."""
        limit = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > limit:
                summary = [(request.path, request.reply.status, len(request.spans)) for request in self.requests[-20:]]
                raise AssertionError(f"not so after {seconds} s; last requests (path, status, spans): {summary}")
            time.sleep(0.01)


# ---------------------------------------------------------------------------------------------------- OTLP


@dataclass(frozen=True)
class SinkSpan:
    """A span as the OpenTelemetry protocol package reads it."""

    trace_id: str
    span_id: str
    parent_span_id: str
    name: str
    kind: int
    start: int
    end: int
    status: int
    message: str
    attributes: dict[str, Any]
    resource: dict[str, Any]
    scope: str
    events: list[tuple[str, int, dict[str, Any]]]
    links: list[tuple[str, str]]
    trace_state: str = ""
    flags: int = 0


def plain(value: AnyValue) -> Any:
    """An AnyValue as Python has it."""
    kind = value.WhichOneof("value")
    if kind is None:
        return None
    if kind == "array_value":
        return [plain(item) for item in value.array_value.values]
    if kind == "kvlist_value":
        return attributes_of(value.kvlist_value.values)
    return getattr(value, kind)


def attributes_of(pairs: Any) -> dict[str, Any]:
    """Attributes as a dictionary; a key that stands twice is an error."""
    result = {pair.key: plain(pair.value) for pair in pairs}
    assert len(result) == len(pairs), f"a key stands twice in {[pair.key for pair in pairs]}"
    return result


def _ids_to_base64(message: Any) -> Any:
    """OTLP's JSON has ids in hex where proto3's own JSON, which the package reads, has base64."""
    import base64

    if isinstance(message, list):
        return [_ids_to_base64(item) for item in message]
    if not isinstance(message, dict):
        return message
    result = {}
    for key, value in message.items():
        is_id = key in ("traceId", "spanId", "parentSpanId") and isinstance(value, str)
        result[key] = base64.b64encode(bytes.fromhex(value)).decode() if is_id else _ids_to_base64(value)
    return result


def parse_request(request: Received) -> ExportTraceServiceRequest:
    """The OTLP request in a body, protobuf or JSON."""
    message = ExportTraceServiceRequest()
    if request.headers["content-type"] == "application/json":
        json_format.ParseDict(_ids_to_base64(json.loads(request.plain_body)), message)
    else:
        assert request.headers["content-type"] == PROTOBUF
        message.ParseFromString(request.plain_body)
    return message


def spans_of(message: ExportTraceServiceRequest) -> list[SinkSpan]:
    """All spans of a request."""
    return [
        SinkSpan(
            trace_id=span.trace_id.hex(),
            span_id=span.span_id.hex(),
            parent_span_id=span.parent_span_id.hex(),
            name=span.name,
            kind=span.kind,
            start=span.start_time_unix_nano,
            end=span.end_time_unix_nano,
            status=span.status.code,
            message=span.status.message,
            attributes=attributes_of(span.attributes),
            resource=attributes_of(resource.resource.attributes),
            scope=scope.scope.name,
            events=[(event.name, event.time_unix_nano, attributes_of(event.attributes)) for event in span.events],
            links=[(link.trace_id.hex(), link.span_id.hex()) for link in span.links],
            trace_state=span.trace_state,
            flags=span.flags,
        )
        for resource in message.resource_spans
        for scope in resource.scope_spans
        for span in scope.spans
    ]


class OTLPSink(Server):
    """A collector. `spans` are those of the requests that it answered with 2xx, repeats included."""

    def decode(self, request: Received) -> None:
        if request.method == "POST":
            request.spans = spans_of(parse_request(request))

    @property
    def spans(self) -> list[SinkSpan]:
        """What it took."""
        with self.lock:
            return [span for request in self.requests if request.reply.status < 300 and not request.reply.action for span in request.spans]

    @property
    def span_ids(self) -> list[str]:
        """The ids of what it took, sorted, repeats included."""
        return sorted(span.span_id for span in self.spans)

    def wait_for(self, count: int, seconds: float = 20) -> list[SinkSpan]:
        """Waits for so many spans; all that are there."""
        self.wait(lambda: len(self.spans) >= count, seconds)
        return self.spans


def partial_success(rejected: int, message: str) -> Reply:
    """200, but not for all of them."""
    response = ExportTraceServiceResponse()
    response.partial_success.rejected_spans = rejected
    response.partial_success.error_message = message
    return Reply(headers={"Content-Type": PROTOBUF}, body=response.SerializeToString())


def refuse_poison(name: str) -> Decide:
    """400 for every request in which a span bears this name."""
    return lambda request: Reply(400, body=b"poison") if any(span.name == name for span in request.spans) else Reply()


# ---------------------------------------------------------------------------------------------------- webhooks


class WebhookRecorder(Server):
    """Verifies each request with the standardwebhooks package before it answers; 401 where that fails."""

    def __init__(self, secret: str, otherwise: Decide | None = None) -> None:
        self.webhook = Webhook(secret)
        self.failures: list[str] = []
        super().__init__(otherwise)

    def handle(self, request: Received) -> Reply:
        try:
            self.webhook.verify(request.body, request.headers, json_parse=False)
        except Exception as error:  # whatever the library says is what we want to see in the report
            self.failures.append(f"{type(error).__name__}: {error}")
        return super().handle(request)

    @property
    def spans(self) -> list[dict[str, Any]]:
        """The native spans of the batches that it answered with 2xx."""
        with self.lock:
            taken = [json.loads(request.body) for request in self.requests if request.reply.status < 300 and not request.reply.action]
        return [span for body in taken for span in body["data"]["spans"]]


# ---------------------------------------------------------------------------------------------------- HTTP


class _HTTPServer(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 128
    owner: Server

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A peer that goes away, or a handshake that fails, is part of the play."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _HTTPServer

    def setup(self) -> None:
        super().setup()
        self.connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def do_POST(self) -> None:
        """Reads the whole request, asks the owner, plays the reply."""
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        certificate = self.connection.getpeercert() if isinstance(self.connection, ssl.SSLSocket) else None
        headers = {key.lower(): value for key, value in self.headers.items()}
        request = Received(self.command, self.path, headers, body, time.time(), certificate)
        if self._play(self.server.owner.handle(request)):
            self.server.owner.answered(request)

    do_GET = do_POST

    def _play(self, reply: Reply) -> bool:
        """Whether the client has got the answer, as far as a server can know."""
        self.server.owner.stopping.wait(reply.delay)
        if reply.action == "hang":
            self.server.owner.stopping.wait(300)
        if reply.action is not None:
            self.close_connection = True
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.connection.close()
            return False
        self.send_response(reply.status)
        for name, value in reply.headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(reply.body)))
        self.end_headers()
        self.wfile.write(reply.body)
        return isinstance(self.connection, ssl.SSLSocket) or self._client_is_there()

    def _client_is_there(self) -> bool:
        """A client that gave up has closed its side, which can be read."""
        try:
            return self.connection.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT) != b""
        except BlockingIOError:
            return True

    def log_message(self, format: str, *words: Any) -> None:
        """The tests print what they need themselves."""
