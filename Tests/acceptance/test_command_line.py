"""The command line: check, reload, send, status, tail, pause, resume, skip, seek, spool."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from pathlib import Path

import pytest

from client import send_all
from conftest import MakeDaemon, MakeServer
from daemon import BINARY, QUICK, Daemon, eventually, free_port
from sink import OTLPSink
from spans import ids, line, lines, make_span, make_spans


@pytest.fixture
def daemon(make_daemon: MakeDaemon, collector: OTLPSink) -> Daemon:
    """A daemon that forwards to one collector."""
    return make_daemon({"collector": {"type": "otlp", "endpoint": collector.url, **QUICK}}).start()


# ---------------------------------------------------------------------------------------------------- check

MISTAKES = """\
spool:
  path: {folder}/spool.db
  max_sice: 1GiB
sources:
  unix: {{ path: {folder}/in.sock, mode: 7 }}
  udp: {{ listen: "nowhere" }}
destinations:
  collector:
    type: otlp
    endpoint: http://127.0.0.1:4318
    compression: brotli
  other:
    type: otpl
routes:
  - name: all
    to: [collector, nobody]
"""


def test_check_prints_every_mistake_at_once(folder: Path) -> None:
    """Each with file, line and column, in one run, with exit status 1."""
    file = folder / "bad.yaml"
    file.write_text(MISTAKES.format(folder=folder))
    result = subprocess.run([BINARY, "check", "--config", file], capture_output=True, text=True, timeout=30)
    said = result.stdout + result.stderr
    assert result.returncode == 1
    for number, word in ((3, "max_size"), (6, "listen"), (11, "compression"), (13, "otlp"), (16, "nobody")):
        rows = [row for row in said.splitlines() if f"bad.yaml:{number}:" in row]
        assert any(word in row for row in rows), f"nothing about line {number} ({word}) in:\n{said}"


def test_check_is_content_with_a_good_file(daemon: Daemon) -> None:
    """Exit status 0; --effective prints defaults too."""
    daemon.call("check")
    effective = daemon.call("check", "--effective")
    assert "history" in effective and "compression" in effective


def test_check_says_where_yaml_itself_is_broken(folder: Path) -> None:
    """Line and column of the syntax error."""
    file = folder / "bad.yaml"
    file.write_text("spool: {\n  path: x\nsources: [\n")
    result = subprocess.run([BINARY, "check", "--config", file], capture_output=True, text=True, timeout=30)
    assert result.returncode == 1
    assert "bad.yaml:" in result.stdout + result.stderr


def test_run_refuses_a_broken_file(make_daemon: MakeDaemon) -> None:
    """With exit status 1 and the same sentences."""
    daemon = make_daemon({"collector": {"type": "otlp", "endpoint": "http://127.0.0.1:9", "compresion": "gzip"}})
    result = subprocess.run([BINARY, "run", "--config", daemon.config_file], capture_output=True, text=True, timeout=30)
    assert result.returncode == 1
    assert "compression" in result.stdout + result.stderr


def test_wrong_use_is_exit_status_2() -> None:
    """A command that does not exist, an option that does not exist."""
    for words in (["conquer"], ["check", "--no-such-option"]):
        assert subprocess.run([BINARY, *words], capture_output=True, timeout=30).returncode == 2


def test_the_file_may_be_named_in_the_environment(daemon: Daemon) -> None:
    """TRACEFWD_CONFIG, where --config is left out."""
    environment = {**os.environ, "TRACEFWD_CONFIG": str(daemon.config_file)}
    assert subprocess.run([BINARY, "status"], env=environment, capture_output=True, timeout=30).returncode == 0


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_shell_completions_are_generated(shell: str) -> None:
    """For the three shells; they know the commands."""
    result = subprocess.run([BINARY, "--generate-completion-script", shell], capture_output=True, text=True, timeout=30)
    assert result.returncode == 0
    assert "reload" in result.stdout


def test_help_teaches() -> None:
    """Each command explains itself."""
    top = subprocess.run([BINARY, "--help"], capture_output=True, text=True, timeout=30)
    assert top.returncode == 0
    for command in ("run", "check", "reload", "send", "status", "tail", "dead", "pause", "resume", "skip", "seek", "spool"):
        assert command in top.stdout
        page = subprocess.run([BINARY, command, "--help"], capture_output=True, text=True, timeout=30)
        assert page.returncode == 0 and "USAGE" in page.stdout.upper()


# ---------------------------------------------------------------------------------------------------- reload


def test_reload_adds_a_destination(daemon: Daemon, collector: OTLPSink, make_server: MakeServer) -> None:
    """It starts at the end of the log; the others go on."""
    send_all(daemon.socket, make_spans(5))
    collector.wait_for(5)
    second = make_server(OTLPSink)
    daemon.config["destinations"]["second"] = {"type": "otlp", "endpoint": second.url, **QUICK}
    daemon.config["routes"][0]["to"].append("second")
    daemon.write_config()
    daemon.call("reload")
    later = make_spans(7)
    send_all(daemon.socket, later)
    second.wait_for(7)
    collector.wait_for(12)
    assert second.span_ids == ids(later)
    assert len(set(collector.span_ids)) == 12


def test_reload_of_a_broken_file_leaves_the_old_one_in_force(daemon: Daemon, collector: OTLPSink) -> None:
    """Exit status 1 and the mistakes; the daemon goes on as it was."""
    good = daemon.config_file.read_text()
    daemon.config_file.write_text(good.replace('"type": "otlp"', '"type": "otpl"'))
    result = daemon.run("reload")
    assert result.returncode == 1
    assert "otpl" in result.stdout + result.stderr
    spans = make_spans(3)
    send_all(daemon.socket, spans)
    collector.wait_for(3)
    assert collector.span_ids == ids(spans)
    daemon.config_file.write_text(good)
    daemon.call("reload")


def test_reload_dry_run_changes_nothing(daemon: Daemon, collector: OTLPSink) -> None:
    """It says what would change."""
    daemon.config["destinations"]["second"] = {"type": "otlp", "endpoint": collector.url, **QUICK}
    daemon.config["routes"][0]["to"].append("second")
    daemon.write_config()
    assert "second" in daemon.call("reload", "--dry-run")
    assert list(daemon.status().destinations) == ["collector"]


def test_a_changed_endpoint_keeps_the_cursor(make_daemon: MakeDaemon, make_server: MakeServer) -> None:
    """The backlog of a destination that is down goes to its new address after a reload."""
    daemon = make_daemon({"moving": {"type": "otlp", "endpoint": f"http://127.0.0.1:{free_port()}", **QUICK}}).start()
    spans = make_spans(50)
    send_all(daemon.socket, spans)
    new = make_server(OTLPSink)
    daemon.config["destinations"]["moving"]["endpoint"] = new.url
    daemon.write_config()
    daemon.call("reload")
    new.wait_for(50)
    assert new.span_ids == ids(spans)


def test_a_removed_destination_keeps_its_books(daemon: Daemon, collector: OTLPSink, make_server: MakeServer) -> None:
    """Retired: it gets no more spans and holds up nothing; the books still balance."""
    second = make_server(OTLPSink)
    daemon.config["destinations"]["second"] = {"type": "otlp", "endpoint": second.url, **QUICK}
    daemon.config["routes"][0]["to"].append("second")
    daemon.write_config()
    daemon.call("reload")
    send_all(daemon.socket, make_spans(5))
    second.wait_for(5)
    del daemon.config["destinations"]["second"]
    daemon.config["routes"][0]["to"].remove("second")
    daemon.write_config()
    daemon.call("reload")
    send_all(daemon.socket, make_spans(5))
    collector.wait_for(10)
    time.sleep(0.3)
    assert len(second.spans) == 5
    daemon.settled()


def test_sighup_reloads(daemon: Daemon, make_server: MakeServer) -> None:
    """As a service manager does it."""
    second = make_server(OTLPSink)
    daemon.config["destinations"]["second"] = {"type": "otlp", "endpoint": second.url, **QUICK}
    daemon.config["routes"][0]["to"].append("second")
    daemon.write_config()
    os.kill(daemon.pid, signal.SIGHUP)
    eventually(lambda: "second" in daemon.status().destinations)
    send_all(daemon.socket, make_spans(1))
    second.wait_for(1)


def test_a_destination_that_returns_goes_on_where_it_was(daemon: Daemon, collector: OTLPSink, make_server: MakeServer) -> None:
    """Removed and put back: the spans that came meanwhile are still in history, and it gets them."""
    second = make_server(OTLPSink)
    whole = {**daemon.config["destinations"], "second": {"type": "otlp", "endpoint": second.url, **QUICK}}
    for names in (["collector", "second"], ["collector"], ["collector", "second"]):
        daemon.config["destinations"] = {name: whole[name] for name in names}
        daemon.config["routes"][0]["to"] = names
        daemon.write_config()
        daemon.call("reload")
        send_all(daemon.socket, make_spans(10))
    second.wait_for(30)
    collector.wait_for(30)
    assert second.span_ids == collector.span_ids


def test_a_new_destination_may_begin_at_the_beginning(daemon: Daemon, collector: OTLPSink, make_server: MakeServer) -> None:
    """`from: beginning` gives it all that history holds."""
    spans = make_spans(25)
    send_all(daemon.socket, spans)
    collector.wait_for(25)
    second = make_server(OTLPSink)
    daemon.config["destinations"]["second"] = {"type": "otlp", "endpoint": second.url, "from": "beginning", **QUICK}
    daemon.config["routes"][0]["to"].append("second")
    daemon.write_config()
    daemon.call("reload")
    second.wait_for(25)
    assert second.span_ids == ids(spans)


def test_a_disabled_destination_keeps_its_spans(daemon: Daemon, collector: OTLPSink) -> None:
    """`enabled: false` sends nothing; the spans wait as if it were paused."""
    daemon.config["destinations"]["collector"]["enabled"] = False
    daemon.write_config()
    daemon.call("reload")
    spans = make_spans(10)
    send_all(daemon.socket, spans)
    time.sleep(0.5)
    assert collector.requests == []
    daemon.config["destinations"]["collector"]["enabled"] = True
    daemon.write_config()
    daemon.call("reload")
    collector.wait_for(10)
    assert collector.span_ids == ids(spans)


def test_reload_names_what_needs_a_restart(daemon: Daemon) -> None:
    """spool.* is not changed by a reload, and reload says so."""
    daemon.config["spool"]["max_size"] = "5GiB"
    daemon.write_config()
    said = daemon.call("reload")
    assert "spool.max_size" in said and "restart" in said


# ---------------------------------------------------------------------------------------------------- send, status, tail


def test_send_reads_standard_input(daemon: Daemon, collector: OTLPSink) -> None:
    """Exit status 0 where every span was taken."""
    spans = make_spans(20)
    result = daemon.run("send", standard_input=lines(spans))
    assert result.returncode == 0, result.stderr
    collector.wait_for(20)
    assert collector.span_ids == ids(spans)


def test_send_reads_a_file(daemon: Daemon, collector: OTLPSink, folder: Path) -> None:
    """Named on the command line."""
    spans = make_spans(20)
    (folder / "spans.ndjson").write_bytes(lines(spans))
    daemon.call("send", str(folder / "spans.ndjson"))
    collector.wait_for(20)
    assert collector.span_ids == ids(spans)


def test_send_fails_where_a_span_was_rejected(daemon: Daemon, collector: OTLPSink) -> None:
    """Exit status 1, with the line and the reason; the others are taken."""
    result = daemon.run("send", standard_input=line(make_span()) + b"nonsense\n" + line(make_span()))
    assert result.returncode == 1
    assert "invalid_json" in result.stdout + result.stderr and "2" in result.stdout + result.stderr
    collector.wait_for(2)


def test_send_fails_where_no_daemon_is(make_daemon: MakeDaemon) -> None:
    """Exit status 1 and a sentence with the socket's path."""
    daemon = make_daemon({"screen": {"type": "console"}})
    result = daemon.run("send", standard_input=line(make_span()))
    assert result.returncode == 1
    assert str(daemon.socket) in result.stderr


