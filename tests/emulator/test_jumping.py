"""A clock whose sleeps turn it: to the next waking time, and not while somebody is at work."""

from __future__ import annotations

import asyncio
import math
import threading

import pytest

from openrelay_async import errors
from openrelay_async.emulator import Emulator, Fault, TurnedClock, jumping

GPU = {"gpu_model_id": "rtx-4090", "gpu_count": 1}


async def test_sleeps_side_by_side_take_no_longer_than_the_longest(clock):
    await asyncio.gather(*(clock.jumping().sleep(1) for _ in range(100)))
    assert clock.monotonic() == 1


async def test_sleeps_end_in_the_order_of_their_times_each_at_its_own(clock):
    woken = []

    async def sleep(seconds):
        await clock.jumping().sleep(seconds)
        woken.append((seconds, clock.monotonic()))

    await asyncio.gather(*(sleep(seconds) for seconds in (3, 600, 1, 2, 86_400, 0.001)))
    assert woken == [(seconds, seconds) for seconds in (0.001, 1, 2, 3, 600, 86_400)]


async def test_a_long_sleep_lets_many_short_ones_pass(clock):
    guard = asyncio.create_task(clock.jumping().sleep(3600))
    for _ in range(100):
        await clock.jumping().sleep(5)
    assert clock.monotonic() == 500
    assert not guard.done()
    await guard
    assert clock.monotonic() == 3600


async def test_who_waits_for_a_turn_is_woken_on_the_way(clock):
    """The emulator sleeps on the clock itself; the client's sleeps turn it."""
    seen = []

    async def wait(seconds):
        await clock.sleep(seconds)
        seen.append(clock.monotonic())

    waits = [asyncio.create_task(wait(seconds)) for seconds in (2, 4, 6)]
    await asyncio.sleep(0)
    await clock.jumping().sleep(5)
    assert seen == [2, 4]
    assert not waits[2].done()
    clock.advance(1)
    await waits[2]


async def test_a_sleep_that_is_cancelled_turns_nothing(clock):
    long = asyncio.create_task(clock.jumping().sleep(3600))
    await asyncio.sleep(0)
    long.cancel()
    await clock.jumping().sleep(7200)
    assert clock.monotonic() == 7200
    far = [asyncio.create_task(clock.jumping().sleep(10**6)) for _ in range(1000)]
    await asyncio.sleep(0)
    for task in far:
        task.cancel()
    await asyncio.gather(*far, return_exceptions=True)
    assert clock.next_waking() == math.inf
    assert len(clock._sleepers._heap) < 10, "what was cancelled is let go"


@pytest.mark.parametrize("seconds", [math.inf, 1e300, 10**12])
async def test_a_sleep_without_an_end_does_not_break_the_clock(clock, seconds):
    endless = asyncio.create_task(clock.jumping().sleep(seconds))
    await asyncio.sleep(0)
    await clock.jumping().sleep(1)
    assert clock.monotonic() == 1
    assert not endless.done()
    endless.cancel()


async def test_a_lease_with_a_limit_does_not_end_while_it_is_used(emulator, clock):
    async with (
        emulator.client(clock=clock.jumping()) as client,
        client.vms.lease(name="job", max_duration=3600, **GPU) as vm,
    ):
        for _ in range(30):
            await client.vms.get(vm.id)
        await asyncio.gather(*(client.vms.list() for _ in range(30)))
        assert clock.monotonic() < 60


async def test_a_lease_ends_at_its_limit_and_not_before(emulator, clock):
    at = []

    async def use(client):
        async with client.vms.lease(name="job", max_duration=3600, **GPU) as vm:
            await client.vms.get(vm.id)
            await clock.jumping().sleep(1800)
            at.append(clock.monotonic())
            await clock.jumping().sleep(86_400)

    async with emulator.client(clock=clock.jumping()) as client:
        with pytest.raises(errors.LeaseExpired):
            await use(client)
    assert 1800 <= at[0] < 1860
    assert clock.monotonic() == pytest.approx(3600)


async def test_a_request_to_an_emulator_with_a_clock_of_its_own_holds_it_up_too():
    clock = TurnedClock()
    async with Emulator() as emulator, emulator.client(clock=clock.jumping()) as client:
        guard = asyncio.create_task(clock.jumping().sleep(60))
        for _ in range(30):
            await client.account.whoami()
        assert not guard.done()
        await guard


async def test_a_request_to_an_emulator_in_a_thread_holds_it_up():
    clock = TurnedClock()
    with Emulator.in_thread(clock=clock) as emulator:
        async with emulator.client(clock=clock.jumping()) as client:
            guard = asyncio.create_task(clock.jumping().sleep(86_400))
            for _ in range(30):
                await client.account.whoami()
            assert not guard.done()
            await guard
    assert clock.monotonic() == 86_400


async def test_many_retries_at_once_wait_no_longer_than_one(emulator, clock):
    emulator.faults.add(Fault(operation="whoami", status=503, retry_after=20, times=8))
    async with emulator.client(clock=clock.jumping()) as client:
        await asyncio.gather(*(client.account.whoami() for _ in range(8)))
    assert 20 <= clock.monotonic() < 25


async def test_a_delay_of_the_service_passes_while_somebody_sleeps(emulator, clock):
    emulator.faults.add(Fault(operation="whoami", delay=10))
    async with emulator.client(clock=clock.jumping()) as client:
        asking = asyncio.create_task(client.account.whoami())
        while not clock._sleepers._heap:  # until the request is there, and delayed
            await asyncio.sleep(0)
        await clock.jumping().sleep(3600)
        assert asking.done()
        await asking


def test_loops_of_several_threads_share_a_clock():
    clock = TurnedClock()

    async def sleep():
        for _ in range(20):
            await asyncio.gather(*(clock.jumping().sleep(1) for _ in range(10)))

    threads = [threading.Thread(target=asyncio.run, args=(sleep(),)) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert not any(thread.is_alive() for thread in threads)
    assert 20 <= clock.monotonic() <= 60


async def test_who_reads_the_clock_for_ever_does_not_stop_it(clock, monkeypatch):
    monkeypatch.setattr(jumping, "_AT_LAST", 0.05)
    client = clock.jumping()
    sleeping = asyncio.create_task(client.sleep(3600))
    async with asyncio.timeout(10):
        while client.monotonic() < 3600:
            await asyncio.sleep(0)
    await sleeping
