"""The real binary under test: started on a configuration, looked at, stopped by its own pid."""

from __future__ import annotations

import http.client
import json
import os
import random
import re
import signal
import socket
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

CHECKOUT = Path(__file__).resolve().parents[2]
BINARY = Path(os.environ.get("TRACEFWD_BINARY", CHECKOUT / ".build/debug/tracefwd")).resolve()
QUICK = {"linger": "20ms", "backoff": {"base": "50ms", "max": "200ms"}}

Config = dict[str, Any]


def free_port() -> int:
    """A TCP and UDP port that is free, below those that the kernel gives to outgoing connections: a restart finds it free again."""
    while True:
        address = ("127.0.0.1", random.randrange(15_000, 32_000))
        try:
            for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
                with socket.socket(socket.AF_INET, kind) as probe:
                    probe.bind(address)
            return address[1]
        except OSError:
            continue


def eventually(condition: Callable[[], Any], seconds: float = 20, what: str = "", every: float = 0.02) -> Any:
    """Polls until the condition gives something true, and returns that."""
    limit = time.monotonic() + seconds
    while True:
        result = condition()
        if result:
            return result
        assert time.monotonic() < limit, f"not so after {seconds} s: {what or condition}"
        time.sleep(every)


class Daemon:
    """tracefwd in a folder of its own. The configuration is written as JSON, which is YAML too."""

    def __init__(self, folder: Path, destinations: Config, **sections: Any) -> None:
        self.folder = folder
        self.socket = folder / "in.sock"
        self.control = folder / "control.sock"
        self.spool = folder / "spool.db"
        self.port = free_port()
        self.config_file = folder / "tracefwd.yaml"
        self.log_file = folder / "stderr"
        self.process: subprocess.Popen[bytes] | None = None
        address = f"127.0.0.1:{self.port}"
        self.config: Config = {
            "spool": {"path": str(self.spool)},
            "sources": {"unix": {"path": str(self.socket)}, "udp": {"listen": address}, "http": {"listen": address}},
            "control": {"path": str(self.control)},
            "destinations": destinations,
            "routes": [{"name": "all", "to": list(destinations)}],
        }
        for name, section in sections.items():
            if isinstance(section, dict):
                self.config[name] = {**self.config.get(name, {}), **section}
            else:
                self.config[name] = section
        self.write_config()

    @property
    def udp(self) -> tuple[str, int]:
        """Where datagrams go."""
        return ("127.0.0.1", self.port)

    def write_config(self) -> None:
        """Writes `config` to its file; a running daemon reads it at `reload`."""
        self.config_file.write_text(json.dumps(self.config, indent=2))

    # -------------------------------------------------------------------------------------------- life

    def start(self, environment: dict[str, str] | None = None, command: list[str] | None = None, **popen: Any) -> Daemon:
        """Starts the daemon and waits until it takes spans. `command` stands before the binary, e.g. a wrapper."""
        self.launch(environment, command, **popen)
        return self.wait_until_ready()

    def launch(self, environment: dict[str, str] | None = None, command: list[str] | None = None, **popen: Any) -> None:
        """Starts the daemon and waits for nothing."""
        assert not self.running, "it runs already"
        clean = {key: value for key, value in os.environ.items() if not key.lower().endswith("_proxy")}
        words = [*(command or []), str(BINARY), "run", "--config", str(self.config_file)]
        with open(self.log_file, "ab") as log:
            self.process = subprocess.Popen(words, stdout=log, stderr=log, env={**clean, **(environment or {})}, **popen)

    def wait_until_ready(self, seconds: float = 30) -> Daemon:
        """Waits until it takes spans; fails where it has ended instead."""
        eventually(lambda: self.ready() or not self.running, seconds, "the daemon is ready")
        assert self.running, f"tracefwd ended with status {self.process.returncode}:\n{self.log}"
        return self

    @property
    def running(self) -> bool:
        """Whether the process is there."""
        return self.process is not None and self.process.poll() is None

    @property
    def pid(self) -> int:
        """The process."""
        assert self.process
        return self.process.pid

    @property
    def log(self) -> str:
        """Everything that it wrote to standard output and error, over all starts."""
        return self.log_file.read_text(errors="replace") if self.log_file.exists() else ""

    def ready(self) -> bool:
        """Whether the unix socket takes a connection and /readyz says 200."""
        try:
            with socket.socket(socket.AF_UNIX) as probe:
                probe.connect(str(self.socket))
            return self.get("/readyz")[0] == 200
        except OSError:
            return False

    def stop(self, seconds: float = 30) -> float:
        """SIGTERM; the exit status must be 0. Returns how long it took."""
        assert self.process
        begin = time.monotonic()
        self.process.send_signal(signal.SIGTERM)
        try:
            status = self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(f"still there {seconds} s after SIGTERM") from None
        assert status == 0, f"ended with status {status} after SIGTERM"
        return time.monotonic() - begin

    def kill(self) -> None:
        """SIGKILL: what a power cut is to the process."""
        assert self.process
        self.process.kill()
        self.process.wait()

    # -------------------------------------------------------------------------------------------- looks

    def get(self, path: str) -> tuple[int, str]:
        """Status and body of a page of the http source."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        try:
            connection.request("GET", path)
            answer = connection.getresponse()
            return answer.status, answer.read().decode()
        finally:
            connection.close()

    def metrics(self) -> dict[str, float]:
        """Samples of /metrics by name and labels, read as Prometheus' text format is."""
        status, text = self.get("/metrics")
        assert status == 200
        return parse_metrics(text)

    def counted(self, name: str, **labels: str) -> float:
        """The sum of a metric over the samples that have these labels."""
        wanted = [f'{key}="{value}"' for key, value in labels.items()]
        return sum(value for key, value in self.metrics().items() if key.split("{")[0] == name and all(word in key for word in wanted))

    def memory_mib(self, name: str = "VmHWM") -> float:
        """VmHWM (the most so far) or VmRSS (now)."""
        match = re.search(rf"^{name}:\s+(\d+) kB", Path(f"/proc/{self.pid}/status").read_text(), re.MULTILINE)
        assert match
        return int(match[1]) / 1024

    # -------------------------------------------------------------------------------------------- command line

    def run(self, *words: str, standard_input: bytes | None = None, seconds: float = 60) -> subprocess.CompletedProcess[str]:
        """`tracefwd WORDS --config FILE`, whatever its exit status."""
        return subprocess.run(
            [str(BINARY), *words, "--config", str(self.config_file)],
            input=standard_input.decode() if standard_input is not None else None,
            stdin=subprocess.DEVNULL if standard_input is None else None,
            capture_output=True,
            text=True,
            timeout=seconds,
        )

    def call(self, *words: str) -> str:
        """The same, where it must succeed; its standard output."""
        result = self.run(*words)
        assert result.returncode == 0, f"tracefwd {' '.join(words)}: status {result.returncode}\n{result.stdout}{result.stderr}"
        return result.stdout

    def json(self, *words: str) -> Any:
        """The same with --json, decoded."""
        return json.loads(self.call(*words, "--json"))

    def status(self) -> Status:
        """`tracefwd status --json`, with the sums that must hold checked."""
        status = Status(self.json("status"))
        status.check_books()
        return status

    def settled(self, seconds: float = 20) -> Status:
        """Waits until nothing is spooled for anybody."""
        return eventually(lambda: (status := self.status()) and not any(status.spooled.values()) and status, seconds, "all is settled")

    def dead(self, *words: str) -> list[dict[str, Any]]:
        """`tracefwd dead list --json`, of one destination or of all."""
        return self.json("dead", "list", "--limit", "10000", *words)["letters"]

    def dead_spans(self, *words: str) -> list[dict[str, Any]]:
        """The native span of each dead letter, by `tracefwd dead show`."""
        shown = [json.loads(self.call("dead", "show", letter["destination"], str(letter["span"]))) for letter in self.dead(*words)]
        return [letter["span_content"] for letter in shown]


