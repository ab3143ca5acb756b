"""tracefwd check with rules: mistakes, tests, --explain, --redact, and tracefwd rules try."""

from __future__ import annotations

import json
import socket
import subprocess
from pathlib import Path
from typing import Any

import pytest

from client import send_all
from conftest import MakeDaemon
from daemon import BINARY, QUICK, Daemon

Result = subprocess.CompletedProcess[str]

ROUTES: list[dict[str, Any]] = [
    {"name": "noise", "when": 'name == "healthcheck"', "drop": True},
    {
        "name": "production",
        "when": 'environment == "prod"',
        "sample": {"rate": 0.1, "keep": ['status == "error"']},
        "transform": [{"set": {"team": '"search"'}}],
        "redact": ["email"],
        "to": ["langfuse"],
    },
    {"name": "rest", "otherwise": True, "to": ["archive"]},
]


def write(folder: Path, **sections: Any) -> Path:
    """A configuration of two destinations, as JSON, which is YAML too."""
    config = {
        "spool": {"path": str(folder / "spool.db")},
        "destinations": {name: {"type": "file", "path": str(folder / name)} for name in ("langfuse", "archive")},
        "routes": ROUTES,
        **sections,
    }
    file = folder / "t.yaml"
    file.write_text(json.dumps(config, indent=1))
    return file


def run(*words: Any, stdin: str = "", status: int = 0) -> Result:
    """Runs the binary, which must exit with this status."""
    result = subprocess.run([str(BINARY), *map(str, words)], input=stdin, capture_output=True, text=True, timeout=60)
    assert result.returncode == status, f"exit {result.returncode}\n{result.stdout}\n{result.stderr}"
    return result


# ---------------------------------------------------------------------------------------------------- mistakes


def test_mistakes_of_expressions_come_with_the_others(folder: Path) -> None:
    """In the order of the file, each with its line, and carets below the word that is meant."""
    file = folder / "t.yaml"
    file.write_text(
        "destinations:\n"
        "  archive: { type: file, path: /tmp/x }\n"
        "routes:\n"
        "  - name: one\n"
        "    when: |\n"
        '      name == "a" &&\n'
        '      modle == "b"\n'
        "    to: archiv\n"
        "  - { name: two, to: archive, redact: [emial, { pattern: '(' }], sample: 7 }\n"
    )
    said = run("check", "--config", file, status=1).stderr.splitlines()
    assert said[0] == f"{file}:7:7: routes[0] \"one\": when: unknown variable 'modle'; did you mean 'model'?"
    assert said[1:3] == ['    modle == "b"', "    ^^^^^"]
    assert said[3].startswith(f'{file}:8:9: routes[0] "one": to is "archiv"')
    assert said[4].startswith(f'{file}:9:40: routes[1] "two": redact[0]') and "email" in said[4]
    assert said[5].startswith(f'{file}:9:59: routes[1] "two": redact[1].pattern')
    assert said[-1].startswith(f'{file}:9:74: routes[1] "two": sample is 7;') and said[-1].endswith("(5 mistakes)")


def test_warnings_fail_nothing(folder: Path) -> None:
    """A destination that no route names, a route that never decides."""
    routes = [{"name": "all", "to": "archive"}, {"name": "more", "when": "root", "to": "archive"}]
    result = run("check", "--config", write(folder, routes=routes))
    assert [line.partition(": routes")[2] or line.partition(": destinations")[2] for line in result.stderr.splitlines()] == [
        ".langfuse: no route names it, so nothing goes there",
        '[1] "more": never decides: the routes before it take every span for archive',
    ]


# ---------------------------------------------------------------------------------------------------- tests


def test_tests_that_pass_are_counted(folder: Path) -> None:
    """Every word that may be expected, members of the span that arrives, and chance as the test says."""
    tests = [
        {
            "name": "errors are always kept",
            "span": {"model": "gpt-4o", "environment": "prod", "error": "timeout", "note": "to ada@example.com", "cost_usd": 0.5},
            "random": 0.9,
            "expect": {
                "langfuse": {"delivered": {"team": "search", "note": "to [email]", "gone": None, "error": "timeout", "environment": "prod"}},
                "archive": "filtered",
            },
        },
        {"span": {"name": "x", "environment": "prod"}, "random": 0.05, "expect": {"langfuse": "delivered"}},
        {"span": {"name": "x", "environment": "prod"}, "random": 0.11, "expect": {"langfuse": "sampled", "archive": "filtered"}},
        {"span": {"name": "healthcheck"}, "expect": {"langfuse": "dropped", "archive": "filtered"}},
        {"span": {}, "expect": {"archive": {"delivered": {"name": "test", "kind": "internal", "team": None}}}},
        {
            "name": "the span's own id decides",
            "span": {"name": "x", "environment": "prod", "trace_id": "0123456789abcdef01" + "f" * 14},
            "expect": {"langfuse": "delivered"},
        },
        {
            "span": {"name": "x", "environment": "prod", "trace_id": "0123456789abcdef01" + "0" * 13 + "1"},
            "expect": {"langfuse": "sampled"},
        },
        {
            "span": {"model": "m", "input": "hi", "usage": {"input_tokens": 3}, "metadata": {"a": 1}, "attributes": {"l": [1, "b"]}},
            "expect": {
                "archive": {"delivered": {"input": "hi", "usage": {"input_tokens": 3}, "metadata": {"a": 1}, "l": [1.0, "b"], "output": None}}
            },
        },
    ]
    said = run("check", "--config", write(folder, tests=tests)).stdout
    assert said == f"{folder}/t.yaml: no mistakes; 2 destinations; 8 tests pass\n"


