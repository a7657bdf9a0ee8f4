"""Who is compared: the same `vms.get` as each client's users write it, with its client open."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager, contextmanager

import aiohttp
import httpx
import openrelay
import orjson
import requests
from openrelay.api.vms import get_vm
from yarl import URL

from benchmarks.load_server import VM
from openrelay_async import AsyncClient
from openrelay_sync import Client

OURS = "openrelay_async"
OURS_SYNC = "openrelay_sync"
BY_HAND = "aiohttp + orjson, by hand"
JSON_LOADS = "aiohttp + json.loads, by hand"
TUNED = "aiohttp tuned"
SEMAPHORE = "aiohttp behind a semaphore"
HTTPX = "httpx"
REQUESTS = "requests"
OFFICIAL = "official openrelay-sdk"
OFFICIAL_WITHOUT_SNIFFIO = "official, no sniffio"

KEY = "vl_" + "0" * 40
HEADERS = {"Authorization": f"Bearer {KEY}"}
VM_ID = str(VM["id"])
CONNECTIONS = 100
"""Aiohttp's default limit, and ours."""

Call = Callable[[], Awaitable[object]]
SyncCall = Callable[[], object]


@asynccontextmanager
async def open_calls(url: str, names: tuple[str, ...]) -> AsyncIterator[dict[str, Call]]:
    """Yield one call of each named contender."""
    async with AsyncExitStack() as stack:
        yield {name: await _OPENERS[name](f"{url}/v1/vms/{VM_ID}", url, stack) for name in names}


async def _open_by_hand(address: str, url: str, stack: AsyncExitStack) -> Call:
    session = await stack.enter_async_context(aiohttp.ClientSession(headers=HEADERS))

    async def call() -> None:
        async with session.get(address) as response:
            orjson.loads(await response.read())

    return call


async def _open_json_loads(address: str, url: str, stack: AsyncExitStack) -> Call:
    session = await stack.enter_async_context(aiohttp.ClientSession(headers=HEADERS))

    async def call() -> None:
        async with session.get(address) as response:
            json.loads(await response.read())

    return call


async def _open_tuned(address: str, url: str, stack: AsyncExitStack) -> Call:
    session = await stack.enter_async_context(
        aiohttp.ClientSession(
            headers=HEADERS,
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=aiohttp.ClientTimeout(total=None),
            auto_decompress=False,
        )
    )
    prepared = URL(address, encoded=True)

    async def call() -> None:
        response = await session.get(prepared, allow_redirects=False)
        orjson.loads(await response.read())

    return call


async def _open_semaphore(address: str, url: str, stack: AsyncExitStack) -> Call:
    slots = asyncio.Semaphore(CONNECTIONS)
    session = await stack.enter_async_context(aiohttp.ClientSession(headers=HEADERS))

    async def call() -> None:
        async with slots, session.get(address) as response:
            orjson.loads(await response.read())

    return call


async def _open_ours(address: str, url: str, stack: AsyncExitStack) -> Call:
    client = await stack.enter_async_context(AsyncClient(KEY, base_url=url))
    return lambda: client.vms.get(VM_ID)


async def _open_httpx(address: str, url: str, stack: AsyncExitStack) -> Call:
    # Its own limit of 5 s, queue included, would strike with 512 callers.
    client = await stack.enter_async_context(httpx.AsyncClient(headers=HEADERS, timeout=None))

    async def call() -> None:
        orjson.loads((await client.get(address)).content)

    return call


async def _open_official(address: str, url: str, stack: AsyncExitStack) -> Call:
    client = openrelay.AuthenticatedClient(base_url=url, token=KEY)
    await stack.enter_async_context(client)
    return lambda: get_vm.asyncio(VM_ID, client=client)


_OPENERS: dict[str, Callable[[str, str, AsyncExitStack], Awaitable[Call]]] = {
    BY_HAND: _open_by_hand,
    JSON_LOADS: _open_json_loads,
    TUNED: _open_tuned,
    SEMAPHORE: _open_semaphore,
    OURS: _open_ours,
    HTTPX: _open_httpx,
    OFFICIAL: _open_official,
    OFFICIAL_WITHOUT_SNIFFIO: _open_official,
}


@contextmanager
def open_sync_calls(url: str) -> Iterator[dict[str, SyncCall]]:
    """Yield one call of each sync contender."""
    address = f"{url}/v1/vms/{VM_ID}"
    with ExitStack() as stack:
        client = stack.enter_context(Client(KEY, base_url=url))
        official = stack.enter_context(openrelay.AuthenticatedClient(base_url=url, token=KEY))
        session = stack.enter_context(requests.Session())
        session.headers.update(HEADERS)
        plain = stack.enter_context(httpx.Client(headers=HEADERS, timeout=None))
        yield {
            OFFICIAL: lambda: get_vm.sync(VM_ID, client=official),
            OURS_SYNC: lambda: client.vms.get(VM_ID),
            REQUESTS: lambda: orjson.loads(session.get(address).content),
            HTTPX: lambda: orjson.loads(plain.get(address).content),
        }
