"""What a call waits for before it is sent, and what ends that: time, the client's end, the caller."""

from __future__ import annotations

import asyncio
import gc
import time
from collections.abc import Callable
from typing import Any

import pytest

from openrelay_async import AsyncClient, PoolLimits, errors
from openrelay_async.clock import SystemClock
from openrelay_async.pacing import Governor
from tests.transport.servers import (
    ONCE,
    VM,
    Exchange,
    JumpingClock,
    Seen,
    Watcher,
    answering,
    make_client,
    serving,
    until,
)

ONE_CONNECTION = PoolLimits(max_connections=1)


def governor_of(client: AsyncClient) -> Governor:
    return client._calls.transport.shared.pacing.api


def dispatchers() -> list[asyncio.Task[Any]]:
    return [task for task in asyncio.all_tasks() if "Governor" in task.get_coro().__qualname__]


class TestRefusals:
    """After a 429"""

    @pytest.mark.parametrize("asked", ["120", "99999999999"])
    async def test_a_long_pause_that_is_asked_for_once_does_not_disable_the_client(self, asked: str):
        """R3.4: a wait beyond 60 s raises at once, and after those a call may ask again."""
        clock = JumpingClock()
        answers = answering((429, {"error": "slow"}, {"Retry-After": asked}), (200, VM))
        async with serving(answers) as server, make_client(server, clock=clock) as client:
            with pytest.raises(errors.RateLimited) as refused:
                await client.vms.get("vm_1")
            assert refused.value.retry_after == float(asked)
            for caller in client, client.with_options(timeout=0.5):
                with pytest.raises(errors.LocalQueueTimeout) as caught:
                    await caller.vms.get("vm_1", timeout=30)
                assert 55 < caught.value.retry_after <= 60
                assert caught.value.attempts == 0
            assert clock.sleeps == []
            assert len(server.seen) == 1
            clock._jumped += 60
            assert (await client.vms.get("vm_1")).id == "vm_1"

    async def test_a_call_that_has_less_time_than_the_service_asks_for_does_not_wait_for_nothing(self):
        """R3.4"""
        answers = answering((429, {"error": "slow"}, {"Retry-After": "30"}), (200, VM))
        async with serving(answers) as server, make_client(server, clock=SystemClock()) as client:
            began = time.monotonic()
            with pytest.raises(errors.RateLimited):
                await client.vms.get("vm_1", timeout=20)
            with pytest.raises(errors.LocalQueueTimeout) as caught:
                await client.vms.get("vm_1", timeout=20)
            assert time.monotonic() - began < 5
            assert 25 < caught.value.retry_after <= 30

    async def test_a_call_that_was_refused_says_so_if_its_next_turn_does_not_come_in_time(self):
        class LongerPause:
            def on_retry(self, event: object) -> None:
                governor_of(client).refuse(50.0, {})

        async with (
            serving(answering((429, {"error": "slow"}))) as server,
            make_client(server, timeout=5, hooks=[LongerPause()]) as client,
        ):
            with pytest.raises(errors.RateLimited, match="slow") as caught:
                await client.vms.get("vm_1")
        assert caught.value.attempts == len(server.seen) == 1

    async def test_a_call_that_waits_for_its_turn_keeps_no_connection_from_others(self):
        """R3.8"""

        async def hold_then_refuse(exchange: Exchange) -> None:
            await refuse.wait()
            await exchange.answer(429, {"error": "slow"}, headers={"Retry-After": "10"})

        refuse = asyncio.Event()
        async with (
            serving(hold_then_refuse) as server,
            make_client(server, clock=SystemClock(), limits=ONE_CONNECTION) as client,
        ):
            calls = [asyncio.create_task(client.vms.get("vm_1")) for _ in range(3)]
            slots = client._calls.transport.shared.session.pool().slots
            await until(lambda: slots.waiting == 2)
            refuse.set()
            await until(lambda: governor_of(client).waiting == 2)
            assert slots.free == 1
            for call in calls:
                call.cancel()
            await asyncio.gather(*calls, return_exceptions=True)

    async def test_refusals_that_come_together_lower_the_rate_once_even_if_they_ask_for_no_pause(self):
        """R3.8"""

        async def refuse_together(exchange: Exchange) -> None:
            if exchange.number == 20:
                all_there.set()
            await all_there.wait()
            await exchange.answer(429, None, headers={"Retry-After": "0"})

        all_there, watcher = asyncio.Event(), Watcher()
        async with (
            serving(refuse_together) as server,
            make_client(server, clock=SystemClock(), hooks=[watcher]) as client,
        ):
            calls = [asyncio.create_task(client.vms.get("vm_1")) for _ in range(20)]
            await until(lambda: len(watcher.of("retry")) == 20)
            assert governor_of(client).pace.rate == 10
            for call in calls:
                call.cancel()
            await asyncio.wait(calls)

    async def test_all_answers_but_refusals_tell_what_the_service_takes(self):
        answers = answering((404, None), (200, VM), (422, None), (429, None))
        async with serving(answers) as server, make_client(server, retry=ONCE) as client:
            for _ in range(4):
                await asyncio.gather(client.vms.get("vm_1"), return_exceptions=True)
            assert governor_of(client).pace.count == 3

    async def test_another_thread_may_come_while_lines_of_loops_that_ended_are_looked_for(self):
        """R1.2"""
        governor = Governor("https://host", SystemClock(), 1000.0, None)

        class Loop:
            def is_closed(self) -> bool:
                governor._lines[Loop()] = object()  # as another thread does at this moment
                return False

        governor._lines[Loop()] = object()
        await governor.enter(again=False)

    async def test_a_shared_pace_that_cannot_be_told_is_looked_at(self):
        class Unreachable:
            def limits(self, host: str) -> bool:
                return False

            async def reserve(self, host: str, wanted: int) -> tuple[int, float]:
                return wanted, 0.0

            async def refuse(self, host: str, wait: float, taken: float) -> None:
                raise ConnectionError("no pace")

        noise: list[object] = []
        asyncio.get_running_loop().set_exception_handler(lambda loop, context: noise.append(context))
        async with (
            serving(answering((429, None), (200, VM))) as server,
            make_client(server, shared_pace=Unreachable()) as client,
        ):
            assert (await client.vms.get("vm_1")).id == "vm_1"
        gc.collect()
        assert noise == []

    async def test_who_waits_is_counted_without_those_who_gave_up(self):
        async with (
            serving(answering((200, VM))) as server,
            make_client(server, clock=SystemClock(), max_requests_per_second=0.5) as client,
        ):
            await client.vms.get("vm_1")
            calls = [asyncio.create_task(client.vms.get("vm_1")) for _ in range(3)]
            await until(lambda: governor_of(client).waiting == 3)
            for call in calls[1:]:
                call.cancel()
            await asyncio.wait(calls[1:])
            assert governor_of(client).waiting == 1
            with pytest.raises(errors.LocalQueueTimeout, match=r"\(1 calls wait\)"):
                await client.vms.get("vm_1", timeout=0.05)


