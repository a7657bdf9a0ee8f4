"""Leases of a client that closes: nothing is left running, and no block fails for it."""

from __future__ import annotations

import asyncio
import os
import threading
from collections import Counter

import pytest

from openrelay_async import errors, lease
from openrelay_async.emulator import Emulator, Fault

VM = {"name": "job", "gpu_model_id": "rtx-4090", "gpu_count": 1}


async def statuses(emulator) -> list[str]:
    async with emulator.client() as client:
        return [vm.status for vm in await client.vms.list()]


async def begin(client) -> tuple[asyncio.Task[str], asyncio.Event]:
    """Return the task of a lease that was entered, and what ends its block."""
    inside, over = asyncio.Event(), asyncio.Event()

    async def hold() -> str:
        async with client.vms.lease(**VM) as vm:
            inside.set()
            await over.wait()
            return vm.id

    task = asyncio.ensure_future(hold())
    await inside.wait()
    return task, over


async def test_a_client_that_closes_ends_what_its_leases_hold(emulator, clock):
    """R5.8: one job of several fails, and so does the client's block."""
    with pytest.raises(ValueError, match="a mistake"):  # noqa: PT012 - the block is what is tested
        async with emulator.client(clock=clock.jumping()) as client:
            begun = [await begin(client) for _ in range(3)]
            raise ValueError("a mistake")
    assert await statuses(emulator) == ["terminated"] * 3
    for task, over in begun:
        over.set()
        assert (await task).startswith("vm_")


async def test_a_client_that_drains_and_then_closes_ends_them_too(emulator, client):
    task, over = await begin(client)
    await client.drain()
    await client.aclose()
    assert await statuses(emulator) == ["terminated"]
    over.set()
    await task


async def test_a_client_that_is_closed_in_the_block_ends_the_lease_and_the_block_goes_on(emulator, client):
    async with client.vms.lease(**VM):
        await client.aclose()
        assert await statuses(emulator) == ["terminated"]


async def test_a_view_that_closes_ends_nothing(emulator, client):
    task, over = await begin(client)
    await client.with_options(timeout=5).aclose()
    assert await statuses(emulator) == ["running"]
    over.set()
    await task


async def test_what_is_being_created_is_waited_for_and_ended(emulator, clock):
    """The create has taken effect, and is answered when the client has begun to close."""
    emulator.faults.add(Fault(operation="createVm", body="slow", delay=30.0))
    client = emulator.client()  # on its own clock: nobody turns the emulator's, so there is no answer yet
    task = asyncio.ensure_future(enter(client))
    while not await statuses(emulator):
        await asyncio.sleep(0.01)
    closing = asyncio.ensure_future(client.aclose())
    await asyncio.sleep(0)
    while not closing.done():
        clock.advance(1.0)
        await asyncio.sleep(0.01)
    await closing
    assert await statuses(emulator) == ["terminated"]
    with pytest.raises(errors.OpenRelayError, match="the client is closed"):
        await task


async def enter(client) -> None:
    async with client.vms.lease(**VM):
        pytest.fail("the block must not begin")


async def test_what_cannot_be_terminated_is_named_by_the_close(emulator, client):
    begun = [await begin(client) for _ in range(2)]
    emulator.faults.add(Fault(operation="terminateVm", times=None, status=403))
    with pytest.raises(errors.LeaseError, match="may still run") as caught:
        await client.aclose()
    told = Counter([caught.value.resource_id, caught.value.__notes__[0].split("the VM ")[1].split()[0]])
    for task, over in begun:
        over.set()
        with pytest.raises(errors.LeaseError) as left:
            await task
        told[left.value.resource_id] += 1
    assert sorted(told.values()) == [2, 2]


async def test_a_close_waits_for_a_termination_no_longer_than_its_limit(monkeypatch):
    async with Emulator(speed=50) as emulator:
        client = emulator.client()
        task, over = await begin(client)
        emulator.faults.add(Fault(operation="terminateVm", times=None, delay=1e6))
        monkeypatch.setattr(lease, "CLEANUP_TIMEOUT", 0.2)
        with pytest.raises(errors.LeaseError, match="may still run"):
            await asyncio.wait_for(client.aclose(), 15)  # a call has 60 s
        over.set()
        with pytest.raises(errors.LeaseError, match="may still run"):
            await task


async def test_a_cancelled_close_ends_the_leases_all_the_same(emulator, client):
    task, over = await begin(client)
    closing = asyncio.ensure_future(client.aclose())
    await asyncio.sleep(0)
    closing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await closing
    assert await statuses(emulator) == ["terminated"]
    assert client._calls.transport.shared.session.closed
    over.set()
    await task


def test_a_lease_of_another_threads_loop_is_ended_too():
    inside, over = threading.Event(), threading.Event()
    with Emulator.in_thread(speed=50) as emulator:
        client = emulator.client()

        async def hold() -> None:
            async with client.vms.lease(**VM):
                inside.set()
                await asyncio.to_thread(over.wait, 60)

        failures: list[BaseException] = []

        def run() -> None:
            try:
                asyncio.run(hold())
            except BaseException as error:
                failures.append(error)

        thread = threading.Thread(target=run)
        thread.start()
        assert inside.wait(60)
        asyncio.run(client.aclose())
        assert asyncio.run(statuses(emulator)) == ["terminated"]
        over.set()
        thread.join(60)
        assert failures == []


async def test_a_forked_child_does_not_end_the_leases_of_its_parent(emulator, client, monkeypatch):
    task, over = await begin(client)
    parent = os.getpid()
    monkeypatch.setattr(lease.os, "getpid", lambda: parent + 1)
    await asyncio.gather(*(close() for close in client._calls.transport.shared.leases.values()))
    monkeypatch.undo()
    assert await statuses(emulator) == ["running"]
    over.set()
    await task
