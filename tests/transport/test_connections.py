"""Proxies, TLS, idle connections, and what views share (R2.1, R2.3 to R2.6)."""

from __future__ import annotations

import asyncio
import base64
import gc
import os
import socket
import ssl
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import trustme

from openrelay_async import AsyncClient, PoolLimits, errors
from openrelay_async.emulator import Emulator
from openrelay_async.resolver import OffLoopResolver
from tests.transport.servers import (
    KEY,
    ONCE,
    VM,
    Exchange,
    Watcher,
    answering,
    make_client,
    serving,
    until,
)

HOST = "api.openrelay.test"
"""Resolved by nobody: only a proxy finds it."""


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="module")
def server_tls(authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost", HOST).configure_cert(context)
    return context


@pytest.fixture(scope="module")
def client_tls(authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.create_default_context()
    authority.configure_trust(context)
    return context


@pytest.fixture(autouse=True)
def plain_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


class Proxy:
    """An HTTP proxy: CONNECT tunnels to a port of this machine, whatever the host; the rest is answered."""

    def __init__(self, port: int, *, status: int = 200) -> None:
        self.port = port
        self.status = status
        self.heads: list[bytes] = []
        self.url = ""

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            self.heads.append(head)
            if not head.startswith(b"CONNECT") or self.status != 200:
                writer.write(
                    b"HTTP/1.1 %d No\r\nContent-Length: 0\r\nConnection: close\r\n\r\n" % self.status
                )
                await writer.drain()
                return
            writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
            inner_reader, inner_writer = await asyncio.open_connection("127.0.0.1", self.port)
            try:
                await asyncio.gather(_pump(reader, inner_writer), _pump(inner_reader, writer))
            finally:
                inner_writer.close()
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            writer.close()


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(65536):
        writer.write(data)
        await writer.drain()
    writer.close()


@asynccontextmanager
async def proxying(port: int = 0, *, status: int = 200) -> AsyncIterator[Proxy]:
    proxy = Proxy(port, status=status)
    server = await asyncio.start_server(proxy.handle, "127.0.0.1", 0)
    proxy.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield proxy
    finally:
        server.close()
        await until(lambda: not [task for task in asyncio.all_tasks() if "Proxy.handle" in repr(task)])


# -- proxies


async def test_the_proxy_of_the_environment_is_used_by_default(
    server_tls: ssl.SSLContext, client_tls: ssl.SSLContext, monkeypatch: pytest.MonkeyPatch
):
    """R2.1: through CONNECT, so that the proxy sees neither path nor key."""
    async with serving(answering((200, VM)), tls=server_tls) as server, proxying(server.port) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", proxy.url)
        async with make_client(f"https://{HOST}:{server.port}", ssl_context=client_tls) as client:
            for _ in range(3):
                await client.vms.get("vm_1")
    assert [head.split(b"\r\n")[0] for head in proxy.heads] == [
        b"CONNECT %s:%d HTTP/1.1" % (HOST.encode(), server.port)
    ]
    assert KEY.encode() not in proxy.heads[0]
    assert server.seen[0].headers["authorization"] == f"Bearer {KEY}"


async def test_the_credentials_of_a_proxy_go_to_the_proxy_alone(
    server_tls: ssl.SSLContext, client_tls: ssl.SSLContext
):
    """R2.1: percent-encoded in the URL, decoded on the wire."""
    async with serving(answering((200, VM)), tls=server_tls) as server, proxying(server.port) as proxy:
        url = proxy.url.replace("//", "//us%40er:p%3Ass%2Fword@")
        async with make_client(f"https://{HOST}:{server.port}", ssl_context=client_tls, proxy=url) as client:
            await client.vms.get("vm_1")
            assert "word" not in repr(vars(client))
    expected = base64.b64encode(b"us@er:p:ss/word")
    assert b"Proxy-Authorization: Basic " + expected in proxy.heads[0]
    assert "proxy-authorization" not in server.seen[0].headers
    assert server.seen[0].headers["authorization"] == f"Bearer {KEY}"


async def test_a_proxy_that_reads_the_request_gets_its_credentials_with_it():
    """R2.1: `http://` to elsewhere, which only a client without a key may use, needs no tunnel."""
    async with serving(answering((200, VM))) as proxy:
        url = proxy.url.replace("//", "//us%40er:p%3Ass%2Fword@")
        async with AsyncClient(base_url=f"http://{HOST}", proxy=url, retry=ONCE) as client:
            await client.request("GET", "/v1/x")
    assert proxy.seen[0].target == f"http://{HOST}/v1/x"
    expected = base64.b64encode(b"us@er:p:ss/word").decode()
    assert proxy.seen[0].headers["proxy-authorization"] == f"Basic {expected}"
    assert "authorization" not in proxy.seen[0].headers


@pytest.mark.parametrize("exempt", [HOST, ".openrelay.test", "*", f"other.test,{HOST}"])
async def test_no_proxy_exempts_a_host(
    exempt: str, server_tls: ssl.SSLContext, monkeypatch: pytest.MonkeyPatch
):
    """R2.1: then the host is looked up here, and this one is not found."""
    async with proxying() as proxy:
        monkeypatch.setenv("HTTPS_PROXY", proxy.url)
        monkeypatch.setenv("NO_PROXY", exempt)
        async with make_client(f"https://{HOST}", retry=ONCE, timeout=3.0) as client:
            with pytest.raises(errors.ConnectionFailed) as caught:
                await client.vms.get("vm_1")
    assert proxy.heads == []
    assert not caught.value.maybe_applied


async def test_this_machine_is_reached_through_the_environments_proxy_over_tls(
    server_tls: ssl.SSLContext, client_tls: ssl.SSLContext, monkeypatch: pytest.MonkeyPatch
):
    """R2.1: as everything else is, unless `NO_PROXY` names it."""
    async with serving(answering((200, VM)), tls=server_tls) as server, proxying(server.port) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", proxy.url)
        for exempt, heads in (("", 1), ("localhost", 1)):
            monkeypatch.setenv("NO_PROXY", exempt)
            async with make_client(f"https://localhost:{server.port}", ssl_context=client_tls) as client:
                await client.vms.get("vm_1")
            assert len(proxy.heads) == heads


async def test_this_machine_is_never_reached_through_a_proxy_in_clear(monkeypatch: pytest.MonkeyPatch):
    """R2.1: it is the only place where a key travels so."""
    async with serving(answering((200, VM))) as server, proxying(server.port) as proxy:
        for name in ("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "ALL_PROXY"):
            monkeypatch.setenv(name, proxy.url)
        async with make_client(server) as client:
            await client.vms.get("vm_1")
    assert proxy.heads == []


@pytest.mark.parametrize(("status", "requests"), [(407, 1), (403, 1), (502, 4), (503, 4)])
async def test_a_proxy_that_refuses_is_named_and_nothing_was_applied(status: int, requests: int):
    """R3.1 (a): a proxy's overload passes, its refusal does not."""
    watcher = Watcher()
    async with (
        proxying(status=status) as proxy,
        make_client(f"https://{HOST}", proxy=proxy.url, hooks=[watcher]) as client,
    ):
        with pytest.raises(errors.ConnectionFailed) as caught:
            await client.request("POST", "/v1/things")
    assert f"the proxy refused the connection with status {status}" in str(caught.value)
    assert not caught.value.maybe_applied
    assert len(proxy.heads) == watcher.names().count("attempt") == requests


async def test_a_proxy_that_is_not_there_is_named():
    async with proxying() as proxy:
        pass
    async with make_client(f"https://{HOST}", proxy=proxy.url, retry=ONCE) as client:
        with pytest.raises(errors.ConnectionFailed, match="connecting to the proxy failed"):
            await client.vms.get("vm_1")


@pytest.mark.parametrize("value", ["socks5://127.0.0.1:1080", "http://user:se%cret@:99999999"])
async def test_a_proxy_of_the_environment_that_cannot_be_one_is_a_clear_error(
    value: str, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("HTTPS_PROXY", value)
    async with make_client(f"https://{HOST}") as client:
        with pytest.raises(errors.ConfigurationError, match="HTTPS_PROXY must be a URL") as caught:
            await client.vms.get("vm_1")
        pool = client._calls.transport.shared.session.pool()
        assert pool.running == 0
        assert pool.slots.free == PoolLimits().max_connections
    assert "cret" not in str(caught.value)


@pytest.mark.parametrize("machine", ["machine 127.0.0.1 login", "default login"])
async def test_no_netrc_entry_touches_the_authorization(
    machine: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """R2.1"""
    netrc = tmp_path / "netrc"
    netrc.write_text(f"{machine} intruder password secret\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    async with serving(answering((200, VM))) as server, make_client(server) as client:
        await client.vms.get("vm_1")
    assert server.seen[0].headers["authorization"] == f"Bearer {KEY}"


# -- TLS


async def test_a_private_authority_works_with_an_ssl_context(
    server_tls: ssl.SSLContext, client_tls: ssl.SSLContext
):
    """R2.6"""
    async with (
        serving(answering((200, VM)), tls=server_tls) as server,
        make_client(server, ssl_context=client_tls) as client,
    ):
        await asyncio.gather(*(client.vms.get("vm_1") for _ in range(5)))


async def test_a_private_authority_works_with_ssl_cert_file(
    authority: trustme.CA, server_tls: ssl.SSLContext, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """R2.6: also when it was set after aiohttp was imported."""
    bundle = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(str(bundle))
    monkeypatch.setenv("SSL_CERT_FILE", str(bundle))
    async with serving(answering((200, VM)), tls=server_tls) as server, make_client(server) as client:
        await client.vms.get("vm_1")


async def test_no_certificates_are_loaded_for_a_service_without_tls(monkeypatch: pytest.MonkeyPatch):
    """It takes longer than all else that a first call to an emulator does."""
    monkeypatch.setenv("SSL_CERT_FILE", "/nowhere/ca.pem")
    made: list[object] = []
    monkeypatch.setattr(ssl, "create_default_context", lambda: made.append(1))
    async with serving(answering((200, VM))) as server, make_client(server) as client:
        await client.vms.get("vm_1")
    assert made == []


async def test_a_certificate_that_is_not_trusted_is_said_to_be_so_at_once(server_tls: ssl.SSLContext):
    """R2.6: the next attempt would fail the same way; nothing was sent."""
    watcher = Watcher()
    async with (
        serving(answering((200, VM)), tls=server_tls) as server,
        make_client(server, hooks=[watcher]) as client,
    ):
        with pytest.raises(errors.ConnectionFailed, match="ssl_context= or SSL_CERT_FILE") as caught:
            await client.request("POST", "/v1/things")
    assert watcher.names().count("attempt") == 1
    assert not caught.value.maybe_applied
    assert server.seen == []


async def test_a_certificate_of_another_host_is_not_trusted(
    authority: trustme.CA, client_tls: ssl.SSLContext
):
    """R2.6"""
    wrong = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("elsewhere.test").configure_cert(wrong)
    async with (
        serving(answering((200, VM)), tls=wrong) as server,
        make_client(server, ssl_context=client_tls) as client,
    ):
        with pytest.raises(errors.ConnectionFailed, match="not trusted"):
            await client.vms.get("vm_1")
    assert server.seen == []


async def test_a_server_without_tls_is_a_failed_handshake():
    async def speak_http(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.write(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")
        writer.close()

    server = await asyncio.start_server(speak_http, "127.0.0.1", 0)
    url = f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    async with make_client(url, retry=ONCE) as client:
        with pytest.raises(errors.ConnectionFailed, match="the TLS handshake failed") as caught:
            await client.request("POST", "/v1/things")
    assert not caught.value.maybe_applied
    server.close()


def test_what_is_no_ssl_context_is_refused_when_it_is_given():
    with pytest.raises(errors.ConfigurationError, match=r"must be an ssl\.SSLContext, not str"):
        make_client("https://localhost", ssl_context="ca.pem")


# -- connections that wait


class Impatient:
    """A server that closes what was idle for a while, as load balancers do; the client's race is real."""

    def __init__(self, idle: float) -> None:
        self.idle = idle
        self.requests = 0
        self.connections = 0
        self.hung_up = 0

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while True:
                async with asyncio.timeout(self.idle):
                    await reader.readuntil(b"\r\n\r\n")
                self.requests += 1
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")
        except TimeoutError:
            self.hung_up += 1
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            pass
        finally:
            writer.close()


async def test_a_client_that_polls_at_any_period_sees_no_disconnects():
    """R2.4: 15 s of ours against 20 s of the server's, here a fiftieth of both."""
    scale = 50
    service = Impatient(idle=20 / scale)
    server = await asyncio.start_server(service.handle, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    periods = [1, 5, 10, 14, 14.9, 15, 15.1, 16, 19.9, 20, 20.1, 25, 40, 90]

    async def poll(period: float) -> Watcher:
        watcher = Watcher()
        async with make_client(url, limits=PoolLimits(idle=15 / scale), hooks=[watcher]) as client:
            for _ in range(2 if period < 30 else 1):
                assert await client.request("POST", "/v1/poll") == {}
                await asyncio.sleep(period / scale)
            assert await client.request("POST", "/v1/poll") == {}
        return watcher

    watchers = await asyncio.gather(*(poll(period) for period in periods))
    for watcher in watchers:
        assert set(watcher.names()) == {"attempt", "response"}
    assert service.requests == sum(watcher.names().count("attempt") for watcher in watchers)
    assert service.hung_up == 0
    server.close()


async def test_an_idle_connection_is_closed_after_its_time():
    """R2.4"""
    async with (
        serving(answering((200, VM))) as server,
        make_client(server, limits=PoolLimits(idle=0.1)) as client,
    ):
        await client.vms.get("vm_1")
        assert server.open == 1
        await until(lambda: server.open == 0)


async def test_idle_connections_may_be_kept_for_ever():
    async with (
        serving(answering((200, VM))) as server,
        make_client(server, limits=PoolLimits(idle=float("inf"))) as client,
    ):
        for _ in range(3):
            await client.vms.get("vm_1")
    assert server.connections == 1


async def test_aiohttp_does_not_send_a_request_again_by_itself():
    """R2.3: it would resend GET, PUT and DELETE where a kept connection broke, and hooks would not see it."""

    async def answer_then_break(exchange: Exchange) -> None:
        if exchange.number == 1:
            await exchange.answer(200, VM)
        else:
            exchange.close()

    watcher = Watcher()
    async with (
        serving(answer_then_break) as server,
        make_client(server, retry=ONCE, hooks=[watcher]) as client,
    ):
        await client.vms.get("vm_1")
        with pytest.raises(errors.ConnectionFailed):
            await client.vms.get("vm_1")
    assert len(server.seen) == 2
    assert watcher.names().count("attempt") == 2


async def test_aiohttp_would_send_a_request_again_if_it_were_let():
    """A guard: when this fails, aiohttp has changed, and `_retry_connection = False` may do nothing."""

    async def answer_then_break(exchange: Exchange) -> None:
        await (exchange.answer(200, VM) if exchange.number != 2 else _closed(exchange))

    async def _closed(exchange: Exchange) -> None:
        exchange.close()

    async with serving(answer_then_break) as server, aiohttp.ClientSession() as session:
        assert session._retry_connection is True
        for _ in range(2):
            async with session.get(server.url) as response:
                await response.read()
    assert len(server.seen) == 3


async def test_attempts_that_hooks_see_are_the_requests_that_the_server_sees():
    """R2.3: through resets, refusals and good answers."""

    async def fail_often(exchange: Exchange) -> None:
        match exchange.number % 4:
            case 0:
                exchange.reset()
            case 1:
                exchange.close()
            case 2:
                await exchange.answer(503, None)
            case _:
                await exchange.answer(200, VM)

    watcher = Watcher()
    async with serving(fail_often) as server, make_client(server, hooks=[watcher]) as client:
        outcomes = [await asyncio.gather(client.vms.get("vm_1"), return_exceptions=True) for _ in range(40)]
    assert len(outcomes) == 40
    assert watcher.names().count("attempt") == watcher.names().count("response") == len(server.seen)


async def test_a_thousand_views_share_one_pool():
    """R2.5: one pool, one SSL context, and a constant number of file descriptors."""

    def count() -> int:
        return len(os.listdir("/proc/self/fd"))

    async with serving(answering((200, VM))) as server, make_client(server) as client:
        session = client._calls.transport.shared.session
        await client.vms.get("vm_1")
        before = count()
        views = [client.with_options(org_id=f"org_{number}", timeout=5 + number) for number in range(1000)]
        for view in views:
            await view.vms.get("vm_1")
        assert count() <= before
        assert {id(view._calls.transport.shared.session) for view in views} == {id(session)}
        assert len(session._pools) == 1
    assert server.connections == 1


async def test_all_loops_and_views_share_one_ssl_context(
    server_tls: ssl.SSLContext, client_tls: ssl.SSLContext
):
    """R2.5"""
    async with (
        serving(answering((200, VM)), tls=server_tls) as server,
        make_client(server, ssl_context=client_tls) as client,
    ):
        views = [client.with_options(timeout=5 + number) for number in range(50)]
        await asyncio.gather(*(view.vms.get("vm_1") for view in views))
        await asyncio.to_thread(asyncio.run, client.vms.get("vm_1"))
        gc.collect()
        connectors = [one for one in gc.get_objects() if isinstance(one, aiohttp.TCPConnector)]
        assert {id(one._ssl) for one in connectors if not one.closed} == {id(client_tls)}


async def test_closing_a_view_closes_nothing():
    async with serving(answering((200, VM))) as server, make_client(server) as client:
        async with client.with_options(timeout=5) as view:
            await view.vms.get("vm_1")
        await client.vms.get("vm_1")
    assert server.connections == 1


async def test_a_host_name_is_looked_up_off_the_loop_and_seldom(monkeypatch: pytest.MonkeyPatch):
    asked: list[tuple[object, ...]] = []
    real = socket.getaddrinfo

    def slow(*arguments: Any, **options: Any) -> Any:
        asked.append(arguments)
        time.sleep(0.1)
        return real(*arguments, **options)

    async with serving(answering((200, VM))) as server:
        monkeypatch.setattr(socket, "getaddrinfo", slow)
        async with make_client(f"http://localhost:{server.port}") as client:
            ticks = 0
            calls = asyncio.gather(*(client.vms.get("vm_1") for _ in range(5)))
            while not calls.done():
                ticks += 1
                await asyncio.sleep(0.005)
            await calls
    assert len(asked) == 1
    assert ticks > 3


async def test_a_name_that_nobody_knows_is_said_to_be_so(monkeypatch: pytest.MonkeyPatch):
    def fail(*arguments: object, **options: object) -> object:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", fail)
    async with make_client("https://nowhere.test", retry=ONCE) as client:
        with pytest.raises(errors.ConnectionFailed, match="the host name cannot be resolved") as caught:
            await client.request("POST", "/v1/things")
    assert not caught.value.maybe_applied


@pytest.mark.parametrize(
    ("found", "host"),
    [
        ((socket.AF_INET, 1, 6, "", ("192.0.2.1", 443)), "192.0.2.1"),
        ((socket.AF_INET6, 1, 6, "", ("2001:db8::1", 443, 0, 0)), "2001:db8::1"),
        ((socket.AF_INET6, 1, 6, "", ("fe80::1", 443, 0, 2)), "fe80::1%2"),
    ],
)
async def test_addresses_of_every_family_are_understood(
    found: Any, host: str, monkeypatch: pytest.MonkeyPatch
):
    # The last is what a Python without IPv6 gives: left out.
    answers = [found, (socket.AF_INET6, 1, 6, "", (10, b"raw"))]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *arguments, **options: answers)
    (result,) = await OffLoopResolver().resolve("api.test", 443)
    assert (result["hostname"], result["host"], result["port"]) == ("api.test", host, 443)


# -- the end of a client


async def test_a_closed_client_refuses_calls_at_once():
    async with serving(answering((200, VM))) as server:
        client = make_client(server)
        view = client.with_options(timeout=5)
        await client.vms.get("vm_1")
        await client.aclose()
        await client.aclose()
        for closed in (client, view):
            with pytest.raises(errors.ConnectionFailed, match=r"getVm GET .*the client is closed") as caught:
                await closed.vms.get("vm_1")
            assert caught.value.attempts == 0
        await until(lambda: server.open == 0)
    assert len(server.seen) == 1


async def test_closing_a_client_ends_the_calls_under_way_without_another_attempt():
    async def stall(exchange: Exchange) -> None:
        await exchange.wait_for_client_to_leave()

    watcher = Watcher()
    async with serving(stall) as server:
        client = make_client(server, hooks=[watcher])
        task = asyncio.create_task(client.request("POST", "/v1/things"))
        read = asyncio.create_task(client.vms.get("vm_1"))
        await until(lambda: len(server.seen) == 2)
        began = time.monotonic()
        await client.aclose()
        with pytest.raises(errors.ConnectionFailed, match="the client was closed") as caught:
            await task
        assert caught.value.maybe_applied
        with pytest.raises(errors.ConnectionFailed, match="the client was closed"):
            await read
        assert time.monotonic() - began < 4
    assert watcher.names().count("attempt") == 2


async def test_draining_finishes_what_runs_and_refuses_what_is_new():
    """What a service does on SIGTERM."""
    release = asyncio.Event()

    async def hold(exchange: Exchange) -> None:
        await release.wait()
        if exchange.number == 1:
            await exchange.answer(503, None)
        else:
            await exchange.answer(200, VM)

    async with serving(hold) as server, make_client(server) as client:
        running = asyncio.create_task(client.vms.get("vm_1"))
        await until(lambda: len(server.seen) == 1)
        draining = asyncio.create_task(client.drain())
        await asyncio.sleep(0.02)
        assert not draining.done()
        with pytest.raises(errors.ConnectionFailed, match="draining"):
            await client.vms.get("vm_2")
        release.set()
        # The retry of a call that runs belongs to it.
        assert (await running).id == "vm_1"
        await asyncio.wait_for(draining, 5)
        await client.drain()
    assert len(server.seen) == 2


async def test_draining_finishes_a_call_that_first_asks_for_its_organization():
    """Its second request belongs to it, and nothing new is taken in between."""
    release = asyncio.Event()

    async def hold(exchange: Exchange) -> None:
        if exchange.seen.target == "/v1/whoami":
            await release.wait()
            await exchange.answer(200, {"organizationId": "org_1", "principalType": "api_key"})
        else:
            await exchange.answer(200, VM if exchange.seen.method == "POST" else {"items": [VM]})

    async with serving(hold) as server, AsyncClient(KEY, base_url=server.url) as client:
        calls = [client.vms.create(name="one"), client.vms.list(), client.vms.list().first()]
        running = [asyncio.ensure_future(call) for call in calls]
        await until(lambda: len(server.seen) == 1)
        draining = asyncio.create_task(client.drain())
        await asyncio.sleep(0.02)
        with pytest.raises(errors.ConnectionFailed, match="draining"):
            await client.vms.create(name="two")
        release.set()
        created, listed, first = await asyncio.gather(*running)
        await asyncio.wait_for(draining, 5)
        with pytest.raises(errors.ConnectionFailed, match="draining"):
            await client.vms.get("vm_1")
    assert created.id == listed[0].id == first.id == "vm_1"
    assert len(server.seen) == 4


async def test_draining_finishes_a_list_that_is_awaited():
    """All of its pages are one call; who reads page by page begins one with each."""
    release = asyncio.Event()

    async def pages(exchange: Exchange) -> None:
        await release.wait()
        more = {"nextCursor": str(exchange.number)} if exchange.number < 4 else {}
        await exchange.answer(200, {"items": [VM], **more})

    async with serving(pages) as server, make_client(server) as client:
        running = asyncio.ensure_future(client.vms.list())
        await until(lambda: len(server.seen) == 1)
        draining = asyncio.create_task(client.drain())
        await asyncio.sleep(0.02)
        release.set()
        assert len(await running) == 4
        await asyncio.wait_for(draining, 5)


async def test_draining_finishes_a_rotation():
    """R9.3: half of one would leave a live key behind."""
    storing, stored = asyncio.Event(), asyncio.Event()

    async def store(key: str) -> None:
        storing.set()
        await stored.wait()

    async with Emulator() as emulator, emulator.client() as client:
        rotating = asyncio.create_task(client.api_keys.rotate(store=store))
        await asyncio.wait_for(storing.wait(), 20)
        draining = asyncio.create_task(client.drain())
        await asyncio.sleep(0.02)
        assert not draining.done()
        stored.set()
        assert (await rotating).step == "done"
        await asyncio.wait_for(draining, 5)


async def test_draining_waits_for_a_download():
    halfway = asyncio.Event()
    release = asyncio.Event()

    async def slowly(exchange: Exchange) -> None:
        await exchange.send(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n12345")
        halfway.set()
        await release.wait()
        await exchange.send(b"67890")

    async with serving(slowly) as server, make_client(server) as client:
        download = asyncio.ensure_future(client.files.get_content("file_1")._read())
        await halfway.wait()
        await asyncio.sleep(0.01)
        draining = asyncio.create_task(client.drain())
        await asyncio.sleep(0.02)
        assert not draining.done()
        release.set()
        assert await download == b"1234567890"
        await asyncio.wait_for(draining, 5)


async def test_draining_waits_for_the_calls_of_other_loops():
    """R1.2"""
    release = asyncio.Event()

    async def hold(exchange: Exchange) -> None:
        await release.wait()
        await exchange.answer(200, VM)

    async with serving(hold) as server, make_client(server) as client:
        other = asyncio.create_task(asyncio.to_thread(asyncio.run, client.vms.get("vm_1")))
        await until(lambda: len(server.seen) == 1)
        draining = asyncio.create_task(client.drain())
        await asyncio.sleep(0.02)
        assert not draining.done()
        release.set()
        assert (await other).id == "vm_1"
        await asyncio.wait_for(draining, 5)
