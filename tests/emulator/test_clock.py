"""Clocks: turned by hand, made faster."""

from __future__ import annotations

import asyncio
import threading
import time

import pytest

from openrelay_async.emulator import FastClock, TurnedClock


async def settle():
    """Let everything run that can run without the clock."""
    for _ in range(5):
        await asyncio.sleep(0)


async def test_sleepers_wake_in_the_order_of_their_times():
    clock = TurnedClock()
    woken = []

    async def sleep(seconds):
        await clock.sleep(seconds)
        woken.append(seconds)

    tasks = [asyncio.create_task(sleep(seconds)) for seconds in (3, 1, 2, 10)]
    await asyncio.sleep(0)
    clock.advance(2.5)
    await asyncio.gather(*tasks[1:3])
    assert woken == [1, 2]
    clock.advance(0.5)
    await tasks[0]
    assert not tasks[3].done()
    tasks[3].cancel()
    await asyncio.gather(tasks[3], return_exceptions=True)
    clock.advance(100)  # nobody is there any more


async def test_a_sleeper_is_woken_from_another_thread():
    clock = TurnedClock()
    sleeping = asyncio.create_task(clock.sleep(60))
    await asyncio.sleep(0)
    threading.Thread(target=clock.advance, args=(60,)).start()
    await asyncio.wait_for(sleeping, 5)


async def test_a_jumping_clock_turns_instead_of_waiting():
    clock = TurnedClock(start=100)
    jumping = clock.jumping()
    began = time.perf_counter()
    for _ in range(360):
        await jumping.sleep(5)
    assert clock.wall() == 1900
    assert jumping.wall() == 1900
    assert time.perf_counter() - began < 1


def test_a_clock_is_not_turned_back():
    with pytest.raises(ValueError):
        TurnedClock().advance(-1)


async def test_speed_makes_time_pass_faster():
    turned = TurnedClock(start=1000)
    fast = FastClock(turned, speed=60)
    turned.advance(2)
    assert fast.wall() == 1120
    assert fast.monotonic() == 120
    sleeping = asyncio.create_task(fast.sleep(60))
    await settle()
    turned.advance(1)
    await asyncio.wait_for(sleeping, 5)


async def test_a_fast_clock_is_turned_by_hand_too():
    fast = FastClock(TurnedClock(start=1000))
    sleeping = asyncio.create_task(fast.sleep(60))
    await settle()
    fast.advance(59)
    await settle()
    assert not sleeping.done()
    fast.advance(1)
    await asyncio.wait_for(sleeping, 5)
    assert fast.wall() == 1060
    with pytest.raises(ValueError):
        fast.advance(-1)


def test_time_does_not_go_back_behind_what_a_database_has_seen():
    assert FastClock(TurnedClock(start=1000), not_before=5000).wall() == 5000
    with pytest.raises(ValueError):
        FastClock(speed=0)