def test_a_test_that_fails_says_what_is_different(folder: Path) -> None:
    """What was expected, what came and by which route, with the test's place and name; exit status 1."""
    tests = [
        {
            "name": "wrong",
            "span": {"name": "x", "environment": "prod", "shop": "de"},
            "expect": {"langfuse": {"delivered": {"team": "shop", "shop": None, "more": {"a": 1}}}, "archive": "delivered"},
        },
        {"name": "no span", "span": {"name": "x", "trace_id": "7"}, "expect": {"archive": "delivered"}},
        {"name": "right", "span": {"name": "x"}, "expect": {"archive": "delivered"}},
    ]
    said = run("check", "--config", write(folder, tests=tests), status=1).stderr.splitlines()
    assert said[0].endswith(": wrong: fails") and said[0].startswith(f"{folder}/t.yaml:")
    assert said[1:7] == [
        '    langfuse: delivered by route "production", with a difference (- expected, + arrives)',
        '      - attributes.team: "shop"',
        '      + attributes.team: "search"',
        '      + attributes.tracefwd.extra.shop: "de"',
        '      - attributes.more: {"a": 1}',
        "    archive: expected delivered, but it is filtered: no route that matches names it",
    ]
    assert said[7].endswith(": no span: fails") and said[8] == "    its span is no span: bad_trace_id"
    assert said[9:] == ["2 of 3 tests failed"]


# ---------------------------------------------------------------------------------------------------- explain, redact


def test_explain_tells_routes_and_destinations(folder: Path) -> None:
    """For each route whether it matched, for each destination who decided and what the span becomes."""
    span = {"name": "chat", "environment": "prod", "error": "boom", "note": "ada@example.com", "trace_id": "ab" * 16, "span_id": "cd" * 8}
    said = run("check", "--config", write(folder), "--explain", "-", stdin=json.dumps(span, indent=2)).stdout
    assert said.startswith(f'span {"cd" * 8} "chat", trace {"ab" * 16}\n')
    for line in (
        '  noise       does not match  name == "healthcheck"',
        '  production  matches  environment == "prod"',
        "  rest        does not match",
        'langfuse: delivered by route "production"',
        '  + attributes.team: "search"',
        '  - attributes.tracefwd.extra.note: "ada@example.com"',
        '  + attributes.tracefwd.extra.note: "[email]"',
        "archive: filtered: no route that matches names it",
    ):
        assert line in said.splitlines(), f"{line!r} is not in\n{said}"


def test_redact_shows_what_would_be_replaced(folder: Path) -> None:
    """A difference of lines for each list; what is found over several lines is one."""
    text = "hello\nwrite to ada@example.com\nbye\n"
    said = run("check", "--config", write(folder, intake={"redact": ["secret"]}), "--redact", "-", stdin=text).stdout
    assert said.splitlines() == [
        "intake: nothing is found in -",
        "",
        'route "production": 1 email in -',
        "  line 2",
        "  - write to ada@example.com",
        "  + write to [email]",
    ]


def test_one_thing_at_a_time(folder: Path) -> None:
    """Two of the options are wrong use; a file that is not there, and one that is no span, are failures."""
    run("check", "--effective", "--redact", "x", status=2)
    assert "no such file" in run("check", "--config", write(folder), "--explain", folder / "none.json", status=1).stderr
    assert "is no span: invalid_json" in run("check", "--config", write(folder), "--explain", "-", stdin="{", status=1).stderr


# ---------------------------------------------------------------------------------------------------- rules try


