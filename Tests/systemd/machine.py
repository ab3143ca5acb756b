"""A Debian that boots under systemd-nspawn: a real systemd, journal and package manager, with a network of its own."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

CHECKOUT = Path(__file__).resolve().parents[2]
CACHE = CHECKOUT / ".cache/systemd"
SUITE = "bookworm"
ALWAYS = ["systemd", "systemd-sysv", "dbus"]


def missing() -> str | None:
    """Why this machine cannot run these tests; None where it can."""
    if os.geteuid() != 0:
        return "only root can boot a container (try sudo make test-systemd)"
    for command, package in (("systemd-nspawn", "systemd-container"), ("debootstrap", "debootstrap"), ("nsenter", "util-linux")):
        if shutil.which(command) is None:
            return f"{command} is not here (Debian's package {package})"
    if subprocess.run(["unshare", "--mount", "--pid", "--net", "--fork", "true"], capture_output=True).returncode != 0:
        return "no namespaces can be made here"
    if not list(CACHE.glob(f"{SUITE}-*")):
        address = f"{(mirror() or ['http://deb.debian.org/debian'])[0].rstrip('/')}/dists/{SUITE}/InRelease"
        try:
            urllib.request.urlopen(address, timeout=20).close()
        except OSError as error:
            return f"a Debian is made of packages, once, and their mirror cannot be reached ({error})"
    return None


def eventually(condition: Callable[[], Any], seconds: float = 30, what: str = "", every: float = 0.05) -> Any:
    """Polls until the condition gives something true, and returns that."""
    limit = time.monotonic() + seconds
    while not (result := condition()):
        assert time.monotonic() < limit, f"not so after {seconds} s: {what or condition}"
        time.sleep(every)
    return result


def dependencies(package: Path) -> list[str]:
    """The names that a package depends on, the first of alternatives."""
    text = subprocess.run(["dpkg-deb", "-f", str(package), "Depends"], check=True, capture_output=True, text=True).stdout
    return [re.split(r"[ (:]", part.strip())[0] for part in text.split(",")]


def mirror() -> list[str]:
    """The package mirror that apt has here; debootstrap's own default where it has none."""
    folder = Path("/etc/apt/sources.list.d")
    lists = [Path("/etc/apt/sources.list"), *sorted(folder.glob("*.list")), *sorted(folder.glob("*.sources"))]
    text = "\n".join(path.read_text(errors="replace") for path in lists if path.is_file())
    found = re.search(r"^(?:deb\s+(?:\[[^\]]*\]\s+)?|URIs:\s*)(https?://\S+)", text, re.MULTILINE)
    return [found[1]] if found else []


def base(package: Path) -> Path:
    """A Debian with what the package depends on; made once, with a network, and kept."""
    names = sorted({*ALWAYS, *dependencies(package), "ca-certificates"})
    root = CACHE / f"{SUITE}-{hashlib.sha256(' '.join(names).encode()).hexdigest()[:12]}"
    if not root.exists():
        CACHE.mkdir(parents=True, exist_ok=True)
        unfinished = root.with_suffix(f".{os.getpid()}")
        command = ["debootstrap", "--variant=minbase", f"--include={','.join(names)}", SUITE, str(unfinished), *mirror()]
        result = subprocess.run(command, capture_output=True, text=True, timeout=1200)
        assert result.returncode == 0, f"debootstrap failed:\n{result.stdout[-2000:]}{result.stderr[-2000:]}"
        unfinished.rename(root)
    return root


