"""`platform_stub.py PORT STATUS FILE`: an HTTP server that answers every request with a status and writes its authorization header down."""

from __future__ import annotations

import sys
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path


class Handler(BaseHTTPRequestHandler):
    """Takes POST."""

    def do_POST(self) -> None:
        """Reads all of it, answers."""
        self.rfile.read(int(self.headers["content-length"]))
        with open(sys.argv[3], "a") as file:
            file.write(f"{self.headers.get('authorization', '')}\n")
        self.send_response(int(Path(sys.argv[2]).read_text()))
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, format: str, *arguments: object) -> None:
        """Nothing."""


HTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
