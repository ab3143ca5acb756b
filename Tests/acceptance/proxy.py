"""A small HTTP proxy: forwards absolute-form requests and opens tunnels for CONNECT. Keeps what it was asked for."""

from __future__ import annotations

import http.client
import select
import socket
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit


class Proxy:
    """Runs on a loopback port of its own; `asked` holds `METHOD target` of each request."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.stopping = threading.Event()
        self._http = _ProxyServer(("127.0.0.1", 0), _Handler)
        self._http.owner = self
        threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    @property
    def url(self) -> str:
        """Its address."""
        return f"http://127.0.0.1:{self._http.server_address[1]}"

    def stop(self) -> None:
        """Ends it, tunnels too."""
        self.stopping.set()
        self._http.shutdown()
        self._http.server_close()


class _ProxyServer(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    owner: Proxy


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _ProxyServer

    def do_POST(self) -> None:
        """Sends the request on and the answer back."""
        self.server.owner.asked.append(f"{self.command} {self.path}")
        target = urlsplit(self.path)
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        headers = {key: value for key, value in self.headers.items() if not key.lower().startswith("proxy-")}
        upstream = http.client.HTTPConnection(target.hostname or "", target.port or 80, timeout=20)
        upstream.request(self.command, target.path, body, headers)
        answer = upstream.getresponse()
        data = answer.read()
        self.send_response(answer.status)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)
        upstream.close()

    def do_CONNECT(self) -> None:
        """Joins the two connections until one of them ends."""
        self.server.owner.asked.append(f"CONNECT {self.path}")
        host, _, port = self.path.rpartition(":")
        with socket.create_connection((host, int(port)), timeout=20) as upstream:
            self.send_response(200)
            self.end_headers()
            self.close_connection = True
            pair = {self.connection: upstream, upstream: self.connection}
            while not self.server.owner.stopping.is_set():
                for source in select.select(list(pair), [], [], 0.1)[0]:
                    data = source.recv(65536)
                    if not data:
                        return
                    pair[source].sendall(data)

    def log_message(self, format: str, *words: object) -> None:
        """Silent."""
