"""Rules in the running daemon (contract `rules`): routes, sampling, transformation, redaction and prices, what a reload does to a backlog,
and that what `intake:` takes away is in no file of the spool."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from client import send_all
from conftest import MakeDaemon, MakeServer
from daemon import QUICK, eventually
from sink import OTLPSink, Reply
from spans import ids, make_span, make_spans

# Of no service: only its form is a key's.
KEY = "sk-proj-" + "a1B2c3D4e5F6g7H8i9J0" * 3
PROMPT = "a sentence that nobody may keep"


def archive(path: Path) -> dict[str, Any]:
    """A file destination that does not wait long."""
    return {"type": "file", "path": str(path), "linger": "20ms"}


def spans_in(path: Path) -> list[dict[str, Any]]:
    """The native spans that a file destination wrote."""
    return [json.loads(row) for row in path.read_bytes().splitlines()] if path.exists() else []


def test_each_span_goes_where_the_first_route_that_matches_sends_it(make_daemon: MakeDaemon, folder: Path) -> None:
    """Conditions, priority, drop, otherwise, groups; a destination that no route names gets nothing; all of it is in the books."""
    daemon = make_daemon(
        {name: archive(folder / name) for name in ("prod", "everything", "rest", "nobody")},
        groups={"both": ["prod", "everything"]},
        define={"ours": 'service in ["shop", "search"]'},
        routes=[
            {"name": "all", "to": ["everything"]},
            {"name": "production", "when": 'ours && environment == "prod" && model.startsWith("gpt-4")', "to": "both"},
            {"name": "noise", "when": 'name == "healthcheck"', "drop": True, "priority": 10},
            {"name": "others", "otherwise": True, "to": ["rest"]},
        ],
    ).start()
    prod = make_spans(30, model="gpt-4o", environment="prod", service="shop")
    plain = make_spans(20, model="gpt-4o", environment="dev", service="shop")
    noise = make_spans(10, name="healthcheck")
    assert send_all(daemon.socket, [*prod, *plain, *noise])["accepted"] == 60
    status = daemon.settled()
    assert ids(spans_in(folder / "everything")) == ids([*prod, *plain])
    assert ids(spans_in(folder / "prod")) == ids(prod)
    assert status.outcomes("everything") == {"delivered": 50, "filtered": 10}
    assert status.outcomes("prod") == {"delivered": 30, "filtered": 30}
    # `otherwise` holds where nothing before it matched, and `all` matches whatever is no noise.
    assert status.outcomes("rest") == {"filtered": 60}
    assert status.outcomes("nobody") == {"filtered": 60}
    assert daemon.counted("tracefwd_spans_total", destination="prod", outcome="filtered", reason="drop", route="noise") == 10
    assert daemon.counted("tracefwd_spans_total", destination="prod", outcome="delivered", route="production") == 30


def test_what_arrives_is_sampled_changed_and_redacted(make_daemon: MakeDaemon, folder: Path) -> None:
    """A route with all of it beside one with nothing: the other destination gets the spans as they came, with their cost."""
    daemon = make_daemon(
        {"changed": archive(folder / "changed"), "plain": archive(folder / "plain")},
        routes=[
            {
                "name": "changed",
                "sample": {"rate": 0.5, "keep": ['status == "error"']},
                "transform": [
                    {"set": {"team": '"search"', "resource.region": '"eu"', "gone": "null"}},
                    {"rename": {"http.*": "web.*"}},
                    {"remove": ["old.*"]},
                    {"truncate": {"max": "1KiB", "at": ["long"]}},
                ],
                "redact": ["email", {"pattern": r"ACME-\d+", "as": "[order]"}],
                "to": ["changed"],
            },
            {"name": "plain", "to": ["plain"]},
        ],
    ).start()
    attributes = {"http.url": "x", "old.a": 1, "gone": 1, "long": "y" * 5000, "kept": "write to joe@example.com of ACME-42"}
    usage = {"input_tokens": 1000, "output_tokens": 100}
    low = make_span(trace_id="0" * 15 + "1" + "0" * 16, model="gpt-4o", provider="openai", usage=usage, attributes=attributes)
    high = make_span(trace_id="f" * 32, model="gpt-4o", provider="openai", usage=usage, attributes=attributes)
    failed = make_span(trace_id="0" * 15 + "2" + "0" * 16, model="no-such-model-7", usage=usage, error="timeout", attributes=attributes)
    send_all(daemon.socket, [low, high, failed])
    status = daemon.settled()
    assert status.outcomes("changed") == {"delivered": 2, "sampled": 1}
    by_id = {span["span_id"]: span for span in spans_in(folder / "changed")}
    assert set(by_id) == {high["span_id"], failed["span_id"]}
    one, kept = by_id[high["span_id"]], by_id[failed["span_id"]]
    assert one["attributes"]["tracefwd.sampling.rate"] == 0.5
    assert one["trace_state"] == "ot=th:8"
    assert kept["trace_state"] == "ot=th:0"
    assert kept["attributes"]["tracefwd.sampling.reason"] == "keep[0]"
    assert one["attributes"]["team"] == "search"
    assert one["resource"]["region"] == "eu"
    assert one["attributes"]["web.url"] == "x"
    assert not {"http.url", "old.a", "gone"} & set(one["attributes"])
    assert one["attributes"]["kept"] == "write to [email] of [order]"
    assert one["attributes"]["long"] == "y" * 1024 + " [+3976 bytes]"
    # 1,000 tokens at 2.50 and 100 at 10.00 USD a million.
    assert one["attributes"]["tracefwd.cost_usd"] == 0.0035
    assert "tracefwd.cost_usd" not in kept["attributes"]
    plain = {span["span_id"]: span for span in spans_in(folder / "plain")}
    assert plain[low["span_id"]]["attributes"] == attributes | {
        key: value for key, value in plain[low["span_id"]]["attributes"].items() if key.startswith(("gen_ai.", "tracefwd."))
    }
    assert daemon.counted("tracefwd_redactions_total", route="changed", entity="email") == 2
    assert daemon.counted("tracefwd_unpriced_spans_total") >= 1
    eventually(lambda: "no price is known for the model no-such-model-7" in daemon.log, what="the unknown model is told")


def test_what_intake_takes_away_is_in_no_file_of_the_spool(make_daemon: MakeDaemon, folder: Path) -> None:
    """The database and its WAL are searched for the secret and the prompt while the daemon runs, after a kill, and after a stop."""
    daemon = make_daemon(
        {"archive": archive(folder / "archive")},
        intake={"redact": ["secret"], "drop_content": 'environment == "health"'},
        routes=[{"name": "all", "to": ["archive"]}],
    ).start()

    def stored() -> bytes:
        return b"".join(path.read_bytes() for path in daemon.folder.iterdir() if path.is_file() and path.name.startswith("spool.db"))

    secret = make_span(model="gpt-4o", input=f"my key is {KEY}, keep it", attributes={"note": KEY, "deep": {"list": ["a", KEY]}})
    quiet = make_span(model="gpt-4o", input=PROMPT, output=PROMPT, environment="health")
    loud = make_span(model="gpt-4o", input="an ordinary question", environment="prod")
    assert send_all(daemon.socket, [secret, quiet, loud])["accepted"] == 3
    daemon.settled()
    for moment in ("running", "killed", "stopped"):
        if moment == "killed":
            daemon.kill()
        if moment == "stopped":
            daemon.start()
            daemon.stop()
        everything = stored()
        assert b"an ordinary question" in everything, moment
        assert KEY.encode() not in everything, moment
        assert PROMPT.encode() not in everything, moment
    by_id = {span["span_id"]: span for span in spans_in(folder / "archive")}
    text = json.dumps(by_id[secret["span_id"]])
    assert KEY not in text and text.count("[secret]") == 3
    assert "gen_ai.input.messages" not in by_id[quiet["span_id"]]["attributes"]
    assert by_id[quiet["span_id"]]["attributes"]["gen_ai.request.model"] == "gpt-4o"


def test_a_reload_changes_what_becomes_of_the_backlog(make_daemon: MakeDaemon, make_server: MakeServer) -> None:
    """Spans that waited while their platform was down are decided by the rules that hold when they are sent; a broken file changes nothing."""
    sink: OTLPSink = make_server(OTLPSink, otherwise=lambda _: Reply(503))
    daemon = make_daemon(
        {"collector": {"type": "otlp", "endpoint": sink.url, **QUICK}}, routes=[{"name": "all", "to": ["collector"]}]
    ).start()
    wanted, unwanted = make_spans(40, environment="prod"), make_spans(60, environment="dev")
    send_all(daemon.socket, [*wanted, *unwanted])
    eventually(lambda: sink.requests, what="it was tried")
    daemon.config["routes"] = [{"name": "prod", "when": 'environmnt == "prod"', "to": ["collector"]}]
    daemon.write_config()
    refused = daemon.run("reload")
    assert refused.returncode == 1
    assert "unknown variable 'environmnt'; did you mean 'environment'?" in refused.stderr + refused.stdout
    daemon.config["routes"] = [{"name": "prod", "when": 'environment == "prod"', "to": ["collector"]}]
    daemon.write_config()
    daemon.call("reload")
    sink.otherwise = lambda _: Reply(200)
    status = daemon.settled(60)
    assert status.outcomes("collector") == {"delivered": 40, "filtered": 60}
    assert sink.span_ids == ids(wanted)
    assert daemon.counted("tracefwd_spans_total", destination="collector", outcome="delivered", route="prod") == 40


def test_an_expression_that_fails_is_counted_and_told_once(make_daemon: MakeDaemon, folder: Path) -> None:
    """A missing map key makes a condition false."""
    daemon = make_daemon(
        {"archive": archive(folder / "archive")},
        routes=[{"name": "tier", "when": 'attributes["tier"] == "gold"', "to": ["archive"]}],
    ).start()
    send_all(daemon.socket, [*make_spans(50), *make_spans(3, attributes={"tier": "gold"})])
    status = daemon.settled()
    assert status.outcomes("archive") == {"delivered": 3, "filtered": 50}
    assert daemon.counted("tracefwd_condition_errors_total", route="tier") == 50
    send_all(daemon.socket, make_spans(1))
    eventually(lambda: "an expression failed for 50 spans" in daemon.log, what="it is told")
    assert daemon.log.count("an expression failed") == 1