class Advancing:
    """A clock that only its sleeps turn."""

    def __init__(self) -> None:
        self.sleeps: list[float] = []
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now

    def wall(self) -> float:
        return 1_793_491_200.0

    async def sleep(self, seconds: float) -> None:
        self.sleeps.append(seconds)
        self.now += seconds

    def uniform(self, low: float, high: float) -> float:
        return low


class Frozen(Advancing):
    """A clock that stands still."""

    async def sleep(self, seconds: float) -> None:
        self.sleeps.append(seconds)


class NotSleeping(Frozen):
    """A clock that goes on, but whose sleeps take no time."""

    def monotonic(self) -> float:
        return time.monotonic()


@pytest.mark.parametrize("make_clock", [Advancing, Frozen, NotSleeping])
class TestClocksOfTests:
    @pytest.mark.parametrize("status", [429, 503])
    @pytest.mark.parametrize(
        ("asked", "sleeps"), [({"Retry-After": "2"}, [2.0, 2.0]), ({}, [0.25, 0.5])], ids=["asked", "backoff"]
    )
    async def test_a_call_sleeps_once_after_each_answer(
        self,
        make_clock: Callable[[], Advancing],
        status: int,
        asked: dict[str, str],
        sleeps: list[float],
    ):
        clock = make_clock()
        answers = answering((status, None, asked), (status, None, asked), (200, VM))
        async with serving(answers) as server, make_client(server, clock=clock) as client:
            async with asyncio.timeout(5):
                assert (await client.vms.get("vm_1")).id == "vm_1"
        assert clock.sleeps == sleeps

    async def test_calls_that_line_up_all_get_their_turn(self, make_clock: Callable[[], Advancing]):
        async def refuse_some(exchange: Exchange) -> None:
            await (exchange.answer(429) if exchange.number in {3, 9} else exchange.answer(200, VM))

        async with serving(refuse_some) as server, make_client(server, clock=make_clock()) as client:
            async with asyncio.timeout(5):
                await asyncio.gather(*(client.vms.get("vm_1") for _ in range(30)))
        assert len(server.seen) == 32


class TestTheQueue:
    async def test_a_call_whose_place_comes_when_its_time_is_up_was_not_sent(self):
        """R2.2, R2.3"""

        async def hold(exchange: Exchange) -> None:
            await go_on.wait()
            await exchange.answer(200, VM)

        go_on, clock, watcher = asyncio.Event(), JumpingClock(), Watcher()
        async with (
            serving(hold) as server,
            make_client(server, clock=clock, limits=ONE_CONNECTION, hooks=[watcher]) as client,
        ):
            first = asyncio.create_task(client.vms.get("vm_1"))
            await until(lambda: len(server.seen) == 1)
            slots = client._calls.transport.shared.session.pool().slots
            second = asyncio.create_task(client.vms.get("vm_1", timeout=30))
            await until(lambda: slots.waiting == 1)
            clock._jumped += 31
            go_on.set()
            await first
            with pytest.raises(errors.LocalQueueTimeout) as caught:
                await second
            assert caught.value.attempts == 0
            assert slots.free == 1
        assert len(server.seen) == len(watcher.of("attempt")) == len(watcher.of("response")) == 1


