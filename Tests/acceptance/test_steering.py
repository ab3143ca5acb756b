"""dead replay and purge with filters, preview and progress; skip and seek with a preview and with bad input."""

from __future__ import annotations

import signal
import subprocess
import time
from datetime import datetime, timedelta, timezone

import pytest

from client import send_all
from conftest import MakeDaemon, MakeServer
from daemon import BINARY, QUICK, Daemon, eventually
from sink import Decide, OTLPSink, Received, Reply
from spans import ids, make_span, make_spans


def refusing(*names: str) -> Decide:
    """What a platform answers that refuses spans by name: 400 for the first, 422 for the second, ..."""

    def answer(request: Received) -> Reply:
        for name, status in zip(names, (400, 422), strict=False):
            if any(span.name == name for span in request.spans):
                return Reply(status)
        return Reply()

    return answer


@pytest.fixture
def picky(make_server: MakeServer) -> OTLPSink:
    """A collector that refuses `bad` with 400 and `worse` with 422."""
    return make_server(OTLPSink, otherwise=refusing("bad", "worse"))


@pytest.fixture
def daemon(make_daemon: MakeDaemon, picky: OTLPSink) -> Daemon:
    """A daemon with dead letters: 3 `bad`, 2 `worse`, and 10 spans delivered."""
    daemon = make_daemon({"sink": {"type": "otlp", "endpoint": picky.url, **QUICK}}).start()
    spans = make_spans(10) + [make_span(name="bad") for _ in range(3)] + [make_span(name="worse") for _ in range(2)]
    send_all(daemon.socket, spans)
    eventually(lambda: len(daemon.dead()) == 5)
    daemon.settled()
    return daemon


def preview(daemon: Daemon, *words: str) -> dict[str, object]:
    """`dead replay --dry-run --json`."""
    return daemon.json("dead", "replay", "sink", "--dry-run", *words)


# ---------------------------------------------------------------------------------------------------- dead replay


def test_a_preview_tells_what_is_meant_and_does_nothing(daemon: Daemon, picky: OTLPSink) -> None:
    """How many, why, since when, a few ids."""
    requests = len(picky.requests)
    page = preview(daemon)
    assert (page["letters"], page["replayable"]) == (5, 5)
    assert [(group["reason"], group["status"], group["letters"]) for group in page["groups"]] == [("http_400", 400, 3), ("http_422", 422, 2)]
    assert page["spans"] == sorted(letter["span"] for letter in daemon.dead())
    assert page["oldest"] <= page["newest"]
    text = daemon.call("dead", "replay", "sink", "--dry-run")
    assert "5 dead letters" in text and "http_422 (422)" in text
    assert daemon.call("dead", "purge", "sink", "--dry-run") == text
    time.sleep(0.5)
    assert len(picky.requests) == requests
    assert len(daemon.dead()) == 5


def test_filters_narrow_what_is_meant(daemon: Daemon) -> None:
    """By reason, status, time and span, alone and together."""
    spans = sorted(letter["span"] for letter in daemon.dead())
    ahead = (datetime.now(timezone.utc) + timedelta(minutes=1)).strftime("%Y-%m-%dT%H:%M:%SZ")
    for words, count in (
        (["--reason", "http_400"], 3),
        (["--status", "422"], 2),
        (["--status", "0"], 0),
        (["--since", "1h"], 5),
        (["--until", "1h"], 0),
        (["--until", ahead], 5),
        (["--since", ahead], 0),
        (["--since", "2020-01-01T00:00:00Z", "--status", "400"], 3),
        (["--span", str(spans[0]), "--span", str(spans[4])], 2),
        (["--span", "999999"], 0),
    ):
        assert preview(daemon, *words)["letters"] == count, words
    assert "no dead letters are meant" in daemon.call("dead", "replay", "sink", "--dry-run", "--status", "500")
    assert [letter["status"] for letter in daemon.dead("--status", "422")] == [422, 422]