SETTLING = {"delivered", "filtered", "sampled", "limited", "dead", "expired", "erased", "lost", "handed_over"}


class Status:
    """The books as `status --json` shows them; the one place in the suite that knows the form of that page."""

    def __init__(self, page: dict[str, Any]) -> None:
        self.page = page

    @property
    def accepted(self) -> int:
        """Spans accepted since the spool was made."""
        return self.page["spool"]["accepted"]

    @property
    def destinations(self) -> dict[str, dict[str, Any]]:
        """Each destination by its name."""
        return {destination["name"]: destination for destination in self.page["destinations"]}

    @property
    def spooled(self) -> dict[str, int]:
        """What each destination still has before it, in flight included."""
        return {
            name: self.accepted - destination["position"] - destination["settled_beyond"] for name, destination in self.destinations.items()
        }

    def outcomes(self, name: str) -> dict[str, int]:
        """Spans of a destination by outcome; movements of dead letters are not among them."""
        sums: dict[str, int] = {}
        for row in self.destinations[name]["ledger"]:
            if row["outcome"] in SETTLING and row["spans"]:
                sums[row["outcome"]] = sums.get(row["outcome"], 0) + row["spans"]
        return sums

    def state(self, name: str) -> str:
        """idle, delivering, retrying, paused, ..."""
        return self.destinations[name]["state"]

    def check_books(self) -> None:
        """accepted = never its business + what has an outcome + what is spooled, for each destination; and it says so itself."""
        for name, destination in self.destinations.items():
            known = destination["base"] + sum(self.outcomes(name).values()) + self.spooled[name]
            assert known == self.accepted, f"the books of {name} do not balance: {self.page}"
            assert destination["balances"] is True


def parse_metrics(text: str) -> dict[str, float]:
    """Prometheus' text format, strictly: every sample belongs to a family with a TYPE, no sample stands twice."""
    sample = re.compile(r'([a-zA-Z_:][a-zA-Z0-9_:]*)(\{(?:[a-zA-Z_][a-zA-Z0-9_]*="(?:[^"\\\n]|\\["\\n])*",?)*\})? (\S+)(?: -?\d+)?')
    kinds: dict[str, str] = {}
    samples: dict[str, float] = {}
    for row in text.splitlines():
        if row.startswith("# TYPE "):
            _, _, name, kind = row.split(" ")
            assert kind in ("counter", "gauge", "histogram", "summary", "untyped"), row
            assert name not in kinds, f"TYPE twice: {row}"
            kinds[name] = kind
        elif row and not row.startswith("#"):
            match = sample.fullmatch(row)
            assert match, f"not a sample: {row!r}"
            family = re.sub(r"_(bucket|sum|count)$", "", match[1])
            assert match[1] in kinds or kinds.get(family) in ("histogram", "summary"), f"no TYPE for {row!r}"
            key = match[1] + (match[2] or "")
            assert key not in samples, f"twice: {row!r}"
            samples[key] = float(match[3])
    return samples