@pytest.fixture
def filled(make_daemon: MakeDaemon) -> Daemon:
    """A stopped daemon whose spool has three spans."""
    daemon = make_daemon({"archive": {"type": "console", **QUICK}}, define={"big": "total_tokens > 10"}).start()
    spans = [{"name": f"n{index}", "span_id": f"{index:016x}", "usage": {"input_tokens": index * 10}} for index in (1, 2, 3)]
    assert send_all(daemon.socket, spans)["accepted"] == 3
    daemon.stop()
    return daemon


def test_try_on_a_span_of_a_file(folder: Path) -> None:
    """The value as an expression would write it, with the definitions of the configuration."""
    config = write(folder, define={"big": "total_tokens > 10"})
    span = folder / "span.json"
    span.write_text(json.dumps({"name": "x", "tags": ["b", "a"], "usage": {"input_tokens": 12}, "duration_ms": 1500}))
    for expression, value in (
        ("big", "true"),
        ('tags + ["c"]', '["b", "a", "c"]'),
        ("duration", 'duration("1.5s")'),
        ("input_tokens * 2", "24"),
        ('glob(name, "x*")', "true"),
    ):
        assert run("rules", "try", "--config", config, expression, span).stdout.strip() == value


def test_try_says_what_is_wrong(folder: Path) -> None:
    """A mistake with its place and carets; a failure on the span."""
    config = write(folder)
    said = run("rules", "try", "--config", config, "modle == 'x'", "-", stdin='{"name":"x"}', status=1).stderr.splitlines()
    assert said == ["1:1: unknown variable 'modle'; did you mean 'model'?", "modle == 'x'", "^^^^^"]
    assert "it fails on this span" in run("rules", "try", "--config", config, "1 / int(input_tokens)", "-", stdin='{"name":"x"}', status=1).stderr


def test_try_on_the_last_spans_of_the_spool(filled: Daemon) -> None:
    """A line each, the oldest first; and one span by its number or its id."""
    said = run("rules", "try", "--config", filled.config_file, "input_tokens", "--last", 2).stdout.split()
    assert said == ["2", "n2", "20", "3", "n3", "30"]
    assert run("rules", "try", "--config", filled.config_file, "name", 1).stdout == '"n1"\n'
    assert run("rules", "try", "--config", filled.config_file, "name", "0000000000000003").stdout == '"n3"\n'
    assert "has no span 9" in run("check", "--config", filled.config_file, "--explain", 9, status=1).stderr


# ---------------------------------------------------------------------------------------------------- the machine

HOSTED: list[dict[str, Any]] = [
    {
        "name": "hosted",
        "to": ["archive"],
        "transform": [{"set": {"who": "sender", "hash": "hash(user_id)"}}, {"enrich": {"host": True}}],
        "redact": [{"entity": "email", "hash": True}],
    }
]


def test_what_is_shown_of_the_machine_is_what_the_daemon_sends(make_daemon: MakeDaemon, folder: Path) -> None:
    """`hash`, a redaction's hash, `sender` and the host's name: the same in check and rules try as at the destination."""
    archive = folder / "archive.ndjson"
    daemon = make_daemon({"archive": {"type": "file", "path": str(archive), **QUICK}}, routes=HOSTED).start()
    span = {"name": "n", "user_id": "ada", "attributes": {"note": "to ada@example.com"}}
    assert send_all(daemon.socket, [span])["accepted"] == 1
    daemon.settled()
    sent = json.loads(archive.read_text())["attributes"]
    assert len(sent["hash"]) == 32 and sent["note"].startswith("to [email:") and sent["who"]

    explained = daemon.run("check", "--explain", "1")
    assert explained.returncode == 0 and explained.stderr == ""
    for name in ("hash", "note", "who"):
        assert json.dumps(sent[name]) in explained.stdout, f"{name} in {explained.stdout}"
    assert socket.gethostname() in explained.stdout
    assert daemon.call("rules", "try", 'hash("ada")', "1").strip() == f'"{sent["hash"]}"'
    note = sent["note"].removeprefix("to ")
    assert f"+ {note}" in daemon.run("check", "--redact", "-", standard_input=b"ada@example.com\n").stdout


def test_without_the_daemons_key_hashes_are_zeros_and_that_is_said_once(folder: Path) -> None:
    """A check makes no key, and says nothing where nobody asks for a hash."""
    file = write(folder, routes=HOSTED, destinations={"archive": {"type": "file", "path": str(folder / "archive")}})
    span = json.dumps({"name": "n", "user_id": "ada", "attributes": {"note": "to ada@example.com"}})
    result = run("check", "--config", file, "--explain", "-", stdin=span)
    assert '"' + "0" * 32 + '"' in result.stdout
    key = folder / "host.key"
    assert result.stderr == f"note: {key} cannot be read (No such file or directory): hashes are zeros here, and not in the daemon\n"
    assert run("check", "--config", file).stderr == ""
    assert not key.exists()
