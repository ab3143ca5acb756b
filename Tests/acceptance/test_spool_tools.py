"""spool backup and spool restore, with the daemon running and stopped."""

from __future__ import annotations

import os
import shutil
import signal
import sqlite3
import subprocess
import threading
from pathlib import Path

import pytest

from client import send_all
from conftest import MakeDaemon
from daemon import BINARY, QUICK, Daemon, eventually, free_port
from sink import OTLPSink, Reply
from spans import ids, make_spans


def daemon_with(make_daemon: MakeDaemon, sink: OTLPSink, **spool: object) -> Daemon:
    """One that forwards to one collector; its reserve is small."""
    return make_daemon({"sink": {"type": "otlp", "endpoint": sink.url, **QUICK}}, spool={"reserve": "1MiB", **spool})


def verify(daemon: Daemon, path: Path) -> None:
    """`spool verify` finds nothing in a copy."""
    daemon.call("spool", "verify", "--path", str(path))


def test_a_backup_is_taken_while_spans_come_in(make_daemon: MakeDaemon, collector: OTLPSink, folder: Path) -> None:
    """Five in a row under load, with history that is trimmed at once and a few letters: each is sound, private and another spool."""
    collector.otherwise = lambda request: Reply(400) if any(span.name == "poison" for span in request.spans) else Reply()
    daemon = daemon_with(make_daemon, collector, history="0s").start()
    stop = threading.Event()

    def load() -> None:
        number = 0
        while not stop.is_set():
            spans = make_spans(200)
            if number % 20 == 0:
                spans[7]["name"] = "poison"
            number += 1
            send_all(daemon.socket, spans)

    writer = threading.Thread(target=load)
    writer.start()
    try:
        eventually(lambda: daemon.status().accepted > 2_000)
        own = daemon.json("status")["spool"]["id"]
        seen = {own}
        for number in range(5):
            copy = folder / f"copy-{number}.db"
            summary = daemon.json("spool", "backup", str(copy))
            verify(daemon, copy)
            assert copy.stat().st_mode & 0o777 == 0o600
            assert summary["spool_id"] not in seen
            seen.add(summary["spool_id"])
            with sqlite3.connect(f"file:{copy}?mode=ro", uri=True) as database:
                assert database.execute("SELECT value FROM meta WHERE key = 'spool_id'").fetchone() == (summary["spool_id"],)
                assert database.execute("SELECT max(last_id) FROM segments").fetchone() == (summary["last_id"],)
    finally:
        stop.set()
        writer.join()
    assert not list(folder.glob("*.partial*"))
    daemon.status()
    verify(daemon, daemon.spool)


def test_a_backup_of_a_stopped_daemon_says_what_it_holds(make_daemon: MakeDaemon, collector: OTLPSink, folder: Path) -> None:
    """With --verify; and a terminal is not needed for anything."""
    daemon = daemon_with(make_daemon, collector).start()
    send_all(daemon.socket, make_spans(30))
    collector.wait_for(30)
    daemon.stop()
    said = daemon.call("spool", "backup", str(folder / "copy.db"), "--verify")
    assert "spans 1 to 30" in said


def test_a_restore_goes_on_where_the_backup_was_made(make_daemon: MakeDaemon, collector: OTLPSink, folder: Path) -> None:
    """What was undelivered then is delivered; what came later is in the file that was set aside; the ids go on."""
    daemon = daemon_with(make_daemon, collector).start()
    delivered = make_spans(20)
    send_all(daemon.socket, delivered)
    collector.wait_for(20)
    daemon.settled()
    daemon.call("pause", "sink")
    waiting = make_spans(10)
    send_all(daemon.socket, waiting)
    daemon.call("spool", "backup", str(folder / "copy.db"))
    later = make_spans(5)
    send_all(daemon.socket, later)

    refused = daemon.run("spool", "restore", str(folder / "copy.db"))
    assert refused.returncode == 1 and "Stop it first" in refused.stderr
    assert daemon.status().accepted == 35

    daemon.stop()
    result = daemon.json("spool", "restore", str(folder / "copy.db"))
    aside = Path(result["set_aside"])
    assert aside.name.startswith("spool.db.before-restore-")
    verify(daemon, aside)
    with sqlite3.connect(f"file:{aside}?mode=ro", uri=True) as database:
        assert database.execute("SELECT max(last_id) FROM segments").fetchone() == (35,)
    daemon.start()
    assert daemon.status().accepted == 30
    daemon.call("resume", "sink")
    collector.wait_for(30)
    assert collector.span_ids == ids([*delivered, *waiting])
    send_all(daemon.socket, make_spans(1))
    collector.wait_for(31)
    assert daemon.settled().accepted == 31
    verify(daemon, daemon.spool)


def test_a_restore_takes_a_sound_copy_only(make_daemon: MakeDaemon, collector: OTLPSink, folder: Path) -> None:
    """Something wrong in it changes nothing; nor does a file that is none."""
    daemon = daemon_with(make_daemon, collector).start()
    send_all(daemon.socket, make_spans(30))
    collector.wait_for(30)
    daemon.stop()
    copy = folder / "copy.db"
    daemon.call("spool", "backup", str(copy))
    with sqlite3.connect(copy) as database:
        database.execute("UPDATE ledger SET spans = spans + 1")
    database.close()
    before = daemon.spool.read_bytes()
    for path, word in ((copy, "the ledger has"), (folder / "none.db", "No such file"), (daemon.config_file, "not a database")):
        result = daemon.run("spool", "restore", str(path))
        assert result.returncode == 1, path
        assert word in result.stderr
    assert daemon.spool.read_bytes() == before
    assert not [name for name in os.listdir(daemon.folder) if "restore" in name]


