"""`platform_stub.py PORT STATUS FILE`: an HTTP server that answers every request as the file STATUS says, a status and the seconds that it
takes, and writes the request's authorization header down.
"""

from __future__ import annotations

import sys
import time
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path


class Handler(BaseHTTPRequestHandler):
    """Takes POST."""

    def do_POST(self) -> None:
        """Reads all of it, answers."""
        self.rfile.read(int(self.headers["content-length"]))
        with open(sys.argv[3], "a") as file:
            file.write(f"{self.headers.get('authorization', '')}\n")
        status, seconds = Path(sys.argv[2]).read_text().split()
        time.sleep(float(seconds))
        self.send_response(int(status))
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, format: str, *arguments: object) -> None:
        """Nothing."""


HTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
