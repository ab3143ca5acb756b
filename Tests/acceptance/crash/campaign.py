"""Runs the rounds over one spool, and the end of it all."""

from __future__ import annotations

import os
import random
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path

from crash import spool, writers
from crash.archive import Archive
from crash.books import SETTLE_SECONDS, Books, Taken, demand
from crash.plan import HTTP, Round, plan
from crash.platform import Copy, Platform
from crash.power import Power
from crash.summary import Summary
from daemon import QUICK, Daemon, Status, eventually, free_port, parse_metrics

WORKERS = 4
BATCH = {"collector": 50, "hook": 40, "archive": 200}


class Campaign:
    """One spool's life under kills."""

    def __init__(
        self,
        folder: Path,
        seed: int,
        tell: Callable[[str], None] = lambda text: None,
        drop_oldest: bool = False,
        power_cuts: bool = False,
    ) -> None:
        self.folder = folder
        self.drop_oldest = drop_oldest
        self.power = Power(folder) if power_cuts else None
        self.seed = seed
        self.tell = tell
        self.chance = random.Random(seed)
        self.summary = Summary()
        self.platforms = {name: Platform(name, free_port(), folder) for name in HTTP}
        self.daemon = Daemon(folder, {})
        self.archive = Archive(folder / "archive.ndjson")
        self.reader = spool.Reader()
        taken = [
            Taken("collector", WORKERS, BATCH["collector"], may_expire=drop_oldest),
            Taken("hook", WORKERS, BATCH["hook"], may_expire=True),
            Taken("archive", 1, BATCH["archive"], may_expire=drop_oldest),
        ]
        self.books = Books(seed, taken)
        self.launched = 0.0
        self.killed_at = 0.0
        self.paused = False

    def run(self, rounds: int) -> Status:
        """All rounds, and the end. Raises where something does not hold; stops all processes in any case."""
        begin = time.monotonic()
        try:
            for number, round in zip(range(rounds), plan(self.seed), strict=False):
                self.round(round)
                self.tell(f"{number + 1:4} {round.kill:10} {self.words(round)}")
            status = self.end()
            self.summary.seconds = time.monotonic() - begin
            return status
        finally:
            self.archive.stop()
            for platform in self.platforms.values():
                platform.kill()
            if self.daemon.running:
                self.daemon.kill()

    def words(self, round: Round) -> str:
        """A round in a line."""
        modes = ", ".join(f"{name} {platform.mode}" for name, platform in self.platforms.items())
        look = self.books.kills[self.books.run].look
        open_ = {name: look.accepted - cursor.position for name, cursor in look.cursors.items()}
        kind = (", tight" if round.tight else "") + (", large" if round.large else "")
        return f"{modes}; accepted {look.accepted}, after the cursors {open_}{kind}"

    # ------------------------------------------------------------------------------------------- a round

    def configure(self, round: Round | None, run: int) -> None:
        """Writes the configuration of a run; each request bears its number, whenever its platform gets to it."""
        tight = round is not None and round.tight
        hold = {"max": "100%", "when_full": "hold"}
        catch_up = "live_first" if round is not None and round.live_first else "fifo"
        http = {**QUICK, "headers": {"x-run": str(run)}, "connect_timeout": "300ms", "workers": WORKERS}
        base = {name: f"http://127.0.0.1:{platform.port}" for name, platform in self.platforms.items()}
        # A frozen platform is given up several times a round, and gets to all of that when it is well again.
        timeout = {name: "400ms" if round is not None and name in round.frozen else "15s" for name in HTTP}
        self.daemon.config |= {
            "spool": {
                "path": str(self.daemon.spool),
                "max_size": "16MiB" if tight else "256MiB",
                "history": "0s" if tight else "5s",
                "reserve": "1MiB",
                "when_full": "drop_oldest" if self.drop_oldest and tight else round.when_full if round else "reject",
                "durability": round.durability if round else "fsync",
            },
            "stop": {"drain": "2s"},
            "destinations": {
                "collector": {
                    "type": "otlp",
                    "endpoint": base["collector"],
                    "timeout": timeout["collector"],
                    **http,
                    "max_spans": BATCH["collector"],
                    "backlog": hold,
                    "catch_up": catch_up,
                },
                "hook": {
                    "type": "webhook",
                    "url": base["hook"],
                    "timeout": timeout["hook"],
                    "format": "ndjson",
                    "sign": "none",
                    **http,
                    "max_spans": BATCH["hook"],
                    "backlog": {"max": "3MiB", "when_full": "expire"},
                    "max_age": "2s" if round is not None and round.ages else "72h",
                },
                "archive": {
                    "type": "file",
                    "path": str(self.archive.path),
                    "linger": "20ms",
                    "max_spans": BATCH["archive"],
                    "rotate": {"size": "256KiB"},
                    "backlog": hold,
                },
            },
            "routes": [{"name": "all", "to": ["collector", "hook", "archive"]}],
        }
        self.daemon.write_config()

    def launch(self, round: Round | None) -> None:
        """Starts the daemon for the next run."""
        self.books.run += 1
        self.configure(round, self.books.run)
        self.launched = self.books.proof = time.monotonic()
        watched = self.power is not None and round is not None and round.durability == "fsync"
        self.daemon.launch(self.power.environment if self.power and watched else None)

    def round(self, round: Round) -> None:
        """From a start to what the disk says after the kill."""
        for name, mode in round.modes.items():
            self.platforms[name].become(mode)
        self.launch(round)
        threads = writers.writers(self.books, self.daemon, round)
        for thread in threads:
            thread.start()
        change: threading.Timer | None = None
        try:
            if round.kill == "start":
                time.sleep(round.after)
            else:
                self.ready()
                if round.change:
                    moment, name, mode = round.change
                    change = threading.Timer(moment, self.platforms[name].become, (mode,))
                    change.start()
                self.check_running(round)
                time.sleep(round.after)
                getattr(self, f"before_{round.kill}")(round)
            self.kill(round)
        finally:
            if change:
                change.cancel()
                change.join()
        writers.stop(threads)
        if self.power and round.durability == "fsync" and self.chance.random() < 0.7:
            self.summary.cuts += 1
            self.summary.undone += self.power.cut(self.folder, self.chance)
        elif self.power:
            self.power.forget()
        self.look()

    def ready(self) -> None:
        """Waits until its sources are open. That the spool is full, as one that has become smaller may be, is no reason to wait."""

        def serves() -> bool:
            try:
                return self.daemon.get("/readyz")[0] in (200, 503)
            except OSError:
                return not self.daemon.running

        eventually(serves, 60, "the daemon serves", every=0.01)
        demand(self.daemon.running, f"tracefwd did not start; it said:\n{self.daemon.log[-3000:]}")
        if self.books.run > 1:
            self.summary.recoveries.append(time.monotonic() - self.launched)

    def check_running(self, round: Round) -> None:
        """The books of the running daemon, and /metrics, which must not say less."""
        acknowledged = self.books.acknowledged
        status = self.daemon.status()
        self.books.shows(status, acknowledged)
        code, page = self.daemon.get("/metrics")
        demand(code == 200, f"/metrics answers {code}")
        metrics = parse_metrics(page)
        demand(metrics["tracefwd_spans_accepted_total"] >= status.accepted, "/metrics says fewer accepted than status did")
        for (name, outcome, reason, route), spans in self.books.shown.items():
            key = f'tracefwd_spans_total{{destination="{name}",outcome="{outcome}",reason="{reason}",route="{route}"}}'
            demand(metrics[key] >= spans, f"/metrics says {metrics[key]} for {key}; {spans} were shown before")
        if self.paused:
            demand(
                status.state("collector") == "paused_by_user",
                f"the collector was paused, and is {status.state('collector')} after a restart",
            )
        if round.replay:
            self.daemon.run("dead", "replay", self.chance.choice(HTTP), "--no-wait")
        if round.pause or (self.paused and self.chance.random() < 0.5):
            self.paused = not self.paused
            self.daemon.call("pause" if self.paused else "resume", "collector")

    # ------------------------------------------------------------------------------------------- before the kill

    def before_steady(self, round: Round) -> None:
        """Nothing."""

    def before_reload(self, round: Round) -> None:
        """A SIGHUP just before, with other settings, and perhaps a destination less."""
        destinations = self.daemon.config["destinations"]
        destinations["collector"] |= {"linger": "50ms", "max_spans": 7}
        hook = destinations.pop("hook")
        self.daemon.config["routes"][0]["to"] = list(destinations)
        if round.remove:
            self.reload()
            time.sleep(round.gap)
        if not round.remove or self.chance.random() < 0.5:
            destinations["hook"] = hook
            self.daemon.config["routes"][0]["to"] = list(destinations)
            self.reload()
            time.sleep(round.gap)

    def reload(self) -> None:
        """As systemd does it."""
        self.daemon.write_config()
        os.kill(self.daemon.pid, signal.SIGHUP)

    def before_drain(self, round: Round) -> None:
        """A SIGTERM just before; it may come to its end."""
        os.kill(self.daemon.pid, signal.SIGTERM)
        self.wait_while(round.gap, lambda: self.daemon.running)

    def before_stopped(self, round: Round) -> None:
        """Frozen, and killed in that."""
        os.kill(self.daemon.pid, signal.SIGSTOP)
        time.sleep(round.gap)

    def before_checkpoint(self, round: Round) -> None:
        """The database file is written in checkpoints only: the first write is the sign."""
        begun = self.daemon.spool.stat().st_mtime_ns
        if self.wait_while(3, lambda: self.daemon.spool.stat().st_mtime_ns == begun, every=0.0002):
            self.summary.met["checkpoint"] += 1

    def before_full(self, round: Round) -> None:
        """Nine tenths of `max_size` are used."""

        def has_room() -> bool:
            metrics = self.daemon.metrics()
            return metrics["tracefwd_spool_bytes"] < 0.9 * metrics["tracefwd_spool_bytes_max"]

        if self.wait_while(5, has_room):
            self.summary.met["full"] += 1
        time.sleep(round.gap)

    def wait_while(self, seconds: float, condition: Callable[[], bool], every: float = 0.005) -> bool:
        """At most so long; whether it ended before."""
        limit = time.monotonic() + seconds
        while condition():
            if time.monotonic() >= limit:
                return False
            time.sleep(every)
        return True

    # ------------------------------------------------------------------------------------------- after it

    def kill(self, round: Round) -> None:
        """SIGKILL; before it nothing else may have ended the daemon."""
        assert self.daemon.process
        ended = self.daemon.process.poll()
        if ended is None:
            self.daemon.kill()
        self.killed_at = time.monotonic()
        if round.kill == "drain" and ended is not None:
            demand(ended == 0, f"tracefwd ended with status {ended} after SIGTERM")
            # A stop leaves nothing unwritten that was answered for.
            self.books.proof = self.killed_at + SETTLE_SECONDS
        else:
            demand(ended is None, f"tracefwd ended by itself with status {ended}: see the end of stderr")
        self.summary.kills["drain, to its end" if ended is not None else round.kill] += 1

    def look(self) -> None:
        """Everything that can be known now: of the platforms, the archive and the disk."""
        books, run = self.books, self.books.run
        for name, platform in self.platforms.items():
            if platform.was_disturbed_since(self.launched):
                books.destinations[name].disturbed.add(run)
        self.collect()
        place = spool.copy_files(self.daemon.spool, self.folder / "copy")
        look = self.reader.look(place)
        if look.accepted:
            verdict = self.daemon.run("spool", "verify", "--path", str(place))
            demand(verdict.returncode == 0, f"spool verify, after run {run}:\n{verdict.stdout}{verdict.stderr}")
        books.killed(look, books.proof, self.killed_at)
        early, late = self.archive.read(books.proof - SETTLE_SECONDS)
        for part, copies, at in (("early", early, books.proof - SETTLE_SECONDS), ("late", late, self.killed_at - 1e-6)):
            books.receive("archive", f"{part}-{run}", run, at, copies)
            books.answered("archive", f"{part}-{run}", at)
        if run > 1:
            books.judge(run - 1)

    def collect(self) -> None:
        """What the platforms wrote down."""
        for name, platform in self.platforms.items():
            for record in platform.records():
                if "answered" in record:
                    self.books.answered(name, record["request"], record["answered"])
                    continue
                for row in record["refused"]:
                    self.books.check_copy(name, record["run"], Copy(*row))
                if record["spans"]:
                    copies = [Copy(*row) for row in record["spans"]]
                    self.books.receive(name, record["request"], record["run"], record["at"], copies)

    # ------------------------------------------------------------------------------------------- the end

    def end(self) -> Status:
        """All is well again: everything settles, the books are closed, and the dead letters replayed."""
        books = self.books
        for platform in self.platforms.values():
            platform.become("up")
        self.launch(None)
        self.ready()
        self.daemon.call("resume", "collector")
        acknowledged = books.acknowledged
        status = self.daemon.settled(120)
        books.shows(status, acknowledged)
        self.daemon.stop()
        self.killed_at = time.monotonic()
        books.proof = self.killed_at + SETTLE_SECONDS
        self.look()
        for run in sorted({run for one in books.destinations.values() for run in one.requests}):
            books.judge(run)
        books.check_end(status)
        self.replay()
        return status

    def replay(self) -> None:
        """Dead letters with their spans go out again, byte for byte, when a person asks."""
        books = self.books
        for platform in self.platforms.values():
            platform.become("lenient")
        self.launch(None)
        self.daemon.wait_until_ready()
        for name in HTTP:
            self.daemon.call("dead", "replay", name, "--no-wait")

        def left() -> int:
            letters = [page["dead_letters"] for page in self.daemon.status().destinations.values()]
            return sum(count for states in letters for state, count in states.items() if state == "replaying")

        eventually(lambda: left() == 0, 60, "all dead letters were replayed")
        asked = {name: set(books.destinations[name].dead) for name in HTTP}
        self.daemon.stop()
        self.killed_at = time.monotonic()
        books.proof = self.killed_at + SETTLE_SECONDS
        self.look()
        for name, numbers in asked.items():
            one = books.destinations[name]
            demand(not one.dead, f"{name} still has {len(one.dead)} dead letters after all were replayed")
            missing = [number for number in numbers if one.times[number] == 0]
            demand(not missing, f"{name}: replayed, and never came: numbers {missing[:20]}")