def test_a_replay_waits_and_tells_what_became_of_it(daemon: Daemon, picky: OTLPSink) -> None:
    """All delivered: status 0. Only those that were meant are sent."""
    picky.otherwise = lambda request: Reply()
    before = len(picky.spans)
    said = daemon.call("dead", "replay", "sink", "--status", "400")
    assert said.strip() == "3 dead letters of sink to be sent again: 3 delivered"
    assert [span.name for span in picky.spans[before:]] == ["bad"] * 3
    assert [letter["status"] for letter in daemon.dead()] == [422, 422]
    page = daemon.json("dead", "replay", "sink")
    assert (page["asked"], page["waiting"], page["delivered"], page["dead_again"], page["parked"]) == (2, 0, 2, 0, 0)
    assert daemon.call("dead", "replay", "sink").strip() == "0 dead letters of sink to be sent again"


def test_a_replay_of_which_some_die_again_is_status_1(daemon: Daemon, picky: OTLPSink) -> None:
    """And says how many, whatever they died of this time."""
    picky.otherwise = refusing("worse")
    result = daemon.run("dead", "replay", "sink")
    assert result.returncode == 1
    assert result.stdout.strip() == "5 dead letters of sink to be sent again: 3 delivered, 2 dead again"
    assert [letter["reason"] for letter in daemon.dead()] == ["http_400", "http_400"]


def test_a_replay_need_not_be_waited_for(daemon: Daemon, picky: OTLPSink) -> None:
    """--no-wait returns while the destination is paused; a later replay waits for the same letters."""
    daemon.call("pause", "sink")
    assert "5 dead letters of sink to be sent again" in daemon.call("dead", "replay", "sink", "--no-wait")
    assert {letter["state"] for letter in daemon.dead()} == {"replaying"}
    picky.otherwise = lambda request: Reply()
    again = subprocess.Popen([BINARY, "dead", "replay", "sink", "--config", daemon.config_file], stdout=subprocess.PIPE, text=True)
    time.sleep(0.5)
    assert again.poll() is None
    daemon.call("resume", "sink")
    said, _ = again.communicate(timeout=30)
    assert (again.returncode, said.strip()) == (0, "5 dead letters of sink to be sent again: 5 delivered")


def test_ctrl_c_stops_the_waiting_not_the_replay(daemon: Daemon, picky: OTLPSink) -> None:
    """The letters are delivered once the destination goes on."""
    daemon.call("pause", "sink")
    waiting = subprocess.Popen([BINARY, "dead", "replay", "sink", "--config", daemon.config_file], stderr=subprocess.PIPE, text=True)
    eventually(lambda: {letter["state"] for letter in daemon.dead()} == {"replaying"})
    time.sleep(0.3)
    waiting.send_signal(signal.SIGINT)
    _, said = waiting.communicate(timeout=10)
    assert waiting.returncode == 130
    assert "the replay goes on" in said
    picky.otherwise = lambda request: Reply()
    daemon.call("resume", "sink")
    eventually(lambda: daemon.dead() == [])
    assert daemon.settled().outcomes("sink") == {"delivered": 10, "dead": 5}


def test_a_replay_says_what_holds_it_up(daemon: Daemon) -> None:
    """On a terminal, while it waits; purged letters end the waiting."""
    daemon.call("pause", "sink")
    words = f"{BINARY} dead replay sink --config {daemon.config_file}"
    shown = subprocess.Popen(["script", "-qec", words, "/dev/null"], stdout=subprocess.PIPE, text=True)
    eventually(lambda: {letter["state"] for letter in daemon.dead()} == {"replaying"})
    time.sleep(1)
    daemon.call("dead", "purge", "sink", "--all")
    said, _ = shown.communicate(timeout=30)
    assert "sink is paused_by_user" in said
    assert "5 purged meanwhile" in said
    assert shown.returncode == 1


def test_a_replay_is_picked_up_after_the_daemon_stops(daemon: Daemon, picky: OTLPSink) -> None:
    """Whoever waits is told; the letters go out at the next start."""
    daemon.call("pause", "sink")
    waiting = subprocess.Popen([BINARY, "dead", "replay", "sink", "--config", daemon.config_file], stderr=subprocess.PIPE, text=True)
    eventually(lambda: {letter["state"] for letter in daemon.dead()} == {"replaying"})
    daemon.stop()
    _, said = waiting.communicate(timeout=30)
    assert waiting.returncode == 1
    assert "the replay goes on" in said
    picky.otherwise = lambda request: Reply()
    daemon.start()
    daemon.call("resume", "sink")
    eventually(lambda: daemon.dead() == [])


