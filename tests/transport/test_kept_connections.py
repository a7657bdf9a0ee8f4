"""What comes on a kept connection while it is idle is nobody's answer."""

from __future__ import annotations

import asyncio
import ssl

import aiohttp
import pytest
import trustme
from aiohttp.client_proto import ResponseHandler

from openrelay_async import AsyncClient, errors
from tests.transport.servers import KEY, ONCE, VM, Exchange, make_client, serving, until


@pytest.fixture
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """The way that requests take to aiohttp's connections: see `exchange.py`."""
    if request.param == "session":
        monkeypatch.setattr(aiohttp, "__version__", "99.0.0")


class AnsweringTwice:
    """A server that answers its first request twice, the second time when it is told to."""

    def __init__(self, status: int, body: object) -> None:
        self.again = status, body
        self.first: list[Exchange] = []

    async def __call__(self, exchange: Exchange) -> None:
        if exchange.number == 1:
            self.first.append(exchange)
            await exchange.answer(200, VM)
        else:
            await exchange.answer(422, {"error": "refused"})

    async def speak(self, client: AsyncClient) -> None:
        """Answer again; return when the client's idle connection has it."""
        status, body = self.again
        await self.first[0].answer(status, body)
        connector = client._calls.transport.shared.session.pool().connector
        ((protocol, _),) = next(iter(connector._conns.values()))
        await until(lambda: protocol.should_close)


def _tls() -> tuple[ssl.SSLContext, ssl.SSLContext]:
    authority = trustme.CA()
    server_side = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(server_side)
    client_side = ssl.create_default_context()
    authority.configure_trust(client_side)
    return server_side, client_side


@pytest.mark.parametrize("tls", [False, True], ids=["http", "https"])
@pytest.mark.parametrize("again", [(200, {"id": "x"}), (408, {"error": "idle"})], ids=["twice", "goodbye"])
@pytest.mark.parametrize("way", ["exchange", "session"], indirect=True)
@pytest.mark.usefixtures("way")
async def test_a_late_answer_is_not_taken_for_the_answer_to_the_next_request(
    again: tuple[int, object], tls: bool
):
    server_side, client_side = _tls() if tls else (None, None)
    twice = AnsweringTwice(*again)
    async with (
        serving(twice, tls=server_side) as server,
        make_client(server, retry=ONCE, ssl_context=client_side) as client,
    ):
        await client.vms.get("vm_1")
        await twice.speak(client)
        with pytest.raises(errors.Unprocessable):
            await client.request("DELETE", "/v1/vms/vm_1")
        with pytest.raises(errors.Unprocessable):
            await client.request("DELETE", "/v1/vms/vm_2")
        assert server.connections == 2
        assert [seen.target for seen in server.seen] == ["/v1/vms/vm_1", "/v1/vms/vm_1", "/v1/vms/vm_2"]


async def test_a_late_answer_is_not_the_next_one_through_a_proxy_either():
    twice = AnsweringTwice(200, {"id": "x"})
    async with (
        serving(twice) as proxy,
        AsyncClient(KEY, base_url="http://localhost:9", proxy=proxy.url, org_id="o", retry=ONCE) as client,
    ):
        await client.vms.get("vm_1")
        await twice.speak(client)
        with pytest.raises(errors.Unprocessable):
            await client.request("DELETE", "/v1/vms/vm_1")
        assert proxy.connections == 2


@pytest.mark.parametrize("way", ["exchange", "session"], indirect=True)
@pytest.mark.usefixtures("way")
async def test_what_a_server_says_as_soon_as_it_is_connected_is_its_answer():
    """It is full, and reads nothing: connecting again and again would not help it."""
    connections = 0

    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        writer.write(b"HTTP/1.1 503 Full\r\nContent-Length: 0\r\n\r\n")
        await reader.read()
        writer.close()

    server = await asyncio.start_server(refuse, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    async with server, make_client(url, retry=ONCE) as client:
        with pytest.raises(errors.Unavailable):
            await client.vms.get("vm_1")
    assert connections == 1


async def test_a_connection_has_a_parser_once_it_was_used():
    """A guard: `PoolConnector` tells new connections from kept ones by it."""
    protocol = ResponseHandler(asyncio.get_running_loop())
    assert protocol._parser is None
    assert not protocol.should_close
    protocol.set_response_params()
    assert protocol._parser is not None
    assert not protocol.should_close