def test_a_backup_never_overwrites(make_daemon: MakeDaemon, collector: OTLPSink, folder: Path) -> None:
    """A file that is there stays as it is; so does a directory."""
    daemon = daemon_with(make_daemon, collector).start()
    send_all(daemon.socket, make_spans(3))
    (folder / "precious").write_text("mine")
    for place, word in ((folder / "precious", "is there already"), (folder, "is there already"), (folder / "no" / "copy.db", "No such file")):
        result = daemon.run("spool", "backup", str(place))
        assert result.returncode == 1
        assert word in result.stderr
    assert (folder / "precious").read_text() == "mine"
    assert daemon.run("spool", "backup").returncode == 2


def test_a_backup_that_is_interrupted_leaves_nothing(make_daemon: MakeDaemon, folder: Path) -> None:
    """Ctrl-C in the middle: exit status 1, no file and no part of one; the daemon never notices."""
    daemon = make_daemon({"down": {"type": "otlp", "endpoint": f"http://127.0.0.1:{free_port()}", **QUICK}}, spool={"reserve": "1MiB"})
    daemon.start()
    send_all(daemon.socket, make_spans(8_000, input="x" * 4_000))
    copy = folder / "copy.db"
    command = [BINARY, "spool", "backup", str(copy), "--config", str(daemon.config_file)]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    eventually(lambda: (folder / "copy.db.partial").exists() or process.poll() is not None, every=0.001)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=30)
    if process.returncode == 0:
        pytest.skip("the copy was faster than the interrupt")
    assert process.returncode == 1
    assert "stopped" in said
    assert not list(folder.glob("copy.db*"))
    assert daemon.status().accepted == 8_000


def small_disk(folder: Path, script: str, *command: str) -> subprocess.CompletedProcess[str]:
    """Runs a shell script over a command with 40 MiB of memory for a disk at `folder`/small, in a mount namespace of its own."""
    (folder / "small").mkdir(exist_ok=True)
    mounted = f"mount -t tmpfs -o size=40m tmpfs {folder}/small && cd {folder}/small && {{ {script}; }}"
    words = ["unshare", "--mount", "--map-root-user", "sh", "-c", mounted, "sh", *command]
    return subprocess.run(words, capture_output=True, text=True, timeout=60)


FILL = "head -c 39m /dev/zero >filler"


@pytest.mark.parametrize(
    "script",
    [
        f'{FILL}; "$@"; status=$?; rm filler; ls -A; exit $status',
        # Stopped while it writes, until the disk is full.
        '"$@" & while [ ! -s copy.db.partial ] && [ ! -e copy.db ]; do :; done; kill -STOP $!; '
        + f"{FILL} 2>&1; kill -CONT $!; wait $!; status=$?; rm filler; ls -A; exit $status",
    ],
    ids=["before", "on the way"],
)
def test_a_full_disk_ends_a_backup_with_a_clear_word(make_daemon: MakeDaemon, folder: Path, script: str) -> None:
    """Seen at once where it cannot fit, and on the way where the disk fills meanwhile; the part that was written is gone."""
    if not shutil.which("unshare") or small_disk(folder, "true").returncode != 0:
        pytest.skip("no tmpfs can be mounted here")
    daemon = make_daemon({"down": {"type": "otlp", "endpoint": f"http://127.0.0.1:{free_port()}", **QUICK}}, spool={"reserve": "1MiB"})
    daemon.start()
    send_all(daemon.socket, make_spans(6_000, input="x" * 4_000))
    command = [str(BINARY), "spool", "backup", str(folder / "small" / "copy.db"), "--config", str(daemon.config_file)]
    result = small_disk(folder, script, *command)
    assert result.returncode == 1, result.stdout + result.stderr
    assert "MiB are free there" in result.stderr
    assert "copy.db" not in result.stdout


def test_progress_is_for_terminals_alone(make_daemon: MakeDaemon, collector: OTLPSink, folder: Path) -> None:
    """On a terminal a line that is written over; in a pipe nothing but the result."""
    daemon = daemon_with(make_daemon, collector).start()
    send_all(daemon.socket, make_spans(2_000))
    collector.wait_for(2_000)
    result = daemon.run("spool", "backup", str(folder / "one.db"))
    assert result.returncode == 0 and result.stderr == ""
    words = f"{BINARY} spool backup {folder}/two.db --config {daemon.config_file}"
    shown = subprocess.run(["script", "-qec", words, "/dev/null"], capture_output=True, text=True, timeout=60)
    assert shown.returncode == 0
    assert "copied" in shown.stdout


def test_a_damaged_spool_has_no_copy(make_daemon: MakeDaemon, collector: OTLPSink, folder: Path) -> None:
    """The command says what to do, and leaves nothing behind."""
    daemon = daemon_with(make_daemon, collector).start()
    send_all(daemon.socket, make_spans(500))
    collector.wait_for(500)
    daemon.stop()
    with open(daemon.spool, "r+b") as file:
        file.seek(16384 * 3)
        file.write(b"\xa5" * (daemon.spool.stat().st_size - 16384 * 3))
    result = daemon.run("spool", "backup", str(folder / "copy.db"))
    assert result.returncode == 1
    assert "is damaged" in result.stderr and "spool verify" in result.stderr
    assert not list(folder.glob("copy.db*"))
