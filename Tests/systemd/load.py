"""A constant load on one tracefwd, until standard input ends; then the account of it, JSON on standard output.

`load.py SOCKET PORT`: stream clients that ask for an ack after each few spans, a sender of datagrams, and somebody who looks at /healthz.
A client whose connection ends before its ack sends the same spans again, as an application would.
"""

from __future__ import annotations

import http.client
import json
import secrets
import socket
import sys
import threading
import time
from typing import Any

CLIENTS = 4
SPANS = 20
REFUSED = (ConnectionRefusedError, FileNotFoundError)


class Account:
    """What happened, for all threads."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.acked: list[str] = []
        self.datagrams: list[str] = []
        self.refused: list[str] = []
        self.reconnects = 0
        self.looks = 0
        self.broken_looks = 0


def span() -> dict[str, Any]:
    """One with random ids, as an application sends it."""
    return {"trace_id": secrets.token_hex(16), "span_id": secrets.token_hex(8), "name": "chat gpt-4o", "input": "x" * 200}


def line(value: object) -> bytes:
    """One JSON value as one line."""
    return json.dumps(value).encode() + b"\n"


def answered(peer: socket.socket, ack: int, count: int) -> bool:
    """Reads on to the answer of this ack; False where the daemon closes before."""
    buffer = b""
    while True:
        while b"\n" in buffer:
            first, _, buffer = buffer.partition(b"\n")
            answer = json.loads(first)
            if answer["ack"] == ack:
                return answer["accepted"] == count and answer["rejected"] == 0
        try:
            data = peer.recv(65536)
        except OSError:
            return False
        if not data:
            return False
        buffer += data


def stream(path: str, account: Account, over: threading.Event) -> None:
    """Sends a few spans, waits for their ack, and so on."""
    peer: socket.socket | None = None
    ack = 0
    while not over.is_set():
        spans = [span() for _ in range(SPANS)]
        while True:
            if peer is None:
                peer = socket.socket(socket.AF_UNIX)
                peer.settimeout(60)
                try:
                    peer.connect(path)
                except REFUSED as error:
                    with account.lock:
                        account.refused.append(f"unix: {error!r}")
                    peer = None
                    time.sleep(0.05)
                    continue
            ack += 1
            try:
                peer.sendall(b"".join(map(line, spans)) + line({"ack": ack}))
                done = answered(peer, ack, SPANS)
            except OSError:
                done = False
            if done:
                break
            peer.close()
            peer = None
            with account.lock:
                account.reconnects += 1
        with account.lock:
            account.acked += [each["span_id"] for each in spans]
        time.sleep(0.005)


def datagrams(port: int, account: Account, over: threading.Event) -> None:
    """A span a datagram, some hundreds a second."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        while not over.is_set():
            each = span()
            sender.sendto(line(each), ("127.0.0.1", port))
            with account.lock:
                account.datagrams.append(each["span_id"])
            time.sleep(0.003)


def look(port: int, account: Account, over: threading.Event) -> None:
    """A new connection for each look, so that every gap in the listening would be seen."""
    while not over.is_set():
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        try:
            connection.connect()
        except REFUSED as error:
            with account.lock:
                account.refused.append(f"http: {error!r}")
            continue
        try:
            connection.request("GET", "/healthz")
            connection.getresponse().read()
            with account.lock:
                account.looks += 1
        except (OSError, http.client.HTTPException):
            with account.lock:
                account.broken_looks += 1
        finally:
            connection.close()
        time.sleep(0.01)


def main() -> None:
    """Starts the threads, says so with one line, and ends with standard input."""
    path, port = sys.argv[1], int(sys.argv[2])
    account, over = Account(), threading.Event()
    threads = [threading.Thread(target=stream, args=(path, account, over)) for _ in range(CLIENTS)]
    threads += [threading.Thread(target=datagrams, args=(port, account, over)), threading.Thread(target=look, args=(port, account, over))]
    for thread in threads:
        thread.start()
    print("running", flush=True)
    sys.stdin.read()
    over.set()
    for thread in threads:
        thread.join()
    lock = account.__dict__.pop("lock")
    with lock:
        print(json.dumps(account.__dict__))


if __name__ == "__main__":
    main()
