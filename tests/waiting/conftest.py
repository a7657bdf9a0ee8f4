"""An emulator on a turned clock, and a client whose sleeps turn it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Protocol

import pytest

from openrelay_async import AsyncClient
from openrelay_async.emulator import Emulator, TurnedClock
from openrelay_async.models import VmSummary


@pytest.fixture
def clock() -> TurnedClock:
    return TurnedClock()


@pytest.fixture
async def emulator(clock: TurnedClock) -> AsyncIterator[Emulator]:
    async with Emulator(clock=clock, fleet={"rtx-4090": 2_000}) as emulator:
        yield emulator


@pytest.fixture
async def client(emulator: Emulator, clock: TurnedClock) -> AsyncIterator[AsyncClient]:
    async with emulator.client(clock=clock.jumping()) as client:
        yield client


class MakeVms(Protocol):
    async def __call__(self, count: int) -> list[VmSummary]: ...


@pytest.fixture
def make_vms(client: AsyncClient) -> MakeVms:
    async def make(count: int) -> list[VmSummary]:
        orders = (
            client.vms.create(name=f"vm-{number}", gpu_model_id="rtx-4090", gpu_count=1)
            for number in range(count)
        )
        return list(await asyncio.gather(*orders))

    return make


ListPolls = Callable[[], list[str]]


@pytest.fixture
def list_polls() -> ListPolls:
    """Names the coroutines of the running loop's tasks that poll."""

    def find() -> list[str]:
        names = [getattr(task.get_coro(), "__qualname__", "") for task in asyncio.all_tasks()]
        return [name for name in names if "Poller" in name or "SingleReads" in name]

    return find


Until = Callable[[Callable[[], object]], Awaitable[None]]


@pytest.fixture
def until() -> Until:
    """Waits for a condition in real time, with a limit."""

    async def wait(condition: Callable[[], object]) -> None:
        async with asyncio.timeout(30):
            while not condition():
                await asyncio.sleep(0.002)

    return wait
