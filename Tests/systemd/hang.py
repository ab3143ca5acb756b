"""`hang.py PID THREAD`: one thread of a process stops, the others go on, until the process ends.

A debugger's stop (ptrace) is a thread's own, where SIGSTOP is the whole process'.
"""

from __future__ import annotations

import ctypes
import os
import sys
from pathlib import Path

SEIZE, INTERRUPT = 0x4206, 0x4207
ANY_THREAD = 0x40000000  # __WALL


def main() -> None:
    """Says `stopped` when the thread has stopped."""
    pid, name = int(sys.argv[1]), sys.argv[2]
    tasks = [task for task in Path(f"/proc/{pid}/task").iterdir() if (task / "comm").read_text().strip() == name]
    assert len(tasks) == 1, f"{len(tasks)} threads are called {name}"
    libc = ctypes.CDLL(None, use_errno=True)
    libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
    for request in (SEIZE, INTERRUPT):
        assert libc.ptrace(request, int(tasks[0].name), None, None) == 0, os.strerror(ctypes.get_errno())
    os.waitpid(int(tasks[0].name), ANY_THREAD)
    print("stopped", flush=True)
    # A traced thread that has died is there until its tracer has heard of it, and so is its process.
    while not os.WIFSIGNALED(os.waitpid(int(tasks[0].name), ANY_THREAD)[1]):
        pass


if __name__ == "__main__":
    main()