# ---------------------------------------------------------------------------------------------------- dead purge


def test_a_purge_of_everything_asks_for_all(daemon: Daemon) -> None:
    """Without a filter and without --all: status 2, and nothing is gone."""
    for words in ([], ["--all", "--status", "400"]):
        result = daemon.run("dead", "purge", "sink", *words)
        assert result.returncode == 2
        assert "--all" in result.stderr
    assert len(daemon.dead()) == 5
    assert "3 dead letters of sink gone for good" in daemon.call("dead", "purge", "sink", "--reason", "http_400")
    assert "2 dead letters of sink gone for good" in daemon.call("dead", "purge", "sink", "--all")
    assert daemon.dead() == []
    daemon.status()


# ---------------------------------------------------------------------------------------------------- skip, seek


def test_a_skip_is_counted_before_it_is_done(daemon: Daemon, picky: OTLPSink) -> None:
    """--dry-run says how many; the same number is passed over."""
    daemon.call("pause", "sink")
    send_all(daemon.socket, make_spans(7))
    assert "7 spans passed over" in daemon.call("skip", "sink", "--dry-run")
    assert daemon.status().spooled["sink"] == 7
    assert "7 spans passed over" in daemon.call("skip", "sink")
    assert daemon.settled().outcomes("sink")["expired"] == 7
    assert "nothing to move" in daemon.call("skip", "sink", "--dry-run")


def test_a_seek_is_counted_before_it_is_done(daemon: Daemon, picky: OTLPSink) -> None:
    """Back and forward, by id, by time, and to both ends."""
    daemon.call("pause", "sink")
    send_all(daemon.socket, make_spans(5))
    for to, words in (
        ("beginning", "15 spans to be delivered again, those after span 0"),
        ("11", "5 spans to be delivered again, those after span 10"),
        ("1h", "15 spans to be delivered again"),
        ("16", "nothing to move: it stands after span 15"),
        ("19", "3 spans passed over, to go on after span 18"),
        ("21", "5 spans passed over, to go on after span 20"),
        ("end", "5 spans passed over"),
    ):
        assert words in daemon.call("seek", "sink", "--to", to, "--dry-run"), to
    assert daemon.status().spooled["sink"] == 5
    seen = len(picky.spans)
    picky.otherwise = lambda request: Reply()
    assert "5 spans to be delivered again, those after span 10" in daemon.call("seek", "sink", "--to", "11")
    daemon.call("resume", "sink")
    picky.wait_for(seen + 10)
    daemon.settled()


@pytest.mark.parametrize("to", ["", "0", "soon", "2 hours", "12.5", "nand", "infd", "1e300d", "-1h", "9223372036854775808", "5w"])
def test_a_seek_to_nowhere_is_wrong_use(daemon: Daemon, to: str) -> None:
    """Exit status 2, with what can be written; nothing moves and nothing crashes."""
    result = daemon.run("seek", "sink", f"--to={to}")
    assert result.returncode == 2, result.stdout + result.stderr
    assert "beginning, end" in result.stderr
    assert daemon.running


@pytest.mark.parametrize("to", ["17", "9223372036854775807"])
def test_a_seek_beyond_the_end_gives_nothing_up(daemon: Daemon, to: str) -> None:
    """A slip of the keyboard must not skip a backlog."""
    result = daemon.run("seek", "sink", "--to", to)
    assert result.returncode == 1
    assert "the log ends with 15" in result.stderr


@pytest.mark.parametrize("words", [["--since", "soon"], ["--since", "1e300d"], ["--until", "infd"], ["--since", "1h", "--until", "2h"]])
def test_a_time_that_is_none_is_wrong_use(daemon: Daemon, words: list[str]) -> None:
    """Exit status 2, for each of the commands that take one."""
    for command in ("list", "replay", "purge"):
        assert daemon.run("dead", command, "sink", *words).returncode == 2


def test_each_command_names_the_destinations_there_are(daemon: Daemon) -> None:
    """Where it is given one that there is not."""
    for words in (["skip"], ["seek", "--to", "end"], ["dead", "replay"], ["dead", "purge", "--all"], ["dead", "list"], ["pause"]):
        result = daemon.run(*words, "snik")
        assert result.returncode == 1, words
        assert 'no destination "snik"; there are: sink' in result.stderr
