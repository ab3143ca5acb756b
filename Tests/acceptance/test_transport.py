"""TLS and proxies on the way out."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from certificates import Authority, server_context
from client import send_all
from conftest import MakeDaemon, MakeServer
from daemon import QUICK, Daemon
from proxy import Proxy
from sink import OTLPSink
from spans import ids, make_spans


@pytest.fixture
def authority(folder: Path) -> Authority:
    """The authority that signed the server's certificate."""
    return Authority(folder / "ca", "test authority")


@pytest.fixture
def proxy() -> Iterator[Proxy]:
    """A proxy that is stopped at the end."""
    proxy = Proxy()
    yield proxy
    proxy.stop()


def deliver(make_daemon: MakeDaemon, url: str, tls: dict[str, Any] | None, environment: dict[str, str] | None = None) -> Daemon:
    """A daemon to which ten spans were sent for one OTLP destination."""
    destination = {"type": "otlp", "endpoint": url, **QUICK, **({"tls": tls} if tls is not None else {})}
    daemon = make_daemon({"secure": destination}).start(environment)
    assert send_all(daemon.socket, make_spans(10))["accepted"] == 10
    return daemon


def assert_refused(daemon: Daemon, sink: OTLPSink) -> None:
    """Nothing arrives, nothing is lost: the spans wait."""
    time.sleep(1.5)
    assert sink.requests == []
    status = daemon.status()
    assert status.spooled["secure"] == 10
    assert daemon.dead() == []


def test_an_authority_of_ones_own(make_daemon: MakeDaemon, make_server: MakeServer, authority: Authority) -> None:
    """`tls.ca_file` is enough to trust the server."""
    sink = make_server(OTLPSink, tls=server_context(authority.issue("server")))
    deliver(make_daemon, sink.url, {"ca_file": str(authority.pair.certificate)})
    assert len(sink.wait_for(10)) == 10


def test_an_unknown_authority_is_refused(make_daemon: MakeDaemon, make_server: MakeServer, authority: Authority) -> None:
    """Verification is on by default."""
    sink = make_server(OTLPSink, tls=server_context(authority.issue("server")))
    assert_refused(deliver(make_daemon, sink.url, None), sink)


def test_the_wrong_authority_is_refused(make_daemon: MakeDaemon, make_server: MakeServer, authority: Authority, folder: Path) -> None:
    """A `ca_file` that did not sign the server's certificate."""
    other = Authority(folder / "other", "another authority")
    sink = make_server(OTLPSink, tls=server_context(authority.issue("server")))
    assert_refused(deliver(make_daemon, sink.url, {"ca_file": str(other.pair.certificate)}), sink)


def test_a_certificate_for_another_host_is_refused(make_daemon: MakeDaemon, make_server: MakeServer, authority: Authority) -> None:
    """The name is verified too."""
    sink = make_server(OTLPSink, tls=server_context(authority.issue("server", "DNS:example.com")))
    assert_refused(deliver(make_daemon, sink.url, {"ca_file": str(authority.pair.certificate)}), sink)


def test_verification_can_be_turned_off(make_daemon: MakeDaemon, make_server: MakeServer, authority: Authority) -> None:
    """`tls.verify: false`, said by the user."""
    sink = make_server(OTLPSink, tls=server_context(authority.issue("server")))
    deliver(make_daemon, sink.url, {"verify": False})
    assert len(sink.wait_for(10)) == 10


def test_a_client_certificate(make_daemon: MakeDaemon, make_server: MakeServer, authority: Authority) -> None:
    """The server demands one, and sees ours."""
    sink = make_server(OTLPSink, tls=server_context(authority.issue("server"), authority))
    mine = authority.issue("sidecar")
    tls = {"ca_file": str(authority.pair.certificate), "certificate_file": str(mine.certificate), "key_file": str(mine.key)}
    deliver(make_daemon, sink.url, tls)
    sink.wait_for(10)
    certificate = sink.requests[0].client_certificate
    assert certificate and (("commonName", "sidecar"),) in certificate["subject"]


def test_without_the_client_certificate_nothing_is_delivered(
    make_daemon: MakeDaemon, make_server: MakeServer, authority: Authority
) -> None:
    """The server demands one, and we have none."""
    sink = make_server(OTLPSink, tls=server_context(authority.issue("server"), authority))
    assert_refused(deliver(make_daemon, sink.url, {"ca_file": str(authority.pair.certificate)}), sink)


def test_http_proxy_is_honoured(make_daemon: MakeDaemon, collector: OTLPSink, proxy: Proxy) -> None:
    """`http_proxy`: the request goes through it in absolute form."""
    daemon = deliver(make_daemon, collector.url, None, {"http_proxy": proxy.url})
    assert len(collector.wait_for(10)) == 10
    assert proxy.asked and all(asked == f"POST {collector.url}/v1/traces" for asked in proxy.asked)
    assert daemon.settled().outcomes("secure") == {"delivered": 10}


def test_https_proxy_is_honoured(make_daemon: MakeDaemon, make_server: MakeServer, authority: Authority, proxy: Proxy) -> None:
    """`HTTPS_PROXY`: a tunnel, and the TLS inside it is verified as ever."""
    sink = make_server(OTLPSink, tls=server_context(authority.issue("server")))
    deliver(make_daemon, sink.url, {"ca_file": str(authority.pair.certificate)}, {"HTTPS_PROXY": proxy.url})
    assert len(sink.wait_for(10)) == 10
    assert set(proxy.asked) == {f"CONNECT 127.0.0.1:{sink.port}"}


def test_no_proxy_is_honoured(make_daemon: MakeDaemon, collector: OTLPSink, proxy: Proxy) -> None:
    """`no_proxy` lists the destination: straight to it."""
    daemon = deliver(make_daemon, collector.url, None, {"http_proxy": proxy.url, "no_proxy": "localhost,127.0.0.1"})
    collector.wait_for(10)
    assert proxy.asked == []
    assert collector.span_ids == ids([{"span_id": span.span_id} for span in collector.spans])
    assert daemon.settled().outcomes("secure") == {"delivered": 10}
