"""Applications that write: each a thread of one round, on its own connection, until the daemon is gone."""

from __future__ import annotations

import random
import threading
import time

from client import Client, send_datagrams
from crash.books import Books, demand
from crash.lines import make_line
from crash.plan import Round
from daemon import Daemon
from spans import Span, line


class Writer(threading.Thread):
    """Connects as soon as it can, again where it is cut, and writes until it is stopped."""

    def __init__(self, books: Books, daemon: Daemon, round: Round, name: str, pace: float) -> None:
        super().__init__(name=name, daemon=True)
        self.books = books
        self.to = daemon
        self.round = round
        self.pace = pace
        self.chance = random.Random(f"{round.seed} {name}")
        self.ending = threading.Event()
        self.failure: BaseException | None = None

    def run(self) -> None:
        while not self.ending.wait(0.005):
            try:
                self.write()
            except OSError:
                continue
            except BaseException as error:  # the harness raises it again in its own thread
                self.failure = error
                return

    def write(self) -> None:
        """One connection's life; OSError where it is cut."""
        raise NotImplementedError

    def new_line(self, like: int | None = None) -> tuple[int, Span]:
        """The next line, and its number."""
        number = self.books.new_number(like)
        span, bears_ids = make_line(self.books.seed, number, self.chance, self.books.like.get(number), self.round.large)
        if not bears_ids:
            self.books.bears_no_ids(number)
        return number, span

    def batch_size(self) -> int:
        """How many lines go at once."""
        most = 4 if self.round.large else self.chance.choice([1, 20, 20, 100, 400])
        return self.chance.randint(1, most)

    def wait(self, spans: int) -> None:
        """Keeps the pace."""
        self.ending.wait(spans * self.pace * self.chance.uniform(0.5, 1.5))


class AskingWriter(Writer):
    """Asks what became of each batch before it writes the next. What it was not told of, it writes again, with the same ids."""

    def write(self) -> None:
        with Client(self.to.socket, timeout=60) as client:
            written = 0
            while not self.ending.is_set():
                again = self.take_unanswered()
                batch = [self.new_line(like) for like in again] or [self.new_line() for _ in range(self.batch_size())]
                numbers = [number for number, _ in batch]
                begun = time.monotonic()
                try:
                    client.send(*(span for _, span in batch))
                    client.send({"ack": numbers[0]})
                    answer = client.read()
                except OSError:
                    answer = None
                if answer is None:
                    with self.books.lock:
                        self.books.unanswered += numbers
                    return
                demand(answer["ack"] == numbers[0], f"asked {numbers[0]}, answered {answer}")
                demand(answer["accepted"] + answer["rejected"] == len(batch), f"{len(batch)} lines were written, answered {answer}")
                rejected = {numbers[error["line"] - written - 1] for error in answer["errors"]}
                reasons = {error["reason"] for error in answer["errors"]}
                demand(reasons <= {"spool_full"}, f"rejected for {reasons}: {answer}")
                self.books.reject(rejected)
                if len(rejected) == answer["rejected"] and answer["accepted"]:
                    self.books.acknowledge([number for number in numbers if number not in rejected], begun)
                written += len(batch) + 1
                self.wait(len(batch))

    def take_unanswered(self) -> list[int]:
        """Some of what nobody was told of."""
        with self.books.lock:
            taken, self.books.unanswered = self.books.unanswered[:200], self.books.unanswered[200:]
            return taken


class SilentWriter(Writer):
    """Never asks, never reads."""

    def write(self) -> None:
        with Client(self.to.socket, timeout=60) as client:
            while not self.ending.is_set():
                batch = [self.new_line()[1] for _ in range(self.batch_size())]
                client.send(*batch)
                self.wait(len(batch))


class DatagramWriter(Writer):
    """UDP; where nobody listens, nobody knows."""

    def write(self) -> None:
        while not self.ending.is_set():
            count = self.chance.randint(1, 10)
            send_datagrams(self.to.udp, *(line(self.new_line()[1]) for _ in range(1 if self.round.large else count)))
            self.wait(count)


def writers(books: Books, daemon: Daemon, round: Round) -> list[Writer]:
    """Those of a round."""
    # What waits for a full spool or a checkpoint must not wait long.
    slow = (4 if round.kill in ("checkpoint", "full") else 25) if round.large else 1
    return [
        AskingWriter(books, daemon, round, "asking-1", 0.002 * slow),
        AskingWriter(books, daemon, round, "asking-2", 0.004 * slow),
        SilentWriter(books, daemon, round, "silent", 0.003 * slow),
        DatagramWriter(books, daemon, round, "datagrams", 0.005 * slow),
    ]


def stop(threads: list[Writer]) -> None:
    """Ends them, when the daemon is gone; raises what one of them met."""
    for thread in threads:
        thread.ending.set()
    for thread in threads:
        thread.join(60)
        demand(not thread.is_alive(), f"the writer {thread.name} is still waiting for a daemon that was killed")
        if thread.failure is not None:
            raise thread.failure