def test_status_balances_and_names_the_states(make_daemon: MakeDaemon, collector: OTLPSink) -> None:
    """accepted = outcomes + spooled for each consumer (checked by `status()` each time), beside one that is down."""
    down = {"type": "otlp", "endpoint": f"http://127.0.0.1:{free_port()}", **QUICK}
    daemon = make_daemon({"up": {"type": "otlp", "endpoint": collector.url, **QUICK}, "down": down}).start()
    for turn in range(1, 6):
        send_all(daemon.socket, make_spans(100))
        assert daemon.status().accepted == turn * 100
    collector.wait_for(500)
    status = eventually(lambda: (page := daemon.status()).spooled["up"] == 0 and page)
    assert status.outcomes("up") == {"delivered": 500}
    assert status.spooled == {"up": 0, "down": 500}
    table = daemon.call("status")
    assert "up" in table and "down" in table


def test_a_live_command_without_a_daemon_says_so(daemon: Daemon) -> None:
    """Exit status 1, with the path of the socket that nobody listens on."""
    daemon.stop()
    result = daemon.run("status")
    assert result.returncode == 1
    assert str(daemon.control) in result.stderr


def test_live_commands_need_no_secret_of_the_daemon(make_daemon: MakeDaemon, collector: OTLPSink) -> None:
    """The service manager's environment and credentials are the daemon's alone; a person's shell has neither."""
    headers = {"authorization": "Bearer ${TEST_TRACEFWD_KEY}"}
    daemon = make_daemon({"collector": {"type": "otlp", "endpoint": collector.url, "headers": headers, **QUICK}})
    daemon.start(environment={"TEST_TRACEFWD_KEY": "from-the-environment"})
    assert daemon.run("send", standard_input=line(make_span())).returncode == 0
    collector.wait_for(1)
    for words in (["status"], ["status", "--json"], ["dead", "list"], ["reload"], ["pause", "collector"], ["spool", "info"]):
        assert "from-the-environment" not in daemon.call(*words)