class Machine:
    """One container over the base, which it does not change. `root` is its file system as the host sees it."""

    def __init__(self, base: Path, folder: Path) -> None:
        self.root = folder / "root"
        self.folder = folder
        for each in (self.root, folder / "upper", folder / "work"):
            each.mkdir(parents=True)
        layers = f"lowerdir={base},upperdir={folder}/upper,workdir={folder}/work"
        subprocess.run(["mount", "-t", "overlay", "overlay", "-o", layers, str(self.root)], check=True)
        self.process: subprocess.Popen[bytes] | None = None
        self.init = 0

    def boot(self) -> Machine:
        """Returns when systemd says that it has started what there is to start."""
        words = ["systemd-nspawn", "--quiet", "--directory", str(self.root), "--boot", "--register=no", "--keep-unit", "--private-network"]
        words += ["--console=passive", "--link-journal=no", "--resolv-conf=off", "--timezone=off", f"--machine=tracefwd-test-{os.getpid()}"]
        with open(self.folder / "console", "ab") as console:
            environment = {**os.environ, "SYSTEMD_NSPAWN_UNIFIED_HIERARCHY": "1"}
            self.process = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=console, stderr=console, env=environment)
        self.init = eventually(self._find_init, what="the container's init")
        eventually(lambda: self.run("systemctl", "is-system-running").stdout.strip() in ("running", "degraded"), 60, "systemd has started")
        return self

    def _find_init(self) -> int | None:
        """The child of systemd-nspawn that is process 1 inside; another one makes it and goes."""
        assert self.process and self.process.poll() is None, (self.folder / "console").read_text()
        for child in Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split():
            try:
                numbers = re.search(r"^NSpid:\s+(.*)$", Path(f"/proc/{child}/status").read_text(), re.MULTILINE)
            except OSError:
                continue
            if numbers and len(numbers[1].split()) > 1 and numbers[1].split()[-1] == "1":
                return int(child)
        return None

    def stop(self) -> None:
        """Powers off; what does not go in time is killed. Nothing is left of it."""
        if self.process is not None:
            self.run("systemctl", "poweroff")
            try:
                self.process.wait(30)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        subprocess.run(["umount", "--recursive", str(self.root)], check=True)
        shutil.rmtree(self.folder)

    # -------------------------------------------------------------------------------------------- commands

    def enter(self, *words: str) -> list[str]:
        """The command line that runs `words` inside."""
        environment = ["env", "-i", "PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C.UTF-8", "HOME=/root", "DEBIAN_FRONTEND=noninteractive"]
        return ["nsenter", "--target", str(self.init), "--all", *environment, *words]

    def run(self, *words: str, given: str | None = None, seconds: float = 120) -> subprocess.CompletedProcess[str]:
        """Runs a command inside, as root, whatever its exit status."""
        kind = {"input": given} if given is not None else {"stdin": subprocess.DEVNULL}
        return subprocess.run(self.enter(*words), capture_output=True, text=True, timeout=seconds, **kind)

    def call(self, *words: str, **more: Any) -> str:
        """The same, where it must succeed; its standard output."""
        result = self.run(*words, **more)
        assert result.returncode == 0, f"{' '.join(words)}: status {result.returncode}\n{result.stdout}{result.stderr}"
        return result.stdout

    def beside(self, *words: str, **more: Any) -> subprocess.CompletedProcess[str]:
        """Runs a command of the host in the container's network."""
        return subprocess.run(["nsenter", "--target", str(self.init), "--net", *words], capture_output=True, text=True, **more)

    def start_beside(self, *words: str, **more: Any) -> subprocess.Popen[str]:
        """The same, without waiting for it."""
        return subprocess.Popen(["nsenter", "--target", str(self.init), "--net", *words], text=True, **more)

    def path(self, inside: str) -> Path:
        """A path inside, mounts and sockets of the running container included."""
        return Path(f"/proc/{self.init}/root{inside}")

    def write(self, inside: str, text: str, mode: int = 0o644) -> None:
        """A file inside, and the folders that it lies in."""
        path = self.path(inside)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        path.chmod(mode)

    # -------------------------------------------------------------------------------------------- the service

    def install(self, package: Path) -> str:
        """`dpkg -i`; what it printed."""
        copy = self.path(f"/root/{package.name}")
        shutil.copy(package, copy)
        return self.call("dpkg", "-i", f"/root/{package.name}")

    def show(self, name: str, unit: str = "tracefwd.service") -> str:
        """One property of a unit."""
        return self.call("systemctl", "show", "--value", "-p", name, unit).strip()

    @property
    def daemon(self) -> int:
        """The daemon's pid, as the host has it."""
        inside = int(self.show("MainPID"))
        assert inside > 0, f"the daemon does not run: {self.show('ActiveState')}"
        for status in Path("/proc").glob("[0-9]*/status"):
            try:
                text = status.read_text()
            except OSError:
                continue
            numbers = re.search(r"^NSpid:\s+(.*)$", text, re.MULTILINE)
            if numbers and numbers[1].split()[-1] == str(inside) and "tracefwd" in text.splitlines()[0]:
                return int(status.parent.name)
        raise AssertionError(f"no process is {inside} inside")

    def drop_in(self, name: str, text: str) -> None:
        """A drop-in of the service, in force from its next start."""
        self.write(f"/etc/systemd/system/tracefwd.service.d/{name}.conf", text)
        self.call("systemctl", "daemon-reload")

    def journal(self, *matches: str) -> list[dict[str, Any]]:
        """The entries of the unit's journal, oldest first."""
        text = self.call("journalctl", "--no-pager", "-o", "json", "-u", "tracefwd", *matches)
        return [json.loads(row) for row in text.splitlines()]

    def delivered(self) -> list[str]:
        """The ids of the spans in the packaged configuration's file, in the order in which they stand there."""
        file = self.path("/var/lib/tracefwd/spans.ndjson")
        return [json.loads(row)["span_id"] for row in file.read_text().splitlines()] if file.exists() else []

    def settled(self, seconds: float = 30) -> None:
        """Waits until no destination has anything before it."""

        def quiet() -> bool:
            return all(each["backlog_spans"] == 0 and each["in_flight_spans"] == 0 for each in self.status()["destinations"])

        eventually(quiet, seconds, "everything is delivered")

    def status(self) -> dict[str, Any]:
        """The page of `tracefwd status --json`."""
        return json.loads(self.call("tracefwd", "status", "--json"))

    def accepted(self) -> int:
        """Spans that were ever accepted."""
        return self.status()["spool"]["accepted"]

    def send(self, *spans: dict[str, Any]) -> None:
        """`tracefwd send` inside; each span must be accepted."""
        self.call("tracefwd", "send", given="".join(f"{json.dumps(span)}\n" for span in spans))


def later_version(package: Path, folder: Path) -> Path:
    """The same package under a higher version: what an upgrade is to dpkg."""
    files = folder / "later"
    subprocess.run(["dpkg-deb", "-R", str(package), str(files)], check=True)
    control = files / "DEBIAN/control"
    text = control.read_text()
    version = re.search(r"^Version: (.*)$", text, re.MULTILINE)
    assert version
    control.write_text(text.replace(version[0], f"{version[0]}+later1"))
    result = folder / f"tracefwd_{version[1]}+later1.deb"
    subprocess.run(
        ["dpkg-deb", "--root-owner-group", "-Zgzip", "-z1", "-b", str(files), str(result)], check=True, stdout=subprocess.DEVNULL
    )
    shutil.rmtree(files)
    return result


if __name__ == "__main__":
    # For the Makefile: why not, and exit status 1.
    if why := missing():
        sys.exit(why)
