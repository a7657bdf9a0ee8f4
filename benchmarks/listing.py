"""Listing many VMs page by page: CPU an item against aiohttp and the same models by hand, and peak memory."""

from __future__ import annotations

import asyncio
import functools
import gc
import time
import tracemalloc
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import AsyncExitStack

import aiohttp
import openrelay
import orjson
from openrelay.api.vms import list_org_vms

from benchmarks.load_server import serving
from benchmarks.measuring import Figure, Point, compare, take_turns
from benchmarks.peers import BY_HAND, HEADERS, KEY, OFFICIAL, OURS
from benchmarks.targets import at_most
from openrelay_async import AsyncClient
from openrelay_async.models import VmSummary
from openrelay_async.structuring import structure_list

WHOLE_PAGE = 1000
OTHER_PAGES = (10, 100)
List = Callable[[int], AsyncIterator[object]]
"""Gives every item, in pages of so many."""
Measured = Callable[..., Coroutine[object, object, float]]


async def _open_lists(url: str, stack: AsyncExitStack) -> dict[str, List]:
    session = await stack.enter_async_context(aiohttp.ClientSession(headers=HEADERS))
    client = await stack.enter_async_context(AsyncClient(KEY, base_url=url, org_id="org_1"))
    official = openrelay.AuthenticatedClient(base_url=url, token=KEY)
    await stack.enter_async_context(official)
    address = f"{url}/v1/orgs/org_1/vms"

    async def list_by_hand(size: int) -> AsyncIterator[object]:
        cursor = ""
        while True:
            query = {"limit": str(size), **({"cursor": cursor} if cursor else {})}
            async with session.get(address, params=query) as response:
                body = orjson.loads(await response.read())
            for item in structure_list(body["items"], VmSummary):
                yield item
            cursor = body["nextCursor"]
            if not cursor:
                return

    async def list_officially(size: int) -> AsyncIterator[object]:
        cursor = openrelay.types.UNSET
        while True:
            answer = await list_org_vms.asyncio("org_1", client=official, limit=size, cursor=cursor)
            for item in answer.items:
                yield item
            cursor = answer.next_cursor
            if not cursor:
                return

    return {
        BY_HAND: list_by_hand,
        OURS: lambda size: aiter(client.vms.list(page_size=size)),
        OFFICIAL: list_officially,
    }


async def _spend(list_items: List, size: int, total: int) -> float:
    """Return the CPU time in µs that an item takes."""
    seen = 0
    began = time.process_time()
    async for _ in list_items(size):
        seen += 1
    spent = time.process_time() - began
    if seen != total:
        raise RuntimeError(f"listed {seen} of {total}")
    return spent / total * 1e6


async def _peak(list_items: List) -> float:
    """Return the most memory in MiB that listing held at a time."""
    gc.collect()
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        async for _ in list_items(WHOLE_PAGE):
            pass
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    return (peak - before) / 2**20


def _measure_pages_of(size: int, *, pages: int, rounds: int, has_official: bool) -> list[Figure]:
    total = size * pages
    with serving(total=total) as url, asyncio.Runner() as runner:
        stack = AsyncExitStack()
        lists = runner.run(_open_lists(url, stack))
        runs = {
            name: functools.partial(_run, runner, _spend, list_items, size, total)
            for name, list_items in lists.items()
        }
        if not has_official:
            del runs[OFFICIAL]
        figures = compare(
            f"listing {total:,} VMs in pages of {size:,}",
            take_turns(runs, rounds=rounds),
            unit="µs of client CPU an item",
            baseline=BY_HAND,
            # What a small page costs is mostly the request, which has its own target.
            targets={OURS: [at_most(1.15, times=BY_HAND)]} if size == WHOLE_PAGE else {},
            point=Point("page size, whole list", size),
        )
        runner.run(stack.aclose())
    return figures


def _run(runner: asyncio.Runner, measured: Measured, list_items: List, *arguments: int) -> float:
    return runner.run(measured(list_items, *arguments))


def _measure_peaks(pages: int) -> list[Figure]:
    """Compare what listing holds at a time with what reading one page takes.

    orjson alone takes 15 times the text while it reads it: a page is measured, not computed.
    """
    peaks: dict[str, list[float]] = {}
    for count in (1, pages):
        with serving(total=count * WHOLE_PAGE) as url, asyncio.Runner() as runner:
            stack = AsyncExitStack()
            lists = runner.run(_open_lists(url, stack))
            for name in (BY_HAND, OURS):
                runner.run(_peak(lists[name]))  # opens the connection
                peaks[f"{name}, {count} page{'s'[: count > 1]}"] = [runner.run(_peak(lists[name]))]
            runner.run(stack.aclose())
    one_page = f"{OURS}, 1 page"
    return compare(
        "peak memory while listing",
        peaks,
        unit="MiB",
        baseline=one_page,
        targets={f"{OURS}, {pages} pages": [at_most(3, times=one_page)]},
    )


def measure(*, quick: bool) -> list[Figure]:
    """Measure CPU an item for pages of 1,000 and smaller ones, and peak memory over many pages."""
    rounds, pages = (4, 10) if quick else (7, 50)
    return [
        figure
        for size in (*OTHER_PAGES, WHOLE_PAGE)
        for figure in _measure_pages_of(size, pages=pages, rounds=rounds, has_official=not quick)
    ] + _measure_peaks(pages)
