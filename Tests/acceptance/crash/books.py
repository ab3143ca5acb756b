"""The reference: what was written, what was acknowledged, what each destination took; and the checks of it (numbered in `__init__.py`)."""

from __future__ import annotations

import threading
from array import array
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from crash.lines import ids
from crash.platform import Copy
from crash.spool import Cursor, Look
from daemon import Status

WRITTEN, ACKNOWLEDGED, REJECTED = range(3)
SETTLE_SECONDS = 0.1
"""DESIGN.md section 4: a settlement goes in the first commit that is taken so much later, or after."""


class Violation(Exception):
    """What must never happen, in a sentence."""


def demand(condition: object, what: str) -> None:
    """Raises where it does not hold."""
    if not condition:
        raise Violation(what)


@dataclass
class Request:
    """What a platform took at once."""

    run: int
    at: float
    numbers: list[int]
    answered: float | None = None


@dataclass
class Kill:
    """How a run ended, and what must be known of it to judge its duplicates."""

    look: Look
    letters: dict[str, frozenset[int]]
    """Numbers of the dead letters that could be replayed."""
    proof: float
    """When the writing of the last lines began that were acknowledged."""
    at: float


@dataclass
class Taken:
    """What one destination took, by number."""

    name: str
    workers: int
    batch: int
    may_expire: bool
    times: array[int] = field(default_factory=lambda: array("H"))
    last_run: array[int] = field(default_factory=lambda: array("L"))
    digests: array[int] = field(default_factory=lambda: array("Q"))
    """Of the bytes; 0 where it never came."""
    letters: set[int] = field(default_factory=set)
    """All that were dead letters at some kill."""
    dead: set[int] = field(default_factory=set)
    """Those that are, as of the last look."""
    unknown: set[int] = field(default_factory=set)
    requests: dict[int, dict[str, Request]] = field(default_factory=dict)
    """Of the runs that are not judged yet."""
    again: dict[int, dict[int, list[str]]] = field(default_factory=dict)
    """Numbers that came in a run, with their requests."""
    disturbed: set[int] = field(default_factory=set)
    """Runs in which the platform was frozen or killed."""
    runs: dict[int, set[int]] = field(default_factory=dict)
    """Of a number that came more than once, the runs that sent it."""
    lost_answers: int = 0
    """Copies that came again from the same run."""
    replayed: int = 0
    """Copies of what was a dead letter."""
    exposed: int = 0
    """Spans that were taken, but not settled on the disk at a kill, over all kills: the bound of `redelivered`."""
    worst: int = 0
    """The same, of one kill."""
    early: int = 0
    """The most of one kill that were answered so early that their verdicts would be settled, had the daemon known them."""
    flight: int = 0
    """The most of one kill that were not answered, where the platform was well."""
    ages: list[float] = field(default_factory=list)
    """Of each kill that lost verdicts: seconds since the oldest of their answers."""

    @property
    def redelivered(self) -> int:
        """Spans that a later run sent again, as often as one did."""
        return sum(len(runs) - 1 for runs in self.runs.values())

    @property
    def in_flight_max(self) -> int:
        """Spans that can be on their way at once."""
        return self.workers * self.batch

    def grow(self, count: int) -> None:
        """Makes room for all numbers."""
        for column in (self.times, self.last_run, self.digests):
            column.extend([0] * (count - len(column)))


