"""Client CPU for one `vms.get`, the whole path, with 1, 64 and 512 callers at once."""

from __future__ import annotations

import asyncio
import functools
import time
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack

import aiohttp
import httpx
import openrelay
import orjson
import uvloop
from openrelay.api.vms import get_vm
from yarl import URL

from benchmarks.load_server import VM, serving
from benchmarks.measuring import OURS, Figure, compare, cores
from openrelay_async import AsyncClient

KEY = "vl_" + "0" * 40
VM_ID = str(VM["id"])
Call = Callable[[], Awaitable[object]]


async def _open_calls(url: str, stack: AsyncExitStack, *, slow_peers: bool) -> dict[str, Call]:
    """Return one call of each contender, with its client open until the stack ends."""
    headers = {"Authorization": f"Bearer {KEY}"}
    address = f"{url}/v1/vms/{VM_ID}"
    raw = await stack.enter_async_context(aiohttp.ClientSession(headers=headers))
    tuned = await stack.enter_async_context(
        aiohttp.ClientSession(
            headers=headers,
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=aiohttp.ClientTimeout(total=None),
            auto_decompress=False,
        )
    )
    prepared = URL(address, encoded=True)
    ours = await stack.enter_async_context(AsyncClient(KEY, base_url=url))

    async def call_raw() -> None:
        async with raw.get(address) as response:
            orjson.loads(await response.read())

    async def call_tuned() -> None:
        response = await tuned.get(prepared, allow_redirects=False)
        orjson.loads(await response.read())

    calls: dict[str, Call] = {
        "aiohttp + orjson, by hand": call_raw,
        "aiohttp tuned": call_tuned,
        OURS: lambda: ours.vms.get(VM_ID),
    }
    if slow_peers:
        plain = await stack.enter_async_context(httpx.AsyncClient(headers=headers))
        official = openrelay.AuthenticatedClient(base_url=url, token=KEY)
        await stack.enter_async_context(official)

        async def call_httpx() -> None:
            orjson.loads((await plain.get(address)).content)

        calls["httpx"] = call_httpx
        calls["official openrelay-sdk"] = lambda: get_vm.asyncio(VM_ID, client=official)
    return calls


async def _spend(call: Call, requests: int, callers: int) -> float:
    """Return the CPU time in µs that a request takes."""
    upcoming = iter(range(requests))

    async def work() -> None:
        for _ in upcoming:
            await call()

    began = time.process_time()
    await asyncio.gather(*[work() for _ in range(callers)])
    return (time.process_time() - began) / requests * 1e6


def _run(runner: asyncio.Runner, call: Call, requests: int, callers: int) -> float:
    return runner.run(_spend(call, requests, callers))


def _count(name: str, requests: int, callers: int) -> int:
    """Return how many requests to make: the slow ones need fewer for as good a figure."""
    is_quick = name == OURS or "aiohttp" in name
    return max(requests if is_quick else requests // 10, callers)


def measure(*, quick: bool) -> list[Figure]:
    """Measure on asyncio's loop and on uvloop."""
    rounds, requests, peers = (5, 600, False) if quick else (9, 3000, True)
    figures: list[Figure] = []
    _, server_core = cores()
    for loop_name, factory in (("asyncio", asyncio.new_event_loop), ("uvloop", uvloop.new_event_loop)):
        with serving(core=server_core) as url, asyncio.Runner(loop_factory=factory) as runner:
            stack = AsyncExitStack()
            slow_peers = peers and loop_name == "asyncio"
            calls = runner.run(_open_calls(url, stack, slow_peers=slow_peers))
            for callers in (1, 64, 512):
                figures += compare(
                    f"one vms.get, {callers} at once, {loop_name}",
                    {
                        name: functools.partial(_run, runner, call, _count(name, requests, callers), callers)
                        for name, call in calls.items()
                    },
                    baseline="aiohttp + orjson, by hand",
                    unit="µs of client CPU a request",
                    rounds=rounds,
                    targets={OURS: 1.05},
                )
            runner.run(stack.aclose())
    return figures
