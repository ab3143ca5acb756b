"""The command line: `python -m crash`."""

from __future__ import annotations

import argparse
import random
import shutil
import signal
import sys
import tempfile
import traceback
from pathlib import Path

import crash
from crash.campaign import Campaign
from daemon import BINARY


def main() -> int:
    """Exit status 1 where something did not hold."""
    parser = argparse.ArgumentParser(prog="crash", description=crash.__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=50)
    parser.add_argument("--seed", type=int, default=random.randrange(1_000_000))
    parser.add_argument("--drop-oldest", action="store_true", help="a full spool drops what is oldest: any destination's spans may expire")
    parser.add_argument("--power-cuts", action="store_true", help="what was not synced at a kill is lost too (needs cc)")
    parser.add_argument("--verbose", action="store_true", help="a line each round")
    words = parser.parse_args()
    if not BINARY.is_file():
        parser.error(f"{BINARY} is not there; build it, or name one in TRACEFWD_BINARY")
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(143))
    folder = Path(tempfile.mkdtemp(prefix="tfw-"))
    print(f"crash --rounds {words.rounds} --seed {words.seed}, in {folder}", flush=True)
    tell = (lambda text: print(text, flush=True)) if words.verbose else (lambda text: None)
    campaign = Campaign(folder, words.seed, tell, words.drop_oldest, words.power_cuts)
    try:
        status = campaign.run(words.rounds)
    except Exception as error:
        traceback.print_exc()
        print(f"\nRUN {campaign.books.run}: {type(error).__name__}: {error}")
        print(
            f"Look at {folder}: the spool as the last kill left it, its copy in copy/, the journal in stderr, and what the platforms took."
        )
        print(f"Again: python -m crash --rounds {words.rounds} --seed {words.seed}")
        return 1
    print(campaign.summary.text(campaign.books, status))
    shutil.rmtree(folder)
    return 0


if __name__ == "__main__":
    sys.exit(main())
