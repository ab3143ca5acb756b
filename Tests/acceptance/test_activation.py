"""Sockets that the service manager hands over (LISTEN_FDS, LISTEN_PID, LISTEN_FDNAMES)."""

from __future__ import annotations

import socket
import sys
from pathlib import Path

from client import Client, send_all, send_datagrams
from conftest import MakeDaemon
from daemon import QUICK, Daemon
from sink import OTLPSink
from spans import ids, line, lines, make_spans

WRAPPER = Path(__file__).with_name("activate.py")


def bound(daemon: Daemon) -> dict[str, socket.socket]:
    """The sockets as a .socket unit makes them."""
    unix = socket.socket(socket.AF_UNIX)
    unix.bind(str(daemon.socket))
    unix.listen(128)
    udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    udp.bind(daemon.udp)
    http = socket.socket(socket.AF_INET)
    http.bind(daemon.udp)
    http.listen(128)
    return {"unix": unix, "udp": udp, "http": http}


def start_with(daemon: Daemon, sockets: dict[str, socket.socket]) -> None:
    """Starts the daemon with the sockets at the descriptors from 3 on."""
    names = ",".join(f"{name}={each.fileno()}" for name, each in sockets.items())
    daemon.start(command=[sys.executable, str(WRAPPER), names], pass_fds=[each.fileno() for each in sockets.values()])


def test_handed_over_sockets_are_used(make_daemon: MakeDaemon, collector: OTLPSink) -> None:
    """Spans over all of them arrive."""
    daemon = make_daemon({"collector": {"type": "otlp", "endpoint": collector.url, **QUICK}})
    start_with(daemon, bound(daemon))
    stream, datagram = make_spans(10), make_spans(3)
    assert send_all(daemon.socket, stream)["accepted"] == 10
    send_datagrams(daemon.udp, lines(datagram))
    collector.wait_for(13)
    assert collector.span_ids == ids(stream + datagram)


def test_no_connection_is_refused_over_a_restart(make_daemon: MakeDaemon, collector: OTLPSink) -> None:
    """While the daemon is down a client connects, writes and waits; the next daemon takes it all. The socket file stays."""
    daemon = make_daemon({"collector": {"type": "otlp", "endpoint": collector.url, **QUICK}})
    sockets = bound(daemon)
    start_with(daemon, sockets)
    first, between = make_spans(5), make_spans(5)
    send_all(daemon.socket, first)
    daemon.stop()
    assert daemon.socket.exists(), "the daemon unlinked a socket that it did not make"
    with Client(daemon.socket) as client:
        client.send(*between)
        send_datagrams(daemon.udp, line(between[0]))
        start_with(daemon, sockets)
        assert client.finish()["accepted"] == 5
    collector.wait_for(11)
    assert set(collector.span_ids) == set(ids(first + between))


def test_a_socket_that_dies_ends_the_daemon(make_daemon: MakeDaemon, collector: OTLPSink) -> None:
    """Whoever handed it over may shut it down. The daemon stops as it does when it is asked to, says why, and its status is a failure, so
    that systemd starts it again."""
    daemon = make_daemon({"collector": {"type": "otlp", "endpoint": collector.url, **QUICK}})
    sockets = bound(daemon)
    start_with(daemon, sockets)
    send_all(daemon.socket, make_spans(5))
    sockets["http"].shutdown(socket.SHUT_RDWR)
    assert daemon.process and daemon.process.wait(30) == 1
    assert "the http source cannot go on" in daemon.log and "event=stopped" in daemon.log
    for each in sockets.values():
        each.close()
    assert daemon.start().settled().accepted == 5


def test_listen_pid_of_another_process_is_not_ours(make_daemon: MakeDaemon, collector: OTLPSink) -> None:
    """Variables that were inherited by chance are ignored."""
    daemon = make_daemon({"collector": {"type": "otlp", "endpoint": collector.url, **QUICK}})
    daemon.start(environment={"LISTEN_PID": "1", "LISTEN_FDS": "1", "LISTEN_FDNAMES": "unix"})
    assert send_all(daemon.socket, make_spans(1))["accepted"] == 1


def test_a_socket_is_known_by_its_name(make_daemon: MakeDaemon, collector: OTLPSink) -> None:
    """Not by its place: one that no source takes, before the others, is told of, and takes nobody's part."""
    daemon = make_daemon({"collector": {"type": "otlp", "endpoint": collector.url, **QUICK}})
    with socket.socket(socket.AF_INET) as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        start_with(daemon, {"other": other, **bound(daemon)})
        assert daemon.get("/readyz")[0] == 200
        assert send_all(daemon.socket, make_spans(1))["accepted"] == 1
    assert 'handed over a socket "other" that no source takes' in daemon.log