async def _close_while_calls_wait(handle: Callable[[Exchange], Any], waits: Callable[[AsyncClient], bool]):
    """Return what two calls with one connection came to whose client was closed while they waited."""
    watcher = Watcher()
    async with serving(handle) as server:
        client = make_client(server, clock=SystemClock(), limits=ONE_CONNECTION, hooks=[watcher])
        calls = [asyncio.create_task(client.vms.get("vm_1")) for _ in range(2)]
        await until(lambda: waits(client) and len(server.seen) >= 1)
        await client.aclose()
        outcomes = await asyncio.wait_for(asyncio.gather(*calls, return_exceptions=True), 5)
        seen: list[Seen] = server.seen
    assert len(watcher.of("attempt")) == len(seen)
    return outcomes, seen


class TestTheEndOfTheClient:
    @pytest.mark.parametrize("status", [503, 429])
    async def test_it_ends_the_waits_between_attempts(self, status: int):
        """R2.3: and no attempt is counted that was not made."""
        retried: list[object] = []

        async def ask_to_wait(exchange: Exchange) -> None:
            retried.append(exchange)
            await exchange.answer(status, None, headers={"Retry-After": "20"})

        def waits(client: AsyncClient) -> bool:
            pool = client._calls.transport.shared.session.pool()
            return pool.slots.free == 1 and governor_of(client).waiting == (status == 429)

        outcomes, seen = await _close_while_calls_wait(ask_to_wait, waits)
        for error in outcomes:
            assert isinstance(error, errors.ConnectionFailed)
            assert not isinstance(error, TimeoutError)
            assert error.message == "the client was closed"
            assert error.retry_after is None
        assert sum(error.attempts for error in outcomes) == len(seen) == (1 if status == 429 else 2)

    async def test_it_ends_the_wait_for_a_connection(self):
        async def hold(exchange: Exchange) -> None:
            await exchange.wait_for_client_to_leave()

        def waits(client: AsyncClient) -> bool:
            return client._calls.transport.shared.session.pool().slots.waiting == 1

        outcomes, seen = await _close_while_calls_wait(hold, waits)
        assert [error.message for error in outcomes] == ["the client was closed"] * 2
        assert [error.attempts for error in outcomes] == [1, 0]
        assert len(seen) == 1

    async def test_nothing_of_the_pacing_outlives_it(self):
        async with (
            serving(answering((429, None, {"Retry-After": "30"}))) as server,
            make_client(server, clock=SystemClock(), retry=ONCE) as client,
        ):
            await asyncio.gather(client.vms.get("vm_1"), return_exceptions=True)
            waiting = asyncio.create_task(client.vms.get("vm_1"))
            await until(lambda: len(dispatchers()) == 1)
            await client.aclose()
            assert dispatchers() == []
            with pytest.raises(errors.ConnectionFailed, match="the client was closed"):
                await waiting

    async def test_nothing_of_the_pacing_outlives_one_that_is_cancelled(self):
        """A shared pace may need a moment to end what it asks elsewhere."""

        class Elsewhere:
            asked = False

            def limits(self, host: str) -> bool:
                return self.asked

            async def reserve(self, host: str, wanted: int) -> tuple[int, float]:
                try:
                    await asyncio.Event().wait()
                finally:
                    for _ in range(20):
                        await asyncio.sleep(0)
                return 0, 1.0

            async def refuse(self, host: str, wait: float, taken: float) -> None: ...

        pace = Elsewhere()
        async with (
            serving(answering((200, VM))) as server,
            make_client(server, clock=SystemClock(), shared_pace=pace) as client,
        ):
            # A connection to close is what closing waits for.
            await client.vms.get("vm_1")
            pace.asked = True
            waiting = asyncio.create_task(client.vms.get("vm_1"))
            await until(lambda: len(dispatchers()) == 1)
            closing = asyncio.create_task(client.aclose())
            await asyncio.sleep(0)
            assert closing.cancel()
            await asyncio.wait([closing])
            assert dispatchers() == []
            with pytest.raises(errors.ConnectionFailed, match="the client was closed"):
                await waiting

    async def test_the_pacing_ends_when_nobody_waits_any_more(self):
        async with (
            serving(answering((200, VM))) as server,
            make_client(server, clock=SystemClock(), max_requests_per_second=0.1) as client,
        ):
            await client.vms.get("vm_1")
            waiting = [asyncio.create_task(client.vms.get("vm_1")) for _ in range(3)]
            await until(lambda: governor_of(client).waiting == 3)
            (dispatcher,) = dispatchers()
            for call in waiting:
                call.cancel()
            await asyncio.wait(waiting)
            await asyncio.wait([dispatcher], timeout=5)
            assert dispatcher.cancelled()
            # Who comes next is not let go by the end of the work for those who left.
            with pytest.raises(errors.LocalQueueTimeout):
                await client.vms.get("vm_1", timeout=0.05)
