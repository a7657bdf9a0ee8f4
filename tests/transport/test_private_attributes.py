"""Guards of what this library uses of asyncio and aiohttp without a promise of theirs."""

from __future__ import annotations

import asyncio
import gc
import ssl
import sys
import threading
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from queue import Queue

import aiohttp
import pytest
import trustme

from openrelay_async.connector import AttemptState, PoolConnector, count_unsent, current_attempt
from tests.transport.servers import VM, Exchange, answering, make_client, serving, until


async def _connection_of(
    url: str, context: ssl.SSLContext | None = None
) -> tuple[PoolConnector, aiohttp.ClientSession]:
    """Return a connector with one idle connection."""
    connector = PoolConnector(ssl=True if context is None else context)
    session = aiohttp.ClientSession(connector=connector)
    current_attempt.set(AttemptState())
    async with session.get(url) as response:
        await response.read()
    return connector, session


async def test_a_connector_has_its_idle_and_its_busy_connections_where_they_are_looked_for():
    async def hold_the_second(exchange: Exchange) -> None:
        if exchange.number == 1:
            await exchange.answer(200, VM)
        else:
            await exchange.send(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n12345")

    async with serving(hold_the_second) as server:
        connector, session = await _connection_of(server.url)
        ((protocol, since),) = next(iter(connector._conns.values()))
        assert isinstance(protocol.transport, asyncio.Transport)
        assert isinstance(since, float)
        assert connector._acquired == set()
        response = await session.get(server.url)
        assert next(iter(connector._acquired)).transport is not None
        response.close()
        assert connector._closed is False
        assert connector.closed is False
        await session.close()
        assert connector._closed is True


async def test_the_socket_of_a_transport_is_where_it_is_looked_for():
    async with serving(answering((200, VM))) as server:
        connector, session = await _connection_of(server.url)
        ((protocol, _),) = next(iter(connector._conns.values()))
        assert protocol.transport._sock.fileno() >= 0
        assert protocol.transport.get_extra_info("socket").fileno() == protocol.transport._sock.fileno()
        await session.close()


async def test_the_socket_below_tls_is_where_it_is_looked_for():
    authority = trustme.CA()
    server_side = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(server_side)
    client_side = ssl.create_default_context()
    authority.configure_trust(client_side)
    async with serving(answering((200, VM)), tls=server_side) as server:
        connector, session = await _connection_of(server.url, client_side)
        ((protocol, _),) = next(iter(connector._conns.values()))
        transport = protocol.transport
        assert transport._closed is False
        assert transport._ssl_protocol._transport._sock.fileno() >= 0
        await session.close()


@contextmanager
def serving_in_a_thread(context: ssl.SSLContext | None) -> Iterator[str]:
    """A server with a loop of its own."""
    address: Queue[str] = Queue()
    loop = asyncio.new_event_loop()
    stop = asyncio.Event()

    async def serve() -> None:
        async with serving(answering((200, VM)), tls=context) as server:
            address.put(server.url)
            await stop.wait()
            await until(lambda: server.open == 0)

    with asyncio.Runner(loop_factory=lambda: loop) as runner:
        thread = threading.Thread(target=runner.run, args=(serve(),))
        thread.start()
        try:
            yield address.get(timeout=5)
        finally:
            loop.call_soon_threadsafe(stop.set)
            thread.join(10)


@pytest.mark.parametrize("tls", [False, True])
def test_abandoned_connections_are_closed_and_silent(tls: bool):
    """Their loop is gone: no I/O on it, no open socket, no warning when they are collected."""
    server_side, client_side = None, None
    if tls:
        authority = trustme.CA()
        server_side = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert("localhost").configure_cert(server_side)
        client_side = ssl.create_default_context()
        authority.configure_trust(client_side)
    with serving_in_a_thread(server_side) as url:
        loop = asyncio.new_event_loop()
        connector, session = loop.run_until_complete(_connection_of(url, client_side))
        ((protocol, _),) = next(iter(connector._conns.values()))
        own_socket = protocol.transport.get_extra_info("socket")._sock
        del protocol
        loop.close()
        assert own_socket.fileno() >= 0
        session.detach()
        connector.abandon()
        assert own_socket.fileno() == -1
        del connector, session
        gc.collect()


async def test_a_loop_takes_a_pool_for_one_of_its_generators():
    """`shutdown_asyncgens` awaits the `aclose()` of what the hook was told of, whatever it is."""
    closed = []

    class Stand:
        async def aclose(self) -> None:
            closed.append(self)

    stand = Stand()
    firstiter = sys.get_asyncgen_hooks().firstiter
    assert firstiter is not None
    firstiter(stand)  # type: ignore[arg-type]
    loop = asyncio.get_running_loop()
    assert stand in loop._asyncgens  # type: ignore[attr-defined]
    loop._asyncgens.discard(stand)  # type: ignore[attr-defined]


@pytest.mark.parametrize("kind", ["asyncio", "uvloop"])
def test_a_loop_drops_its_timers_when_it_is_closed(kind: str):
    """This is how a pool learns that its loop was closed without notice."""
    if kind == "uvloop":
        uvloop = pytest.importorskip("uvloop")
        loop = uvloop.new_event_loop()
    else:
        loop = asyncio.new_event_loop()

    class Thing:
        pass

    thing = Thing()
    seen = weakref.ref(thing)
    weakref.ref(loop.call_later(60, print, thing))
    del thing
    gc.collect()
    assert seen() is not None
    loop.close()
    gc.collect()
    assert seen() is None
    assert loop.is_closed()


@pytest.mark.skipif(sys.platform == "win32", reason="the system does not tell")
async def test_the_system_tells_what_it_has_not_sent_yet():
    async def read_nothing(exchange: Exchange) -> None:
        await asyncio.sleep(30)

    async with serving(read_nothing, reads_body=False, receive_buffer=4096) as server:
        _, writer = await asyncio.open_connection("127.0.0.1", server.port)
        assert count_unsent(writer.transport) == 0
        writer.write(b"x" * 10_000_000)
        assert count_unsent(writer.transport) > 100_000
        writer.transport.abort()
        await asyncio.sleep(0)
        assert count_unsent(writer.transport) == 0


async def test_every_attempt_is_known_to_the_connector():
    """The context variable is how the connector knows for whom it works."""
    async with serving(answering((200, VM))) as server, make_client(server) as client:
        await asyncio.gather(*(client.vms.get("vm_1") for _ in range(5)))
        with pytest.raises(LookupError):
            current_attempt.get()
