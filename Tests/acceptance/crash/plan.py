"""What happens in each round: drawn from the seed, so that a plan can be repeated. The moments are the machine's own."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass, replace

HTTP = ("collector", "hook")
MODES = {"up": 9, "slow": 3, "failing": 3, "flaky": 4, "frozen": 3, "down": 3, "lenient": 2}
KILLS = {"steady": 8, "start": 3, "twice": 2, "reload": 3, "drain": 3, "stopped": 2, "checkpoint": 2, "full": 2}


@dataclass(frozen=True)
class Round:
    """One start of the daemon, up to its kill. Times are seconds."""

    kill: str
    """`steady`, `start` (before it is ready), `reload`, `drain`, `stopped`, `checkpoint`, `full`."""
    after: float
    """From ready (of `start`: from the launch) to the kill, or to what it follows."""
    gap: float
    """From the signal to the kill, where one comes before it."""
    modes: dict[str, str]
    """How each platform is at the start."""
    change: tuple[float, str, str] | None
    """When which platform becomes what."""
    tight: bool
    """A spool of 16 MiB without history: it trims all the time."""
    large: bool
    """Spans of up to 60 KiB, not 2."""
    durability: str
    when_full: object
    remove: bool
    """The reload takes a destination away; the next start, or another reload, brings it back."""
    live_first: bool
    """After an outage the collector gets the newest spans first."""
    ages: bool
    """The hook's spans expire after two seconds."""
    pause: bool
    """The collector is paused by a person, and stays so until a round that lets it go on."""
    replay: bool
    """Dead letters are replayed in this round."""
    seed: int

    @property
    def frozen(self) -> set[str]:
        """Platforms that are frozen at some time in it."""
        changed = {self.change[1]} if self.change and self.change[2] == "frozen" else set()
        return {name for name, mode in self.modes.items() if mode == "frozen"} | changed


def plan(seed: int) -> Iterator[Round]:
    """Rounds without end."""
    chance = random.Random(seed)

    def one_of(weights: dict[str, int]) -> str:
        return chance.choices(list(weights), list(weights.values()))[0]

    while True:
        kill = one_of(KILLS)
        modes = {name: one_of(MODES) for name in HTTP}
        change = (chance.uniform(0, 0.8), chance.choice(HTTP), one_of(MODES)) if chance.random() < 0.4 else None
        round = Round(
            kill=kill,
            after=chance.choice([chance.uniform(0, 0.1), chance.uniform(0, 1.2), chance.uniform(0.3, 1.2)]),
            gap=chance.choice([chance.uniform(0, 0.02), chance.uniform(0, 0.5)]),
            modes=modes,
            change=change,
            tight=chance.random() < 0.4,
            large=chance.random() < 0.1,
            durability=one_of({"fsync": 15, "os": 3, "none": 2}),
            when_full={"block": "300ms"} if chance.random() < 0.3 else "reject",
            remove=chance.random() < 0.4,
            live_first=chance.random() < 0.3,
            ages=chance.random() < 0.15,
            pause=chance.random() < 0.08,
            replay=chance.random() < 0.25,
            seed=chance.getrandbits(32),
        )
        if kill == "start":
            yield replace(round, after=chance.uniform(0, 0.5))
        elif kill == "twice":
            yield replace(round, kill="steady", after=chance.uniform(0, 0.08))
            yield replace(round, kill="start", after=chance.uniform(0, 0.3), replay=False, change=None)
        elif kill == "full":
            yield replace(round, modes={**modes, "collector": "down"}, change=None, tight=True, large=True)
        elif kill == "checkpoint":
            yield replace(round, large=True)
        else:
            yield round