class Books:
    """One spool's whole life."""

    def __init__(self, seed: int, destinations: Sequence[Taken]) -> None:
        self.seed = seed
        self.destinations = {one.name: one for one in destinations}
        self.run = 0
        self.lock = threading.Lock()
        self.state = bytearray()
        self.written_in: array[int] = array("L")
        self.like: dict[int, int] = {}
        """Numbers that were written with the ids of an earlier one."""
        self.without_ids: dict[int, tuple[str, str] | None] = {}
        """Numbers that were written without ids, with those that they were given."""
        self.log: array[int] = array("Q")
        """The id in the log of a number; 0 where it was never seen there."""
        self.unanswered: list[int] = []
        """Numbers of which a writer that asked never learnt what became of them; it writes them again."""
        self.proof = 0.0
        self.acknowledged = 0
        self.kills: dict[int, Kill] = {}
        self.shown_accepted = 0
        self.shown: dict[tuple[str, str, str, str], int] = {}

    # ------------------------------------------------------------------------------------------- writers

    def new_number(self, like: int | None = None) -> int:
        """The number of a line that is about to be written."""
        with self.lock:
            number = len(self.state)
            self.state.append(WRITTEN)
            self.written_in.append(self.run)
            self.log.append(0)
            if like is not None:
                self.like[number] = self.like.get(like, like)
            return number

    def bears_no_ids(self, number: int) -> None:
        """It was written without ids."""
        with self.lock:
            self.without_ids[number] = None

    def acknowledge(self, numbers: Iterable[int], begun: float) -> None:
        """The daemon says that they are durable; their writing had begun then."""
        with self.lock:
            for number in numbers:
                self.state[number] = ACKNOWLEDGED
                self.acknowledged += 1
            self.proof = max(self.proof, begun)

    def reject(self, numbers: Iterable[int]) -> None:
        """The daemon says that it has not taken them."""
        with self.lock:
            for number in numbers:
                self.state[number] = REJECTED

    # ------------------------------------------------------------------------------------------- receipts

    def receive(self, name: str, key: str, run: int, at: float, copies: Sequence[Copy]) -> None:
        """A destination took these in one request of a run."""
        one = self.destinations[name]
        one.grow(len(self.state))
        numbers = []
        for copy in copies:
            self.check_copy(name, run, copy)
            number = copy.number
            if one.times[number] and number in one.letters:
                one.replayed += 1
            elif one.times[number]:
                runs = one.runs.setdefault(number, {one.last_run[number]})
                one.lost_answers += run in runs
                runs.add(run)
            one.times[number] = min(one.times[number] + 1, 65_535)
            one.last_run[number] = run
            one.again.setdefault(run, {}).setdefault(number, []).append(key)
            numbers.append(number)
        one.requests.setdefault(run, {})[key] = Request(run, at, numbers)

    def check_copy(self, name: str, run: int, copy: Copy) -> None:
        """Check 2, and 4 where it was written in an earlier run. What a destination refuses was sent too."""
        one = self.destinations[name]
        one.grow(len(self.state))
        number = copy.number
        demand(0 <= number < len(self.state), f"{name} got number {number}, which was never written")
        demand(self.written_in[number] <= run, f"{name} got number {number} in run {run}; it was written in {self.written_in[number]}")
        demand(self.state[number] != REJECTED, f"{name} got number {number}, which the daemon had rejected")
        self.check_ids(name, copy)
        known, new = one.digests[number], int(copy.digest, 16)
        demand(known in (0, new), f"{name} got number {number} with other bytes than before")
        one.digests[number] = new
        before = self.kills.get(run - 1)
        if before and self.written_in[number] < run and number not in before.letters.get(name, frozenset()):
            span = self.log[number]
            cursor = before.look.cursors.get(name)
            demand(span != 0, f"{name} got number {number} in run {run}, of which the log had nothing after run {run - 1}")
            settled = cursor is not None and cursor.has(span)
            demand(not settled, f"{name} got span {span} (number {number}) in run {run}, though it was settled on disk before (check 4)")

    def check_ids(self, where: str, copy: Copy) -> None:
        """The ids that it was written with; where there were none, the same as everywhere."""
        number, found = copy.number, (copy.trace_id, copy.span_id)
        if number in self.without_ids:
            expected = self.without_ids[number] = self.without_ids[number] or found
        else:
            expected = ids(self.seed, self.like.get(number, number))
        demand(found == expected, f"{where} has number {number} with the ids {found}, not {expected}")

    def answered(self, name: str, key: str, at: float) -> None:
        """A platform says that its answer was read, or would be."""
        for requests in self.destinations[name].requests.values():
            if key in requests:
                requests[key].answered = at

    # ------------------------------------------------------------------------------------------- each kill

    def killed(self, look: Look, proof: float, at: float) -> None:
        """Check 3, of what stands on the disk after run `self.run`."""
        before = self.kills[self.run - 1].look if self.run - 1 in self.kills else None
        for span, copy in look.fresh:
            number = copy.number
            demand(0 <= number < len(self.state), f"the log has number {number}, which was never written")
            demand(self.log[number] == 0, f"number {number} is in the log twice, as {self.log[number]} and {span}")
            demand(self.state[number] != REJECTED, f"the log has number {number}, which the daemon had rejected")
            demand(self.written_in[number] == self.run, f"span {span} was written in run {self.written_in[number]}, not in {self.run}")
            self.check_ids("the log", copy)
            self.log[number] = span
        demand(look.accepted >= self.acknowledged, f"{look.accepted} spans accepted on disk, {self.acknowledged} acknowledged")
        demand(look.accepted >= self.shown_accepted, f"{look.accepted} spans accepted on disk, {self.shown_accepted} were shown before")
        seen = before.accepted if before else 0
        if look.oldest <= seen + 1:
            for number in self._acknowledged_in_run():
                demand(self.log[number], f"LOST: number {number} was acknowledged in run {self.run} and is not in the log")
        for (name, *key), spans in self.shown.items():
            there = look.ledgers.get(name, {}).get((key[0], key[1], key[2]), 0)
            demand(there >= spans, f"the ledger of {name} on disk has {there} {key}, {spans} were shown before")
        for name, one in self.destinations.items():
            for copy in look.letters.get(name, []):
                self.check_ids(f"a dead letter of {name}", copy)
            one.dead = {copy.number for copy in look.letters.get(name, [])}
            one.unknown = look.unknown.get(name, set())
            one.letters |= one.dead | one.unknown
        letters = {name: frozenset(copy.number for copy in copies) for name, copies in look.letters.items()}
        self.kills[self.run] = Kill(look, letters, proof, at)

    def _acknowledged_in_run(self) -> Iterable[int]:
        for number in range(len(self.state) - 1, -1, -1):
            if self.written_in[number] != self.run:
                return
            if self.state[number] == ACKNOWLEDGED:
                yield number

    def shows(self, status: Status, acknowledged: int) -> None:
        """`status` of a running daemon, asked when so many were acknowledged: what it says is on the disk, before a kill and after it."""
        demand(status.accepted >= acknowledged, f"status says {status.accepted} accepted; {acknowledged} were acknowledged before")
        demand(status.accepted >= self.shown_accepted, f"status says {status.accepted} accepted, and said {self.shown_accepted} before")
        self.shown_accepted = status.accepted
        for name, page in status.destinations.items():
            for row in page["ledger"]:
                key = (name, row["outcome"], row["reason"], row["route"])
                shown = self.shown.get(key, 0)
                demand(row["spans"] >= shown, f"status says {row['spans']} of {key}, and said {shown} before")
                self.shown[key] = row["spans"]

    # ------------------------------------------------------------------------------------------- duplicates

    def judge(self, run: int) -> None:
        """Checks 4 (within a run) and 5, of a run whose requests have all been written down by now."""
        kill = self.kills[run]
        for name, one in self.destinations.items():
            requests = one.requests.pop(run, {})
            again = one.again.pop(run, {})
            calm = run not in one.disturbed
            cursor = kill.look.cursors.get(name, Cursor(0, []))
            for number, keys in again.items():
                if len(keys) > 1 and calm:
                    told = [key for key in keys[:-1] if (answer := requests[key].answered) is not None and answer < kill.at]
                    demand(not told, f"{name} got number {number} again in run {run} after it had answered (requests {keys})")
            early, recent, flight = set[int](), set[int](), set[int]()
            answers: list[float] = []
            for request in requests.values():
                unsettled = {number for number in request.numbers if self.log[number] and not cursor.has(self.log[number])}
                if request.answered is None or request.answered >= kill.at:
                    flight |= unsettled
                    continue
                if unsettled:
                    answers.append(request.answered)
                if request.answered > kill.proof - SETTLE_SECONDS:
                    recent |= unsettled
                else:
                    early |= unsettled
            if answers:
                one.ages.append(kill.at - min(answers))
            spans = len(early | recent | flight)
            one.exposed += spans
            one.worst = max(one.worst, spans)
            one.early = max(one.early, len(early))
            demand(
                len(early) <= one.in_flight_max,
                f"{name}: {len(early)} spans were delivered, and not settled though a commit that began 100 ms later was (run {run})",
            )
            if calm:
                one.flight = max(one.flight, len(flight))
                demand(
                    len(flight) <= one.in_flight_max,
                    f"{name}: {len(flight)} spans were in flight at the kill of run {run}; {one.in_flight_max} can be",
                )

    # ------------------------------------------------------------------------------------------- the end

    def check_end(self, status: Status) -> None:
        """Check 1, when everything has settled and the last look is taken."""
        look = self.kills[self.run].look
        demand(status.accepted == look.accepted, f"status says {status.accepted} accepted, the disk {look.accepted}")
        for name, one in self.destinations.items():
            one.grow(len(self.state))
            outcomes = Counter(status.outcomes(name))
            demand(set(outcomes) <= {"delivered", "dead", "expired"}, f"{name} has the outcomes {dict(outcomes)}")
            demand(outcomes.total() == status.accepted, f"{name} has {dict(outcomes)} of {status.accepted}")
            reached = {number for number, times in enumerate(one.times) if times} | one.dead | one.unknown
            missing = [number for number, state in enumerate(self.state) if state == ACKNOWLEDGED and number not in reached]
            if not one.may_expire:
                demand(not missing, f"LOST: {len(missing)} acknowledged spans never reached {name}: numbers {missing[:20]}")
                demand(outcomes["expired"] == 0, f"{name} may not expire anything, and has {outcomes['expired']}")
                demand(len(reached) == status.accepted, f"{name} was reached by {len(reached)} of {status.accepted} spans")
            demand(
                status.accepted - len(reached) <= outcomes["expired"], f"{name}: {status.accepted - len(reached)} never came, {outcomes}"
            )
            taken = sum(1 for times in one.times if times)
            demand(taken >= outcomes["delivered"], f"{name} took {taken} spans, the ledger says {outcomes['delivered']} were delivered")
            demand(one.redelivered <= one.exposed, f"{name} got {one.redelivered} again, {one.exposed} were open at the kills")
