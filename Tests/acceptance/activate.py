"""Becomes a command to which sockets are handed over as a service manager does it.

`python activate.py NAME=FD,NAME=FD... COMMAND ARGUMENT...`: the descriptors, which this process inherited, stand from 3 on
in the command, and LISTEN_PID is its pid, which exec keeps.
"""

from __future__ import annotations

import os
import sys

FIRST = 3


def main() -> None:
    """Moves the descriptors up first, so that no move overwrites one that is still needed."""
    pairs = [word.split("=") for word in sys.argv[1].split(",")]
    moved = [os.dup2(int(fd), 100 + index, inheritable=False) for index, (_, fd) in enumerate(pairs)]
    for index, fd in enumerate(moved):
        os.dup2(fd, FIRST + index, inheritable=True)
    for fd in range(FIRST + len(moved), 100):
        if os.path.exists(f"/proc/self/fd/{fd}"):
            os.set_inheritable(fd, False)
    names = ":".join(name for name, _ in pairs)
    os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS=str(len(pairs)), LISTEN_FDNAMES=names)
    os.execv(sys.argv[2], sys.argv[2:])


if __name__ == "__main__":
    main()
