"""A TCP port before a destination: while it has a fault it plays that, else it passes bytes through. The port stays the same."""

from __future__ import annotations

import select
import socket
import struct
import threading
from collections.abc import Callable

# What is done with a connection that was taken, until it returns: then the connection is reset. `stopped` is set when the fault ends.
Fault = Callable[[socket.socket, threading.Event], None]


class Front:
    """Listens on a loopback port of its own for a server at `port`."""

    def __init__(self, port: int, fault: Fault | None = None) -> None:
        self._target = port
        self._fault = fault
        self._healed = threading.Event()
        self.connections = 0
        self._socket = self._listen(0)
        self.port = self._socket.getsockname()[1]
        self._begin()

    @property
    def url(self) -> str:
        """Its base address."""
        return f"http://127.0.0.1:{self.port}"

    def heal(self) -> None:
        """The fault ends: what it holds is reset, who comes now is passed through."""
        self._fault = None
        self._healed.set()

    def refuse(self) -> None:
        """Nobody listens any more."""
        self._stopping.set()
        self._thread.join()
        self._socket.close()

    def listen_again(self) -> None:
        """After `refuse`."""
        self._socket = self._listen(self.port)
        self._begin()

    def stop(self) -> None:
        """Ends it with all its connections."""
        self._healed.set()
        self.refuse()

    @staticmethod
    def _listen(port: int) -> socket.socket:
        listener = socket.socket()
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", port))
        listener.listen(128)
        listener.settimeout(0.05)
        return listener

    def _begin(self) -> None:
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._thread.start()

    def _accept(self) -> None:
        while not self._stopping.is_set():
            try:
                peer, _ = self._socket.accept()
            except TimeoutError:
                continue
            self.connections += 1
            peer.settimeout(30)
            threading.Thread(target=self._serve, args=(peer,), daemon=True).start()

    def _serve(self, peer: socket.socket) -> None:
        try:
            fault = self._fault
            if fault:
                fault(peer, self._healed)
                peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            else:
                self._pass_through(peer)
        except OSError:
            pass  # the other side has gone, which is its right
        finally:
            peer.close()

    def _pass_through(self, peer: socket.socket) -> None:
        with socket.create_connection(("127.0.0.1", self._target), timeout=20) as server:
            other = {peer: server, server: peer}
            while not self._stopping.is_set():
                for source in select.select(list(other), [], [], 0.05)[0]:
                    data = source.recv(65536)
                    if not data:
                        return
                    other[source].sendall(data)


# ---------------------------------------------------------------------------------------------------- faults


def _read_request(peer: socket.socket) -> None:
    """Reads a request as far as its head tells; what these servers do afterwards does not depend on its body."""
    data = b""
    while b"\r\n\r\n" not in data:
        more = peer.recv(65536)
        if not more:
            raise ConnectionError("no request")
        data += more
    head, _, body = data.partition(b"\r\n\r\n")
    length = next(int(row.split(b":")[1]) for row in head.split(b"\r\n") if row.lower().startswith(b"content-length:"))
    while len(body) < length:
        body += peer.recv(65536)


def black_hole(peer: socket.socket, healed: threading.Event) -> None:
    """Takes the connection and all that is written, and never says a word."""
    peer.settimeout(0.1)
    while not healed.is_set():
        try:
            if not peer.recv(65536):
                return
        except TimeoutError:
            continue


def reset_in_the_body(peer: socket.socket, healed: threading.Event) -> None:
    """A reset while the request is being written."""
    peer.recv(64)


def cut_answer(peer: socket.socket, healed: threading.Event) -> None:
    """The answer promises more bytes than come before the reset."""
    _read_request(peer)
    peer.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: application/x-protobuf\r\nContent-Length: 1000\r\n\r\nhalf")


def trickle(peer: socket.socket, healed: threading.Event) -> None:
    """An answer of which a byte comes each second, to the end of days."""
    _read_request(peer)
    for byte in b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nX-Slow: " + b"x" * 1000:
        peer.sendall(bytes([byte]))
        if healed.wait(1):
            return


def endless(peer: socket.socket, healed: threading.Event) -> None:
    """An answer that goes on for as long as somebody reads it."""
    _read_request(peer)
    peer.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n")
    while not healed.is_set():
        peer.sendall(b"10000\r\n" + b" " * 65536 + b"\r\n")


def endless_head(peer: socket.socket, healed: threading.Event) -> None:
    """Headers without end."""
    _read_request(peer)
    peer.sendall(b"HTTP/1.1 200 OK\r\n")
    while not healed.is_set():
        peer.sendall(b"X-More: " + b"x" * 8000 + b"\r\n")


def another_protocol(peer: socket.socket, healed: threading.Event) -> None:
    """A port on which something else listens."""
    _read_request(peer)
    peer.sendall(b"SSH-2.0-OpenSSH_9.2p1\r\n")
    healed.wait(0.2)


class FullBacklog:
    """A port that accepts no connection: its queue is full, so the kernel drops what knocks, as a firewall or a dead host does."""

    def __init__(self) -> None:
        self._socket = socket.socket()
        self._socket.bind(("127.0.0.1", 0))
        self._socket.listen(0)
        self._knocking = []
        for _ in range(3):
            knock = socket.socket()
            knock.setblocking(False)
            knock.connect_ex(self._socket.getsockname())
            self._knocking.append(knock)

    @property
    def port(self) -> int:
        """Where it listens."""
        return self._socket.getsockname()[1]

    def stop(self) -> None:
        """Lets the port go."""
        for each in [*self._knocking, self._socket]:
            each.close()
