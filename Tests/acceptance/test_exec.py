"""`transform: exec`: a route's program changes the spans of the running daemon, whatever the program does."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from client import send_all
from conftest import MakeDaemon, MakeServer
from daemon import BINARY, eventually
from sink import OTLPSink, Reply
from spans import ids, make_span, make_spans
from test_rules import archive, spans_in

SCRUB = """
import json, os, sys, time
print("scrub is ready", file=sys.stderr, flush=True)
open(os.path.join(os.path.dirname(__file__), "pids"), "a").write(f"{os.getpid()}\\n")
for line in sys.stdin:
    span = json.loads(line)
    what = span["attributes"].get("do")
    if what == "die":
        sys.exit(7)
    if what == "hang":
        time.sleep(1000)
    if what == "garbage":
        print("Traceback: no JSON here", flush=True)
        continue
    if what == "flood":
        print("\\n".join(["a line of the flood"] * 100_000), file=sys.stderr, flush=True)
    if what == "drop":
        print("null", flush=True)
        continue
    span["attributes"]["scrubbed"] = True
    span["attributes"]["team_seen"] = span["attributes"].get("team")
    span["attributes"]["variables"] = sorted(os.environ)
    span["attributes"]["files"] = sorted(os.listdir("/proc/self/fd"))
    span["attributes"]["mail"] = "joe@example.com"
    print(json.dumps(span), flush=True)
"""


def program(folder: Path) -> list[str]:
    """The program's command."""
    file = folder / "scrub.py"
    file.write_text(SCRUB)
    return [sys.executable, str(file)]


def routes(command: list[str], **exec_keys: Any) -> list[dict[str, Any]]:
    """One route, with a step before the program and some behind it."""
    return [
        {
            "name": "scrub",
            "transform": [
                {"set": {"team": '"search"'}},
                {"exec": {"command": command, **exec_keys}},
                {"remove": ["team"]},
            ],
            "redact": ["email"],
            "to": ["out"],
        },
        {"name": "plain", "to": ["plain"]},
    ]


def pids(folder: Path) -> list[int]:
    """The processes that the program has been, the last one last."""
    return [int(line) for line in (folder / "pids").read_text().split()] if (folder / "pids").exists() else []


