"""Thousands of waits are a few list calls."""

from __future__ import annotations

import asyncio

import pytest

from openrelay_async import AsyncClient
from openrelay_async.emulator import TurnedClock
from tests.performance.canned_answers import LISTED

KEY = "vl_0123456789abcdefghijklmnop"
IDS = [f"vm_{number:016x}" for number in range(LISTED)]


class Ticks:
    """Remembers the requests of each look."""

    def __init__(self) -> None:
        self.requests: list[int] = []
        self._came = asyncio.Event()

    def on_wait_tick(self, tick) -> None:
        self.requests.append(tick.requests)
        self._came.set()

    async def wait_for(self, count: int) -> None:
        async with asyncio.timeout(30):
            while len(self.requests) < count:
                self._came.clear()
                await self._came.wait()


@pytest.mark.parametrize("style", ["wait", "wait_all"])
async def test_a_tick_of_many_waits_reads_each_page_of_their_list_once(server_url, style):
    """2,500 of them: three list calls, and no single read."""
    ticks = Ticks()
    clock = TurnedClock().jumping()
    async with AsyncClient(KEY, base_url=server_url, org_id="org_1", clock=clock, hooks=[ticks]) as client:
        if style == "wait":
            waits = [asyncio.ensure_future(client.vms.wait(vm_id, until="stopped")) for vm_id in IDS]
        else:
            waits = [asyncio.ensure_future(client.vms.wait_all(IDS, until="stopped"))]
        await ticks.wait_for(4)
        for wait in waits:
            wait.cancel()
        await asyncio.gather(*waits, return_exceptions=True)
    assert ticks.requests[:4] == [3, 3, 3, 3]
