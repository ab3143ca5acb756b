"""What an application does: writes lines to the unix socket and, if it likes, reads what became of them."""

from __future__ import annotations

import json
import socket
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from spans import lines

Answer = dict[str, Any]


class Client:
    """One connection to the unix stream socket."""

    def __init__(self, path: Path, timeout: float = 20) -> None:
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(timeout)
        self.socket.connect(str(path))
        self._buffer = b""
        self._asked = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.socket.close()

    def write(self, data: bytes) -> None:
        """Bytes as they are."""
        self.socket.sendall(data)

    def send(self, *values: object) -> None:
        """One line for each value."""
        self.write(lines(values))

    def ask(self, ack: object = None) -> Answer:
        """Asks what became of the spans so far, and reads the answer."""
        self._asked += 1
        ack = self._asked if ack is None else ack
        self.send({"ack": ack})
        answer = self.read()
        assert answer is not None, "the daemon closed instead of answering"
        assert answer["ack"] == ack
        return answer

    def read(self) -> Answer | None:
        """The next answer; None at the end of the stream."""
        while b"\n" not in self._buffer:
            data = self.socket.recv(65536)
            if not data:
                assert not self._buffer, f"half an answer: {self._buffer!r}"
                return None
            self._buffer += data
        first, _, self._buffer = self._buffer.partition(b"\n")
        return json.loads(first)

    def finish(self) -> Answer:
        """Closes the writing side and reads the summary, which must be the last thing on the connection."""
        self.socket.shutdown(socket.SHUT_WR)
        answer = self.read()
        assert answer is not None, "closed without a summary"
        assert answer["ack"] is None
        assert self.read() is None, "something came after the summary"
        return answer


def send_all(path: Path, spans: list[Any]) -> Answer:
    """A connection that writes these spans, closes its side and reads the summary."""
    with Client(path) as client:
        client.send(*spans)
        return client.finish()


def send_datagrams(address: tuple[str, int] | Path, *datagrams: bytes) -> None:
    """UDP where the address is a host and a port, a unix datagram where it is a path."""
    family = socket.AF_UNIX if isinstance(address, Path) else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as sender:
        sender.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)
        for datagram in datagrams:
            sender.sendto(datagram, str(address) if isinstance(address, Path) else address)