def is_running(pid: int) -> bool:
    """Whether there is such a process that has not ended."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_spans_go_as_the_program_gives_them_back(make_daemon: MakeDaemon, folder: Path) -> None:
    """Steps before it, the program, steps behind it, redaction; other destinations get the span as it came."""
    daemon = make_daemon(
        {"out": archive(folder / "out"), "plain": archive(folder / "plain")}, routes=routes(program(folder))
    ).start({**os.environ, "LANGFUSE_SECRET_KEY": "not for programs"})
    spans = make_spans(200)
    dropped = make_spans(3, attributes={"do": "drop"})
    send_all(daemon.socket, [*spans, *dropped])
    status = daemon.settled()
    assert status.outcomes("out") == {"delivered": 200, "filtered": 3}
    assert status.outcomes("plain") == {"delivered": 203}
    assert daemon.counted("tracefwd_spans_total", destination="out", outcome="filtered", reason="exec", route="scrub") == 3
    arrived = spans_in(folder / "out")
    assert ids(arrived) == ids(spans)
    sent = {span["span_id"]: span for span in spans_in(folder / "plain")}
    for span in arrived:
        attributes = span["attributes"]
        assert attributes["scrubbed"] is True
        assert attributes["team_seen"] == "search"
        assert "team" not in attributes
        assert attributes["mail"] == "[email]"
        # Nothing of the daemon's own: no secret, no notification socket, no open file but the three streams (and that of the listing).
        assert set(attributes["variables"]) <= {"PATH", "HOME", "LANG", "LC_ALL", "TZ", "TMPDIR", "LC_CTYPE"}
        assert len(attributes["files"]) == 4
        assert span["start_time"] == sent[span["span_id"]]["start_time"]
    assert "scrubbed" not in json.dumps(list(sent.values()))
    assert 'route scrub: its program says: scrub is ready' in daemon.log
    assert daemon.counted("tracefwd_exec_starts_total", route="scrub") == 1


def test_a_span_that_the_program_fails_at_is_a_dead_letter_and_the_others_arrive(make_daemon: MakeDaemon, folder: Path) -> None:
    """It dies, it hangs, it answers garbage; each costs that span alone, and another destination nothing."""
    daemon = make_daemon(
        {"out": archive(folder / "out"), "plain": archive(folder / "plain")}, routes=routes(program(folder), timeout="1s")
    ).start()
    good = make_spans(60)
    bad = [make_span(attributes={"do": what}) for what in ("die", "hang", "garbage")]
    send_all(daemon.socket, [*good[:20], bad[0], *good[20:40], bad[1], bad[2], *good[40:]])
    status = daemon.settled(60)
    assert status.outcomes("out") == {"delivered": 60, "dead": 3}
    assert status.outcomes("plain") == {"delivered": 63}
    assert ids(spans_in(folder / "out")) == ids(good)
    letters = daemon.dead("out")
    assert sorted(letter["reason"] for letter in letters) == ["exec_answer", "exec_died", "exec_timeout"]
    for reason in ("exec_answer", "exec_died", "exec_timeout"):
        assert daemon.counted("tracefwd_exec_failures_total", route="scrub", reason=reason) == 1
    assert "route scrub: its program ended with status 7; it is started again in" in daemon.log
    assert "no JSON here" not in daemon.log


def test_with_keep_a_span_goes_on_as_it_is(make_daemon: MakeDaemon, folder: Path) -> None:
    """What stands before and behind the program is done all the same."""
    daemon = make_daemon(
        {"out": archive(folder / "out"), "plain": archive(folder / "plain")}, routes=routes(program(folder), on_error="keep")
    ).start()
    span = make_span(attributes={"do": "garbage", "text": "of joe@example.com"})
    send_all(daemon.socket, [span])
    assert daemon.settled().outcomes("out") == {"delivered": 1}
    [arrived] = spans_in(folder / "out")
    assert arrived["attributes"]["text"] == "of [email]"
    assert "scrubbed" not in arrived["attributes"]


def test_a_flood_of_standard_error_fills_neither_the_journal_nor_the_memory(make_daemon: MakeDaemon, folder: Path) -> None:
    """100,000 lines become some; the spans arrive."""
    daemon = make_daemon(
        {"out": archive(folder / "out"), "plain": archive(folder / "plain")}, routes=routes(program(folder), timeout="60s")
    ).start()
    send_all(daemon.socket, [*make_spans(10), *make_spans(3, attributes={"do": "flood"})])
    assert daemon.settled(60).outcomes("out") == {"delivered": 13}
    assert daemon.log.count("a line of the flood") < 200


def test_without_its_program_spans_wait_and_the_status_says_why(make_daemon: MakeDaemon, folder: Path) -> None:
    """The program appears later, and everything arrives. Nothing was lost by a kill meanwhile."""
    path = folder / "bin/scrub"
    daemon = make_daemon({"out": archive(folder / "out"), "plain": archive(folder / "plain")}, routes=routes([str(path)])).start()
    spans = make_spans(5)
    send_all(daemon.socket, spans)
    why = f"exec of route scrub: cannot be started ({path}): No such file or directory"
    eventually(lambda: daemon.status().destinations["out"]["detail"] == why, what="the status says why")
    eventually(lambda: daemon.status().outcomes("plain") == {"delivered": 5}, what="the other destination has its spans")
    eventually(lambda: "its program cannot be started" in daemon.log, what="the journal says so")
    daemon.kill()
    daemon.start()
    path.parent.mkdir()
    path.symlink_to("/bin/cat")
    assert daemon.settled(60).outcomes("out") == {"delivered": 5}
    assert ids(spans_in(folder / "out")) == ids(spans)


def test_the_program_ends_with_the_daemon_and_with_its_route(make_daemon: MakeDaemon, folder: Path) -> None:
    """A reload that keeps the route keeps the process; one that changes the command ends it; so do a stop and a kill."""
    daemon = make_daemon(
        {"out": archive(folder / "out"), "plain": archive(folder / "plain")}, routes=routes(program(folder))
    ).start()
    eventually(lambda: len(pids(folder)) == 1, what="the program runs")
    daemon.call("reload")
    send_all(daemon.socket, make_spans(1))
    daemon.settled()
    assert len(pids(folder)) == 1
    daemon.config["routes"] = routes([*program(folder), "--new"])
    daemon.write_config()
    daemon.call("reload")
    eventually(lambda: len(pids(folder)) == 2 and not is_running(pids(folder)[0]), what="the first one has ended")
    daemon.stop()
    assert not is_running(pids(folder)[1])
    daemon.start()
    eventually(lambda: len(pids(folder)) == 3, what="the program runs again")
    daemon.kill()
    eventually(lambda: not is_running(pids(folder)[2]), what="the program has seen the end of its input")


def test_a_platform_that_fails_gets_the_same_spans_again(make_daemon: MakeDaemon, make_server: MakeServer, folder: Path) -> None:
    """Each attempt asks the program anew; ids stay."""
    platform = make_server(OTLPSink)
    platform.script.extend([Reply(503), Reply(503)])
    daemon = make_daemon(
        {"out": {"type": "otlp", "endpoint": platform.url, "linger": "20ms"}, "plain": archive(folder / "plain")},
        routes=routes(program(folder)),
    ).start()
    spans = make_spans(20)
    send_all(daemon.socket, [*spans, make_span(attributes={"do": "drop"})])
    assert daemon.settled(60).outcomes("out") == {"delivered": 20, "filtered": 1}
    assert platform.span_ids == ids(spans)


def test_check_runs_the_program(folder: Path) -> None:
    """Tests and --explain show what it makes of a span; a path that cannot be run is warned of."""
    command = program(folder)
    config: dict[str, Any] = {
        "spool": {"path": str(folder / "spool.db")},
        "destinations": {name: {"type": "file", "path": str(folder / name)} for name in ("out", "plain")},
        "routes": routes(command),
        "tests": [
            {"name": "scrubbed", "span": {"name": "x"}, "expect": {"out": {"delivered": {"scrubbed": True, "team": None}}}},
            {"name": "left out", "span": {"name": "x", "attributes": {"do": "drop"}}, "expect": {"out": "dropped"}},
        ],
    }
    file = folder / "t.yaml"

    def check(*words: str) -> subprocess.CompletedProcess[str]:
        file.write_text(json.dumps(config))
        return subprocess.run([BINARY, "check", "--config", file, *words], capture_output=True, text=True, timeout=120)

    good = check()
    assert good.returncode == 0, good.stderr
    assert "2 tests pass" in good.stdout
    (folder / "span.json").write_text(json.dumps({"name": "x", "attributes": {"do": "garbage"}}))
    explained = check("--explain", str(folder / "span.json"))
    assert "out: a dead letter: the program answered what is no span: invalid_json" in explained.stdout
    config["tests"][0]["span"] = {"name": "x", "attributes": {"do": "die"}}
    failed = check()
    assert failed.returncode == 1
    assert "out: expected delivered, but it is a dead letter" in failed.stderr
    config["routes"] = routes(["/no/such/program"])
    del config["tests"]
    assert "warning: route scrub: exec: /no/such/program cannot be run here: No such file or directory" in check().stderr
