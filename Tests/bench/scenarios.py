"""One run of each thing that the bench measures. A run in which a span is missing fails the whole bench, but for UDP."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

from rig import BenchError, Figures, collectors, configured, daemon, free_port, loadgen, running, sink, sink_stats, wait_until

DRAIN_SECONDS = 300
# Spans a second, and whether each asks for an ack: then a commit carries few of them, and writes whole pages for those.
RATES = [(1, False), (1, True), (10, False), (10, True), (100, False), (100, True), (1000, False), (1000, True)]
CURVE = (10_000, 100_000, 1_000_000, 3_000_000)
CURVE_SPANS = 200_000
DRAIN_SPANS = 1_000_000


# Ten routes of average complexity, as in Tests/bench/rules; the last takes every span to the one destination.
TEN_ROUTES = [
    *(
        {"name": f"r{number}", "when": condition, "to": ["collector0"]}
        for number, condition in enumerate(
            (
                'environment == "prod" && model.startsWith("gpt-4")',
                'status == "error" || duration > duration("5s")',
                'service in ["shop", "search"]',
                "cost_usd > 0.25",
                "input_tokens > 1000",
                '"vip" in tags',
                'environment == "staging" && !(name == "healthcheck")',
                'attributes["shop.tier"] == "gold" && root',
                'model.contains("mini") || model.endsWith("-turbo")',
            )
        )
    ),
    {"name": "all", "to": ["collector0"]},
]


def throughput(binary: Path, tools: Path, spans: int, connections: int, destinations: int = 1, **sections: object) -> Figures:
    """From the first byte on the unix socket to the last span at the last destination, with an ack wanted every 1,000 spans."""
    with sink(tools, spans) as port, daemon(binary, collectors(destinations, port), **sections) as it:
        cpu, written = it.cpu_seconds(), it.bytes_written()
        load = loadgen(tools, "--socket", it.socket_path, "--spans", spans, "--connections", connections, "--ack-every", 1000)
        wanted = spans * destinations
        wait_until(lambda: sink_stats(port)["spans"] >= wanted, DRAIN_SECONDS, f"{wanted} spans to arrive")
        stats, cpu = sink_stats(port), it.cpu_seconds() - cpu
        if load["accepted"] != spans or stats["unique"] != wanted or stats["malformed"]:
            raise BenchError(f"spans are missing: the load was {load}, the sink has {stats}")
        wait_until(lambda: it.metric("tracefwd_spans_total") >= wanted, 10, "the last settlement")
        stored = it.metric("tracefwd_span_bytes_total") / wanted
        return {
            "spans_per_second": spans / (stats["last_at"] - load["started_at"]),
            "acked_per_second": spans / load["seconds"],
            "cpu_us": cpu * 1e6 / spans,
            "written": (it.bytes_written() - written) / spans,
            "written_ratio": (it.bytes_written() - written) / spans / stored,
            "stored": stored,
            "peak_mib": it.memory_mib("VmHWM"),
            "ack_p50_us": load["ack_us"]["p50"],
            "ack_p99_us": load["ack_us"]["p99"],
            "spans_per_request": stats["spans"] / stats["requests"],
            "repeated": stats["repeated"],
        }


def alone(binary: Path, tools: Path, spans: int) -> Figures:
    """One client that waits for the ack of each span: what a single fsync costs it."""
    with sink(tools, spans) as port, daemon(binary, collectors(1, port)) as it:
        load = loadgen(tools, "--socket", it.socket_path, "--spans", spans, "--ack-every", 1, "--window", 1)
        return {"p50_us": load["ack_us"]["p50"], "p99_us": load["ack_us"]["p99"]}


def paced(binary: Path, tools: Path, rate: int, seconds: float) -> Figures:
    """A client that writes a span at fixed times, whether the ack of the one before has come or not."""
    spans = int(rate * seconds)
    with sink(tools, spans) as port, daemon(binary, collectors(1, port)) as it:
        load = loadgen(tools, "--socket", it.socket_path, "--spans", spans, "--ack-every", 1, "--rate", rate)
        wait_until(lambda: sink_stats(port)["unique"] >= spans, DRAIN_SECONDS, f"{spans} spans to arrive")
        took = sink_stats(port)["took_us"]
        return {**{f"{name}_us": load["ack_us"][name] for name in ("p50", "p99", "max")}, "arrival_p50_us": took["p50"]}


def idle(binary: Path, tools: Path, seconds: float, runs: int) -> list[Figures]:
    """Memory and wake-ups of daemons that have started and do nothing: all at once, since they do nothing."""
    with ExitStack() as stack:
        port = stack.enter_context(sink(tools, 1))
        all = [stack.enter_context(daemon(binary, collectors(1, port), name=f"idle{index}")) for index in range(runs)]
        # The last that a start leaves to do: half a minute after it the watchdog sees that all parts sleep, and goes to sleep itself.
        time.sleep(35)
        before = [(it.cpu_seconds(), it.wake_ups()) for it in all]
        time.sleep(seconds)
        found = []
        for it, (cpu, woken) in zip(all, before):
            by_thread = {name: count - woken.get(name, 0) for name, count in it.wake_ups().items()}
            found.append(
                {
                    "mib": it.memory_mib("VmRSS"),
                    "own_mib": it.memory_mib("RssAnon"),
                    "cpu_percent": (it.cpu_seconds() - cpu) / seconds * 100,
                    "wake_ups": sum(by_thread.values()) * 60 / seconds,
                    **{f"by {name}": count * 60 / seconds for name, count in by_thread.items() if count},
                }
            )
        return found


def udp(binary: Path, tools: Path, rate: int, seconds: float) -> Figures:
    """Datagrams at a fixed rate: how many arrive, and whether each that does not is counted."""
    spans = int(rate * seconds)
    with sink(tools, spans) as port, daemon(binary, collectors(1, port)) as it:
        load = loadgen(tools, "--udp", it.http_port, "--spans", spans, "--rate", rate)
        seen, quiet_since = -1, time.monotonic()
        while time.monotonic() - quiet_since < 1.5:
            now = sink_stats(port)["unique"]
            if now != seen:
                seen, quiet_since = now, time.monotonic()
            time.sleep(0.1)
        dropped, taken = it.metric("tracefwd_source_kernel_dropped_total"), it.metric("tracefwd_source_datagrams_total")
        return {
            "sent_per_second": spans / load["seconds"],
            "arrived_percent": sink_stats(port)["unique"] / spans * 100,
            "dropped": dropped,
            "uncounted": spans - load["send_errors"] - taken - dropped,
        }


def rates(binary: Path, tools: Path, seconds: float) -> Figures:
    """Bytes written for a byte stored where spans come slowly, with and without acks: a daemon for each, all at once."""
    found: Figures = {}
    with ExitStack() as stack:
        port = stack.enter_context(sink(tools, 0))
        running_now = []
        for rate, is_acked in RATES:
            it = stack.enter_context(daemon(binary, collectors(1, port), name=f"rate{rate}{'acked' if is_acked else ''}"))
            running_now.append((rate, is_acked, it, it.bytes_written()))
        def load(rate: int, is_acked: bool, path: Path) -> dict:
            acks = ["--ack-every", 1] if is_acked else []
            return loadgen(tools, "--socket", path, "--spans", max(int(rate * seconds), 2), "--rate", rate, *acks)

        with ThreadPoolExecutor(len(RATES)) as pool:
            loads = [pool.submit(load, rate, is_acked, it.socket_path) for rate, is_acked, it, _ in running_now]
            for one in loads:
                one.result()
        for rate, is_acked, it, before in running_now:
            spans = max(int(rate * seconds), 2)
            wait_until(lambda: it.metric("tracefwd_spans_total") >= spans, DRAIN_SECONDS, "the last settlement")
            found[f"{rate}/s{', each acked' if is_acked else ''}"] = (it.bytes_written() - before) / it.metric("tracefwd_span_bytes_total")
    return found


def backlog(binary: Path, tools: Path, spans: int, runs: int) -> dict[str, list[float]]:
    """A spool that grows to `spans` with its destination down: intake at each size, memory, start; then a million drained beside live
    traffic. The destination may hold all of the spool, so nothing is trimmed."""
    port = free_port()
    held = {name: {**one, "backlog": {"max": "100%", "when_full": "hold"}} for name, one in collectors(1, port).items()}
    found: dict[str, list[float]] = {}
    spool = {"max_size": f"{spans * 1400 * 2 // 2**20 + 4096}MiB"}
    with configured(held, name="backlog", spool=spool, memory="48MiB") as folder:
        with running(binary, folder) as it:
            done = 0

            def send(count: int) -> float:
                nonlocal done
                words = ["--first", done, "--spans", count, "--connections", 2, "--ack-every", 1000]
                load = loadgen(tools, "--socket", it.socket_path, *words)
                if load["accepted"] != count:
                    raise BenchError(f"spans were refused: {load}")
                done += count
                return count / load["seconds"]

            send(1_000)
            for size in (*(size for size in CURVE if size < spans), spans):
                if done < size - CURVE_SPANS * runs:
                    send(size - CURVE_SPANS * runs - done)
                count = min(CURVE_SPANS, max(size - done, 1000) // runs)
                found[f"acked at {size}"] = [send(count) for _ in range(runs)]
            found["peak_mib"] = [it.memory_mib("VmHWM")]
        for _ in range(runs):
            with running(binary, folder) as it:
                found.setdefault("ready", []).append(it.seconds_to_ready)
                it.process.kill()
                it.process.wait()
            with running(binary, folder) as it:
                found.setdefault("ready_killed", []).append(it.seconds_to_ready)
        drain(binary, tools, folder, port, done, found)
    return found


def drain(binary: Path, tools: Path, folder: Path, port: int, spans: int, found: dict[str, list[float]]) -> None:
    """The destination is back: how fast its backlog goes, million by million, up to five of them."""
    with sink(tools, spans, port) as port, running(binary, folder) as it:
        wait_until(lambda: sink_stats(port)["spans"] > 0, DRAIN_SECONDS, "the first span of the backlog")
        it.forget_peak()
        for _ in range(max(1, min(5, spans // DRAIN_SPANS - 1))):
            begin, then = time.monotonic(), sink_stats(port)["spans"]
            wanted = min(DRAIN_SPANS, spans - then)
            wait_until(lambda: sink_stats(port)["spans"] >= then + wanted, DRAIN_SECONDS, f"{wanted} spans of the backlog")
            found.setdefault("drained", []).append((sink_stats(port)["spans"] - then) / (time.monotonic() - begin))
        found["drain_peak_mib"] = [it.memory_mib("VmHWM")]