def test_live_commands_work_while_the_file_is_broken(daemon: Daemon, collector: OTLPSink) -> None:
    """Whoever repairs a configuration still sees what the daemon does under the old one."""
    daemon.config_file.write_text(daemon.config_file.read_text().replace('"type": "otlp"', '"type": "otpl"'))
    assert daemon.status().accepted == 0
    daemon.call("pause", "collector")


def test_tail_shows_accepted_spans_as_they_come(daemon: Daemon) -> None:
    """`tail --json` prints one object a line."""
    tail = subprocess.Popen([BINARY, "tail", "--json", "--config", daemon.config_file], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    try:
        time.sleep(1)
        span = make_span(name="seen by tail")
        send_all(daemon.socket, [span])
        assert tail.stdout
        os.set_blocking(tail.stdout.fileno(), False)
        seen = b""

        def shown() -> bool:
            nonlocal seen
            seen += tail.stdout.read() or b""
            return span["span_id"].encode() in seen

        eventually(shown)
        assert all(json.loads(row) for row in seen.splitlines())
    finally:
        tail.terminate()
        tail.wait(10)


def test_a_tail_that_does_not_read_costs_nothing(daemon: Daemon, collector: OTLPSink) -> None:
    """A stuck terminal never holds up a span."""
    words = [BINARY, "tail", "--json", "--config", daemon.config_file]
    stuck = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    try:
        time.sleep(0.5)
        begin = time.monotonic()
        spans = make_spans(5000, input="x" * 500)
        assert send_all(daemon.socket, spans)["accepted"] == 5000
        collector.wait_for(5000)
        assert time.monotonic() - begin < 20
    finally:
        stuck.kill()
        stuck.wait()


# ---------------------------------------------------------------------------------------------------- steering


def test_pause_and_resume(daemon: Daemon, collector: OTLPSink) -> None:
    """A paused destination keeps its spans, over a restart too."""
    daemon.call("pause", "collector")
    spans = make_spans(10)
    send_all(daemon.socket, spans)
    time.sleep(0.5)
    assert collector.requests == []
    assert "paus" in daemon.status().state("collector")
    daemon.stop()
    daemon.start()
    time.sleep(0.5)
    assert collector.requests == []
    daemon.call("resume", "collector")
    collector.wait_for(10)
    assert collector.span_ids == ids(spans)


def test_skip_drops_the_backlog_and_counts_it(make_daemon: MakeDaemon, collector: OTLPSink) -> None:
    """What was skipped has an outcome; what comes after is delivered."""
    daemon = make_daemon({"collector": {"type": "otlp", "endpoint": collector.url, **QUICK}}).start()
    daemon.call("pause", "collector")
    send_all(daemon.socket, make_spans(10))
    daemon.call("skip", "collector")
    daemon.call("resume", "collector")
    later = make_spans(3)
    send_all(daemon.socket, later)
    collector.wait_for(3)
    assert collector.span_ids == ids(later)
    outcomes = daemon.settled().outcomes("collector")
    assert outcomes["delivered"] == 3
    assert sum(outcomes.values()) == 13


def test_seek_sends_history_again(daemon: Daemon, collector: OTLPSink) -> None:
    """Back to the beginning: the same ids once more, and the books still balance."""
    spans = make_spans(10)
    send_all(daemon.socket, spans)
    collector.wait_for(10)
    daemon.settled()
    daemon.call("seek", "collector", "--to", "beginning")
    collector.wait_for(20)
    assert collector.span_ids == sorted(ids(spans) * 2)
    daemon.settled()


def test_a_destination_that_does_not_exist_is_named(daemon: Daemon) -> None:
    """Exit status 1, and the names there are."""
    for command in ("pause", "resume"):
        result = daemon.run(command, "colector")
        assert result.returncode == 1
        assert "collector" in result.stdout + result.stderr


def test_spool_info_and_verify(daemon: Daemon, collector: OTLPSink) -> None:
    """With the daemon running and with it stopped."""
    send_all(daemon.socket, make_spans(10))
    collector.wait_for(10)
    daemon.settled()
    for turn in range(2):
        assert daemon.json("spool", "info")
        daemon.call("spool", "verify")
        if turn == 0:
            daemon.stop()


def test_the_ingest_socket_bears_its_mode(make_daemon: MakeDaemon, collector: OTLPSink) -> None:
    """`mode:` of the configuration; the control socket and the spool are for the owner alone."""
    daemon = make_daemon({"collector": {"type": "otlp", "endpoint": collector.url}})
    daemon.config["sources"]["unix"]["mode"] = "0622"
    daemon.write_config()
    daemon.start()
    assert daemon.socket.stat().st_mode & 0o777 == 0o622
    assert daemon.control.stat().st_mode & 0o007 == 0
    assert daemon.spool.stat().st_mode & 0o077 == 0
