"""The short way of a request (`exchange.py`): what it sends, when it is taken, and what ends it."""

from __future__ import annotations

import asyncio
from typing import Any

import aiohttp
import pytest
from aioresponses import aioresponses

from openrelay_async import AsyncClient, errors
from openrelay_async.exchange import TRIED_VERSIONS, is_replaced
from tests.transport.servers import ONCE, VM, Exchange, Seen, answering, make_client, serving

NO_ANSWER: dict[str, Any] = {"response": None}


class SessionWays:
    """Counts the requests that go through aiohttp's session."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.taken = 0
        own = aiohttp.ClientSession._request

        async def request(session: aiohttp.ClientSession, *arguments: Any, **settings: Any) -> Any:
            self.taken += 1
            return await own(session, *arguments, **settings)

        self.put = lambda: monkeypatch.setattr(aiohttp.ClientSession, "_request", request)


async def _make_all_kinds_of_requests(client: AsyncClient) -> None:
    await client.vms.get("vm_1")
    await client.vms.get("a/b ü?")
    await client.request("GET", "/v1/vms", params={"q": "a b&c=ü", "limit": 5})
    await client.request("POST", "/v1/things", json={"name": "ü", "size": 3}, headers={"X-Own": "1"})
    await client.request("POST", "/v1/things")
    await client.request("DELETE", "/v1/things/1")
    await client.vms.create(name="box", idempotency_key="the-same-key")


async def _seen_by_a_server(path: str = "") -> list[Seen]:
    async with (
        serving(answering((200, VM))) as server,
        make_client(
            f"{server.url}{path}", default_headers={"X-Team": "blue"}, app_name="trainer/1"
        ) as client,
    ):
        await _make_all_kinds_of_requests(client)
        return server.seen


@pytest.mark.parametrize("path", ["", "/gateway/openrelay"])
async def test_a_request_is_the_same_on_both_ways(path: str, monkeypatch: pytest.MonkeyPatch):
    short = await _seen_by_a_server(path)
    ways = SessionWays(monkeypatch)
    ways.put()
    long = await _seen_by_a_server(path)
    assert ways.taken == len(long) == len(short)

    def told(seen: Seen) -> tuple[object, ...]:
        headers = {name: value for name, value in seen.headers.items() if name != "host"}
        return seen.method, seen.target, headers, seen.body

    assert [told(seen) for seen in short] == [told(seen) for seen in long]
    assert all(seen.headers["host"].startswith("127.0.0.1:") for seen in (*short, *long))


async def test_a_plain_request_does_not_pass_the_session():
    """What makes it cheap. The session's own method is replaced only where the test below says so."""
    asked: list[object] = []

    class Traced(aiohttp.TraceConfig):
        pass

    async with serving(answering((200, VM))) as server, make_client(server) as client:
        await client.vms.get("vm_1")
        pool = client._calls.transport.shared.session.pool()
        tracer = Traced()

        async def note(_: object, __: object, params: object) -> None:
            asked.append(params)

        tracer.on_request_start.append(note)
        tracer.freeze()
        pool.session._trace_configs.append(tracer)
        assert asked == []
        await client.vms.get("vm_1")
        assert len(asked) == 1, "a tracer sees the requests of its session"


@pytest.mark.parametrize("name", ["_request", "request"])
def test_what_stands_in_the_place_of_a_method_is_recognized(name: str, monkeypatch: pytest.MonkeyPatch):
    assert not is_replaced(getattr(aiohttp.ClientSession, name))
    monkeypatch.setattr(aiohttp.ClientSession, name, lambda *_: NO_ANSWER)
    assert is_replaced(getattr(aiohttp.ClientSession, name))
    monkeypatch.undo()
    assert not is_replaced(getattr(aiohttp.ClientSession, name))
    with aioresponses():  # its answers to operations are in tests/operations
        assert is_replaced(aiohttp.ClientSession._request)


async def test_a_version_of_aiohttp_that_was_not_tried_goes_the_long_way(monkeypatch: pytest.MonkeyPatch):
    assert aiohttp.__version__.startswith(TRIED_VERSIONS), "try it (this file, benchmarks), then add it"
    monkeypatch.setattr(aiohttp, "__version__", "99.0.0")
    async with serving(answering((200, VM))) as server, make_client(server) as client:
        await client.vms.get("vm_1")
        exchange = client._calls.transport.shared.session.pool().exchange
        assert exchange._origins == {}


async def test_early_hints_are_not_the_answer():
    async def hint_first(exchange: Exchange) -> None:
        await exchange.send(b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n")
        await exchange.answer(200, VM)

    async with serving(hint_first) as server, make_client(server) as client:
        assert (await client.vms.get("vm_1")).id == "vm_1"
        assert (await client.vms.get("vm_1")).id == "vm_1"
        assert server.connections == 1


async def test_an_answer_that_changes_the_protocol_is_refused_and_its_connection_not_used_again():
    async def switch(exchange: Exchange) -> None:
        if exchange.number == 1:
            await exchange.send(b"HTTP/1.1 101 Switching\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\nabc")
            await exchange.wait_for_client_to_leave()
        else:
            await exchange.answer(200, VM)

    async with serving(switch) as server, make_client(server, retry=ONCE) as client:
        with pytest.raises(errors.OpenRelayError):
            await client.vms.get("vm_1")
        assert (await client.vms.get("vm_1")).id == "vm_1"
        assert server.connections == 2


async def test_a_refusal_that_comes_before_the_body_was_read_is_the_answer():
    """A server that has enough of a large body answers and reads no more: waiting to send all would hang.

    Nor is the next request sent on that connection, behind a rest that nobody reads.
    """

    async def refuse_large(exchange: Exchange) -> None:
        if "content-length" in exchange.seen.headers:
            await exchange.answer(413, {"error": "too large"})
            await asyncio.sleep(30)
        await exchange.answer(200, VM)

    async with (
        serving(refuse_large, reads_body=False, receive_buffer=4096) as server,
        make_client(server, retry=ONCE, attempt_timeout=10) as client,
    ):
        with pytest.raises(errors.PayloadTooLarge):
            await client.request("POST", "/v1/things", json={"text": "x" * 8_000_000})
        assert (await client.vms.get("vm_1")).id == "vm_1"
        assert server.connections == 2


async def test_the_head_of_something_large_has_no_body():
    async def answer_head(exchange: Exchange) -> None:
        await exchange.send(b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n")

    async with serving(answer_head) as server, make_client(server) as client:
        assert (await client.request("HEAD", "/v1/things")) is None
        assert (await client.request("HEAD", "/v1/things")) is None
        assert server.connections == 1


@pytest.mark.parametrize("closes", [True, False])
async def test_a_connection_is_kept_unless_the_server_says_otherwise(closes: bool):
    headers = {"Connection": "close"} if closes else {}
    async with serving(answering((200, VM, headers))) as server, make_client(server) as client:
        for _ in range(3):
            await client.vms.get("vm_1")
        assert server.connections == (3 if closes else 1)


async def test_a_call_that_is_cancelled_takes_its_connection_with_it():
    async def stall_first(exchange: Exchange) -> None:
        if exchange.number == 1:
            await exchange.wait_for_client_to_leave()
        else:
            await exchange.answer(200, VM)

    async with serving(stall_first) as server, make_client(server) as client:
        running = asyncio.create_task(client.vms.get("vm_1"))
        async with asyncio.timeout(5):
            while not server.seen:
                await asyncio.sleep(0.001)
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
        assert (await client.vms.get("vm_1")).id == "vm_1"
        assert server.connections == 2
