"""What stands beside tracefwd's figures: a plain C program on the same layout of the spool, and syslog-ng."""

from __future__ import annotations

import json
import shutil
import subprocess
import time
from pathlib import Path

from rig import BenchError, Figures, Process, loadgen, scratch, sink, sink_stats, stop, wait_until
from table import OUT

SYSLOG_NG = shutil.which("syslog-ng", path="/usr/sbin:/usr/bin:/sbin")
QUIET_SECONDS = 5


def limit(tools: Path) -> Figures:
    """The plain C program, and this disk's fdatasync, in the same folder as the spool."""
    run = subprocess.run([tools / "limit", OUT, "2000"], stdout=subprocess.PIPE, text=True, check=True, timeout=300)
    found = json.loads(run.stdout)
    return {
        "spans_per_second": found["spans_per_second"],
        "cpu_us": found["cpu_us_per_span"],
        "written": found["bytes_written_per_span"],
        "fsync_p50_us": found["fdatasync_us"]["p50"],
        "fsync_p99_us": found["fdatasync_us"]["p99"],
    }


def syslog_ng_configuration(folder: Path, port: int, buffer: str) -> str:
    """Lines as they are from a unix socket to HTTP in batches of 500, under flow control, with one worker for each of two cores."""
    return f"""@version: 3.38
options {{ stats-freq(0); log-msg-size(65536); keep-hostname(yes); }};
source in {{ unix-stream("{folder}/in.sock" flags(no-parse) max-connections(8) log-iw-size(80000) log-fetch-limit(1000)); }};
destination out {{
  http(url("http://127.0.0.1:{port}/0/lines") method("POST") headers("Content-Type: text/plain") body("$MSG") delimiter("\\n")
       batch-lines(500) batch-timeout(200) workers(2) {buffer});
}};
log {{ source(in); destination(out); flags(flow-control); }};
"""


def syslog_ng(tools: Path, spans: int, connections: int, is_on_disk: bool) -> Figures | None:
    """syslog-ng in tracefwd's place; None where it is not installed. `is_on_disk`: its reliable disk buffer, which is no fsync."""
    if SYSLOG_NG is None:
        return None
    with scratch("syslog-ng") as folder, sink(tools, spans) as port:
        buffer = f'disk-buffer(reliable(yes) disk-buf-size({4 << 30}) mem-buf-size({64 << 20}) dir("{folder}"))'
        (folder / "conf").write_text(syslog_ng_configuration(folder, port, buffer if is_on_disk else "log-fifo-size(100000)"))
        words = [SYSLOG_NG, "-F", "--no-caps", "-f", "conf", "-R", "persist", "-p", "pid", "-c", "control"]
        with open(folder / "stderr", "wb") as log:
            process = subprocess.Popen(words, cwd=folder, stdout=log, stderr=log)
        try:
            there = folder / "in.sock"
            wait_until(lambda: there.exists() or process.poll() is not None, 10, "syslog-ng to listen")
            if process.poll() is not None:
                raise BenchError(f"syslog-ng ended with status {process.returncode}:\n{(folder / 'stderr').read_text()[-2000:]}")
            it = Process(process)
            load = loadgen(tools, "--socket", there, "--spans", spans, "--connections", connections)
            stats, since = sink_stats(port), time.monotonic()
            while stats["unique"] < spans and time.monotonic() < since + QUIET_SECONDS:
                time.sleep(0.05)
                now = sink_stats(port)
                if now["unique"] != stats["unique"]:
                    stats, since = now, time.monotonic()
            return {
                "spans_per_second": stats["unique"] / (stats["last_at"] - load["started_at"]),
                "cpu_us": it.cpu_seconds() * 1e6 / spans,
                "peak_mib": it.memory_mib("VmHWM"),
                "missing": spans - stats["unique"],
            }
        finally:
            stop(process)
