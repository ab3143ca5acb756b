"""The lines that are written: each has a number of its own, which whoever receives it can read, and from which its ids follow."""

from __future__ import annotations

import hashlib
import random

from spans import Span, make_span

NUMBER, FATE = "crash.number", "crash.fate"
REFUSED, PARTLY = "refused", "partly"


def ids(seed: int, number: int) -> tuple[str, str]:
    """Trace and span id of a number."""
    digest = hashlib.blake2b(f"{seed} {number}".encode(), digest_size=24).hexdigest()
    return digest[:32], digest[32:]


def make_line(seed: int, number: int, chance: random.Random, like: int | None, large: bool) -> tuple[Span, bool]:
    """A span, and whether it has ids. `like`: it has the ids of an earlier number, as of a writer that sends again."""
    attributes: dict[str, object] = {NUMBER: number}
    fate = chance.random()
    if fate < 0.004:
        attributes[FATE] = REFUSED if fate < 0.003 else PARTLY
    bears_ids = like is not None or chance.random() < 0.9
    size = chance.randrange(20_000, 60_000) if large else chance.choice([chance.randrange(200), chance.randrange(2000)])
    span = make_span(attributes=attributes, resource={"service.name": f"shop-{number % 3}"}, input="x" * size)
    span["trace_id"], span["span_id"] = ids(seed, number if like is None else like)
    if not bears_ids:
        del span["trace_id"], span["span_id"]
    return span, bears_ids
