"""A platform in a process of its own, so that it can be frozen and killed: it writes down each request that it answers, before it answers.

`python -m crash.platform KIND PORT FILE SEED` serves; a line on standard input sets its mode, its end ends it. The file has a JSON object
a line: `{request, run, at, status, spans: [[number, trace id, span id, digest], ...], refused: [the same, ...]}` when it has decided, then
`{request, answered}` when the client has the answer. Times are of the monotonic clock, which all processes share.
"""

from __future__ import annotations

import hashlib
import json
import os
import random
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from crash.lines import FATE, NUMBER, PARTLY, REFUSED
from daemon import eventually
from sink import PROTOBUF, Received, Reply, Server, parse_request, partial_success


@dataclass(frozen=True)
class Copy:
    """A span as it came: its number, its ids, a digest of all its bytes."""

    number: int
    trace_id: str
    span_id: str
    digest: str
    fate: str | None = None

    @property
    def row(self) -> list[Any]:
        """As it is written down."""
        return [self.number, self.trace_id, self.span_id, self.digest]


def digest(*parts: bytes) -> str:
    """Equal where all bytes are."""
    return hashlib.blake2b(b"\0".join(parts), digest_size=8).hexdigest()


def native_copy(row: bytes) -> Copy:
    """Of a line of native NDJSON."""
    span = json.loads(row)
    attributes = span["attributes"]
    return Copy(attributes[NUMBER], span["trace_id"], span["span_id"], digest(row), attributes.get(FATE))


def otlp_copies(resource_spans: Any) -> Iterator[Copy]:
    """Of all spans of a `ResourceSpans` message."""
    resource = resource_spans.resource.SerializeToString(deterministic=True)
    for scope_spans in resource_spans.scope_spans:
        scope = scope_spans.scope.SerializeToString(deterministic=True)
        for span in scope_spans.spans:
            known = {pair.key: pair.value for pair in span.attributes if pair.key in (NUMBER, FATE)}
            fate = known[FATE].string_value if FATE in known else None
            whole = digest(resource, scope, span.SerializeToString(deterministic=True))
            yield Copy(known[NUMBER].int_value, span.trace_id.hex(), span.span_id.hex(), whole, fate)


class RecordingServer(Server):
    """Takes OTLP or NDJSON, and answers by its mode; what it takes and refuses stands in the file first."""

    def __init__(self, kind: str, port: int, file: Path, seed: int) -> None:
        self.kind = kind
        self.mode = "up"
        self.chance = random.Random(seed)
        self.file = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        self.count = 0
        self.keys: dict[int, str] = {}
        super().__init__(port=port)

    def copies(self, request: Received) -> list[Copy]:
        """The spans of a body."""
        if self.kind == "hook":
            return [native_copy(row) for row in request.plain_body.splitlines()]
        return [copy for resource_spans in parse_request(request).resource_spans for copy in otlp_copies(resource_spans)]

    def handle(self, request: Received) -> Reply:
        copies = self.copies(request)
        with self.lock:
            self.count += 1
            key = f"{os.getpid()}-{self.count}"
            self.keys[id(request)] = key
            reply, refused = self.decide(copies)
        taken = [copy.row for copy in copies if copy not in refused] if reply.status < 300 and reply.action is None else []
        self.write_down(
            request=key,
            run=int(request.headers["x-run"]),
            at=time.monotonic(),
            status=reply.status if reply.action is None else 0,
            spans=taken,
            refused=[copy.row for copy in refused],
        )
        return reply

    def answered(self, request: Received) -> None:
        self.write_down(request=self.keys.pop(id(request)), answered=time.monotonic())

    def write_down(self, **values: Any) -> None:
        """One line, in one write: a kill leaves it out or in."""
        os.write(self.file, json.dumps(values, separators=(",", ":")).encode() + b"\n")

    def decide(self, copies: list[Copy]) -> tuple[Reply, list[Copy]]:
        """The answer, and which of the spans it refuses for good."""
        chance = self.chance
        if self.mode == "failing" or (self.mode == "flaky" and chance.random() < 0.4):
            failures = [Reply(500), Reply(502), Reply(503), Reply(429, {"Retry-After": "0"})]
            return chance.choice(failures if self.mode == "failing" else [*failures, Reply(action="reset"), Reply(413)]), []
        delay = chance.uniform(0.02, 0.4) if self.mode == "slow" else 0
        if self.mode != "lenient":
            bad = [copy for copy in copies if copy.fate == REFUSED]
            if bad:
                return Reply(400 if self.kind == "collector" else 422, delay=delay, body=b"refused"), bad if len(copies) == 1 else []
            partly = [copy for copy in copies if copy.fate == PARTLY]
            if partly and self.kind == "collector":
                named = ",".join(str(copy.number) for copy in partly)
                answer = partial_success(len(partly), f"refused {named}")
                return Reply(200, {"Content-Type": PROTOBUF}, answer.body, delay), partly
        return Reply(delay=delay), []


class Platform:
    """The process, as the harness holds it."""

    def __init__(self, kind: str, port: int, folder: Path) -> None:
        self.kind = kind
        self.port = port
        self.folder = folder
        self.mode = "down"
        self.starts = 0
        self.disturbed = 0.0
        """When it was last frozen or killed; until it is well again that is now."""
        self.process: subprocess.Popen[bytes] | None = None
        self._read: dict[Path, int] = {}

    def become(self, mode: str) -> None:
        """Changes how it is: answers otherwise, freezes, goes away, comes back."""
        if self.mode in ("frozen", "down"):
            self.disturbed = time.monotonic()
        if mode == "down":
            self.kill()
        else:
            if self.process is None:
                self._start()
            assert self.process
            if mode == "frozen":
                self.process.send_signal(signal.SIGSTOP)
                self.disturbed = time.monotonic()
            else:
                self.process.send_signal(signal.SIGCONT)
                assert self.process.stdin
                self.process.stdin.write(f"{mode}\n".encode())
                self.process.stdin.flush()
        self.mode = mode

    def was_disturbed_since(self, moment: float) -> bool:
        """Whether it was frozen or away at some time after this."""
        return self.mode in ("frozen", "down") or self.disturbed >= moment

    def kill(self) -> None:
        """SIGKILL, which ends a frozen process too."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None
            self.disturbed = time.monotonic()

    def _start(self) -> None:
        self.starts += 1
        file = self.folder / f"{self.kind}.{self.starts:04}.ndjson"
        words = [sys.executable, "-m", "crash.platform", self.kind, str(self.port), str(file), str(self.starts)]
        place = str(Path(__file__).resolve().parents[1])
        self.process = subprocess.Popen(words, stdin=subprocess.PIPE, cwd=place)
        self._read[file] = 0
        eventually(self._serves, 30, f"{self.kind} serves on port {self.port}")

    def _serves(self) -> bool:
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=5):
                return True
        except OSError:
            return False

    def records(self) -> Iterator[dict[str, Any]]:
        """What was written down since the last look. The half line of a killed process was never answered."""
        for file, offset in list(self._read.items()):
            with file.open("rb") as stream:
                stream.seek(offset)
                data = stream.read()
            whole = data[: data.rfind(b"\n") + 1]
            self._read[file] = offset + len(whole)
            for row in whole.splitlines():
                yield json.loads(row)


def main() -> None:
    """Serves until standard input ends."""
    kind, port, file, seed = sys.argv[1], int(sys.argv[2]), Path(sys.argv[3]), int(sys.argv[4])
    server = RecordingServer(kind, port, file, seed)
    for row in sys.stdin:
        server.mode = row.strip()
    server.stop()


if __name__ == "__main__":
    main()
