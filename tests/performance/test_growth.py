"""A call is as much work among thousands as among a few: counted in steps of Python, not timed."""

from __future__ import annotations

import asyncio
import sys
from types import FrameType

from openrelay_async import AsyncClient

KEY = "vl_0123456789abcdefghijklmnop"


class StepCounter:
    """Counts each function that is entered in this thread, and each coroutine or generator that goes on."""

    def __init__(self) -> None:
        self.steps = 0

    def __call__(self, frame: FrameType, event: str, argument: object) -> None:
        self.steps += event == "call"

    def __enter__(self) -> StepCounter:
        sys.setprofile(self)
        return self

    def __exit__(self, *exc_info: object) -> None:
        sys.setprofile(None)


async def count_steps(client: AsyncClient, callers: int) -> float:
    """Return the steps of each of so many calls at once."""
    with StepCounter() as counter:
        await asyncio.gather(*(client.vms.get("vm_1") for _ in range(callers)))
    return counter.steps / callers


async def test_a_call_takes_as_many_steps_among_2000_as_among_200(server_url: str) -> None:
    """Most of both wait for one of 100 connections: what looks at all who wait would show."""
    async with AsyncClient(KEY, base_url=server_url, timeout=60) as client:
        await count_steps(client, 200)
        few = await count_steps(client, 200)
        many = await count_steps(client, 2_000)
    assert many <= 1.1 * few


async def test_the_2000th_call_takes_as_many_steps_as_the_first(server_url: str) -> None:
    async with AsyncClient(KEY, base_url=server_url) as client:
        await client.vms.get("vm_1")
        first = await count_steps(client, 1)
        for _ in range(2_000):
            await client.vms.get("vm_1")
        last = await count_steps(client, 1)
    assert last <= 1.1 * first
