"""What a finished call needed and left behind: tasks, and objects for the garbage collector."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from contextlib import contextmanager

import pytest

from openrelay_async import AsyncClient
from openrelay_sync import Client

KEY = "vl_0123456789abcdefghijklmnop"
CALLS = 200
Call = Callable[[AsyncClient], Awaitable[object]]


class TaskCounter:
    """A task factory that remembers what it was asked for."""

    def __init__(self) -> None:
        self.made: list[str] = []

    def __call__(
        self, loop: asyncio.AbstractEventLoop, coroutine: Coroutine[object, object, object], **options: object
    ) -> asyncio.Task[object]:
        self.made.append(coroutine.__qualname__)
        return asyncio.Task(coroutine, loop=loop, **options)

    def on_attempt(self, event: object) -> None:
        """Take over the loop of a sync client, which nobody else gets at."""
        asyncio.get_running_loop().set_task_factory(self)


@contextmanager
def paused_collector() -> Iterator[None]:
    """Keep what only the garbage collector would free."""
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def get(client: AsyncClient) -> Awaitable[object]:
    return client.vms.get("vm_1")


def read_pages(client: AsyncClient) -> Awaitable[object]:
    return client.vms.list(page_size=20, max_items=60)


@pytest.mark.parametrize("call", [get, read_pages])
async def test_a_call_creates_no_task(server_url: str, call: Call) -> None:
    """A task costs 6 µs, and hides who called from a traceback: not even the first call needs one."""
    tasks, loop = TaskCounter(), asyncio.get_running_loop()
    async with AsyncClient(KEY, base_url=server_url, org_id="org_1") as client:
        loop.set_task_factory(tasks)
        try:
            for _ in range(5):
                await call(client)
        finally:
            loop.set_task_factory(None)
    assert tasks.made == []


def test_a_sync_call_needs_one_task_at_most(server_url: str) -> None:
    tasks = TaskCounter()
    with Client(KEY, base_url=server_url, org_id="org_1", hooks=[tasks]) as client:
        client.vms.get("vm_1")
        tasks.made.clear()
        for _ in range(5):
            client.vms.get("vm_1")
        assert len(tasks.made) <= 5


@pytest.mark.parametrize("call", [get, read_pages])
async def test_a_finished_call_leaves_nothing_behind(server_url: str, call: Call) -> None:
    """Not even what waits for the garbage collector: objects that refer to each other in a circle."""
    async with AsyncClient(KEY, base_url=server_url, org_id="org_1") as client:
        for _ in range(50):
            await call(client)
        with paused_collector():
            before = len(gc.get_objects())
            for _ in range(CALLS):
                await call(client)
            left = len(gc.get_objects()) - before
    assert left < CALLS / 2


def test_a_finished_sync_call_leaves_nothing_behind(server_url: str) -> None:
    with Client(KEY, base_url=server_url, org_id="org_1") as client:
        for _ in range(50):
            client.vms.get("vm_1")
        with paused_collector():
            before = len(gc.get_objects())
            for _ in range(CALLS):
                client.vms.get("vm_1")
            left = len(gc.get_objects()) - before
    assert left < CALLS / 2
