"""What a connection costs that sends nothing: python3 Docs/architecture/0002-measure.py SOCKET PID [CONNECTIONS]   (ulimit -n first)"""

import socket
import sys
import time


def resident(pid: str) -> int:
    """Resident bytes of a process."""
    with open(f"/proc/{pid}/status") as lines:
        return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS")) * 1024


path, pid, count = sys.argv[1], sys.argv[2], int(sys.argv[3]) if len(sys.argv) > 3 else 10_000
before, peers = resident(pid), []
for _ in range(count):
    peers.append(socket.socket(socket.AF_UNIX))
    peers[-1].connect(path)
time.sleep(1)
after = resident(pid)
print(f"{before >> 10} KiB before, {after >> 10} KiB with {count} connections: {(after - before) // count} bytes each")
