"""The question for the client's organization: one for all who need it, and no longer than they wait."""

from __future__ import annotations

import asyncio
import time

import pytest

from openrelay_async import AsyncClient, PoolLimits, RetryPolicy, SystemClock, errors
from tests.transport.servers import (
    ONCE,
    VM,
    Exchange,
    JumpingClock,
    RawServer,
    answering,
    make_client,
    serving,
    until,
)

ORGANIZATION = {"authMethod": "api_key", "organizationId": "org_mine"}
NO_VMS: dict[str, object] = {"items": [], "nextCursor": None}


class HeldClock(SystemClock):
    """Waits between attempts last until the test lets them end."""

    def __init__(self) -> None:
        self.waiting = 0
        self.release = asyncio.Event()

    async def sleep(self, seconds: float) -> None:
        self.waiting += 1
        await self.release.wait()


def questions(server: RawServer) -> int:
    return sum(seen.target == "/v1/whoami" for seen in server.seen)


async def answer(exchange: Exchange) -> None:
    """As the service does."""
    await exchange.answer(200, ORGANIZATION if exchange.seen.target == "/v1/whoami" else NO_VMS)


async def stall(exchange: Exchange) -> None:
    await exchange.wait_for_client_to_leave()


async def stall_first(exchange: Exchange) -> None:
    await (stall(exchange) if exchange.number == 1 else answer(exchange))


async def test_cancelling_the_only_call_in_a_backoff_of_its_question_sends_nothing_more():
    """R3.5"""

    async def fail_first(exchange: Exchange) -> None:
        await exchange.answer(*((503, None) if exchange.number == 1 else (200, VM)))

    clock = HeldClock()
    async with serving(fail_first) as server, make_client(server, org_id=None, clock=clock) as client:
        task = asyncio.create_task(client.vms.list().first())
        await until(lambda: clock.waiting == 1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        clock.release.set()
        # What went on in the background would have come to the server by the end of this.
        for _ in range(3):
            await client.vms.get("vm_1")
    assert questions(server) == 1


async def test_cancelling_the_only_call_closes_the_connection_of_its_question():
    """R3.5"""
    async with serving(stall) as server, make_client(server, org_id=None) as client:
        task = asyncio.create_task(client.vms.list().first())
        await until(lambda: questions(server) == 1)
        task.cancel()
        await asyncio.wait([task])
        await until(lambda: server.open == 0)


async def test_cancelling_the_first_of_many_calls_leaves_the_question_to_the_others():
    may_answer = asyncio.Event()

    async def answer_later(exchange: Exchange) -> None:
        await may_answer.wait()
        await answer(exchange)

    async with serving(answer_later) as server, make_client(server, org_id=None) as client:
        tasks = [asyncio.create_task(client.vms.list().first()) for _ in range(100)]
        await until(lambda: questions(server) == 1)
        tasks[0].cancel()
        await asyncio.wait([tasks[0]])
        may_answer.set()
        assert await asyncio.gather(*tasks[1:]) == [None] * 99
    assert questions(server) == 1


async def test_a_call_that_joins_a_question_has_its_own_time():
    """R3.3: the time of the call that asked first is not that of the others."""
    async with (
        serving(stall_first) as server,
        make_client(server, org_id=None, clock=SystemClock()) as client,
    ):
        first = asyncio.create_task(client.vms.list(timeout=0.2).first())
        await until(lambda: questions(server) == 1)
        second = asyncio.create_task(client.vms.list(timeout=10).first())
        with pytest.raises(errors.RequestTimeout):
            await first
        assert await second is None
    assert questions(server) == 2


LONG_WAITS = RetryPolicy(base=40, cap=40)
"""More than the first of two callers has, less than the second."""


@pytest.mark.parametrize(
    ("status", "retry_after", "kind", "pause"),
    [
        (503, None, errors.Unavailable, 30.0),
        (503, "50", errors.Unavailable, 52.0),
        (429, "50", errors.RateLimited, 52.0),
        (None, None, errors.ConnectionFailed, 30.0),
    ],
)
async def test_a_question_that_fails_for_lack_of_time_is_asked_again_for_who_has_more(
    status: int | None, retry_after: str | None, kind: type[errors.OpenRelayError], pause: float
):
    """R3.3: each has what it would have had alone, the first its error at once."""
    may_fail = asyncio.Event()

    async def fail_first(exchange: Exchange) -> None:
        if exchange.number > 1:
            await answer(exchange)
            return
        await may_fail.wait()
        if status is None:
            exchange.reset()
        else:
            await exchange.answer(status, headers={"Retry-After": retry_after} if retry_after else None)

    clock = JumpingClock()
    async with (
        serving(fail_first) as server,
        make_client(server, org_id=None, clock=clock, retry=LONG_WAITS) as client,
    ):
        first = asyncio.create_task(client.vms.list(timeout=20).first())
        await until(lambda: questions(server) == 1)
        others = [asyncio.create_task(client.vms.list(timeout=1000).first()) for _ in range(20)]
        await asyncio.sleep(0)
        may_fail.set()
        with pytest.raises(kind) as caught:
            await first
        assert await asyncio.gather(*others) == [None] * 20
    assert type(caught.value) is kind
    assert caught.value.attempts == 1
    assert clock.sleeps[0] == pause
    assert questions(server) == 2


async def ask_together(
    client: AsyncClient, server: RawServer
) -> tuple[asyncio.Task[object], asyncio.Task[object]]:
    """Return a call with 20 s, which has asked for the organization, and one with 1,000 s that waits too."""
    first: asyncio.Task[object] = asyncio.create_task(client.vms.list(timeout=20).first())
    await until(lambda: questions(server) == 1)
    second: asyncio.Task[object] = asyncio.create_task(client.vms.list(timeout=1000).first())
    await asyncio.sleep(0)
    return first, second


async def test_a_question_whose_turn_comes_too_late_is_asked_again_for_who_has_more_time():
    """R3.8: after a refusal it waits for its turn, which others' refusals may put off."""
    may_refuse = asyncio.Event()

    async def refuse_first(exchange: Exchange) -> None:
        if exchange.number > 1:
            await answer(exchange)
            return
        await may_refuse.wait()
        await exchange.answer(429)

    class PutOff(JumpingClock):
        async def sleep(self, seconds: float) -> None:
            if not self.sleeps:
                client._calls.transport.shared.pacing.api.refuse(50.0, {})
            await super().sleep(seconds)

    clock = PutOff()
    async with serving(refuse_first) as server, make_client(server, org_id=None, clock=clock) as client:
        first, second = await ask_together(client, server)
        may_refuse.set()
        with pytest.raises(errors.RateLimited):
            await first
        assert await second is None
    assert questions(server) == 2


async def test_a_question_that_is_refused_for_all_its_attempts_is_not_asked_again():
    may_fail = asyncio.Event()

    async def fail(exchange: Exchange) -> None:
        await may_fail.wait()
        await exchange.answer(503)

    async with serving(fail) as server, make_client(server, org_id=None, retry=ONCE) as client:
        first, second = await ask_together(client, server)
        may_fail.set()
        outcomes = await asyncio.gather(first, second, return_exceptions=True)
    assert {type(outcome) for outcome in outcomes} == {errors.Unavailable}
    assert questions(server) == 1


async def test_the_end_of_the_client_ends_the_pause_before_a_question_is_asked_again():
    may_fail = asyncio.Event()

    async def fail(exchange: Exchange) -> None:
        await may_fail.wait()
        await exchange.answer(503)

    clock = HeldClock()
    async with (
        serving(fail) as server,
        make_client(server, org_id=None, clock=clock, retry=LONG_WAITS) as client,
    ):
        first, second = await ask_together(client, server)
        may_fail.set()
        with pytest.raises(errors.Unavailable):
            await first
        await until(lambda: clock.waiting == 1)
        await client.aclose()
        with pytest.raises(errors.ConnectionFailed, match="the client is closed"):
            await asyncio.wait_for(second, 5)
    assert questions(server) == 1


async def test_calls_that_join_one_after_the_other_do_not_each_ask_again():
    async with serving(stall) as server, make_client(server, org_id=None, clock=SystemClock()) as client:
        tasks = []
        for number in range(50):
            tasks.append(asyncio.create_task(client.vms.list(timeout=0.3 + number * 0.01).first()))
            await asyncio.sleep(0)
        outcomes = await asyncio.gather(*tasks, return_exceptions=True)
    assert {type(outcome) for outcome in outcomes} == {errors.RequestTimeout}
    # Once within the time of the first, once within that of the last.
    assert questions(server) <= 2


async def test_arguments_are_read_once_and_before_the_organization_is_asked_for():
    """An iterator gives its items once, and what the caller changes meanwhile is the next call's."""

    async def refuse_keys(exchange: Exchange) -> None:
        asks = exchange.seen.target == "/v1/whoami"
        await exchange.answer(*((200, ORGANIZATION) if asks else (400, {"error": "no"})))

    async with serving(refuse_keys) as server, make_client(server, org_id=None) as client:
        with pytest.raises(errors.BadRequest):
            await client.api_keys.create(name="ci", scopes=iter(["vms:read", "vms:write"]))
    asked, created = server.seen
    assert asked.target == "/v1/whoami"
    assert created.target == "/v1/orgs/org_mine/api-keys/create"
    assert created.json == {"name": "ci", "scopes": ["vms:read", "vms:write"]}


@pytest.mark.parametrize("limit", [5.0, float("inf")])
async def test_the_callers_limit_holds_for_the_question_too(limit: float):
    """R3.3: a longer one than the client's."""

    async def answer_slowly(exchange: Exchange) -> None:
        await asyncio.sleep(0.4)
        await answer(exchange)

    async with (
        serving(answer_slowly) as server,
        make_client(server, org_id=None, clock=SystemClock(), timeout=0.1) as client,
    ):
        assert await client.vms.list(timeout=limit).first() is None
    assert questions(server) == 1


async def test_a_wait_that_the_caller_has_no_time_for_is_told_at_once():
    """R3.4, for the question too."""
    async with (
        serving(answering((503, None, {"Retry-After": "30"}))) as server,
        make_client(server, org_id=None, clock=SystemClock(), timeout=20) as client,
    ):
        began = time.monotonic()
        with pytest.raises(errors.Unavailable) as caught:
            await client.vms.list().first()
        assert time.monotonic() - began < 10
    assert caught.value.retry_after == 30


async def test_a_question_whose_attempts_are_used_up_fails_for_all_who_wait():
    """Those with more time left do not ask again: what has failed was not their time."""
    async with (
        serving(stall) as server,
        make_client(server, org_id=None, clock=SystemClock(), attempt_timeout=0.1, retry=ONCE) as client,
    ):
        first = asyncio.create_task(client.vms.list(timeout=20).first())
        await until(lambda: questions(server) == 1)
        second = asyncio.create_task(client.vms.list(timeout=40).first())
        outcomes = await asyncio.gather(first, second, return_exceptions=True)
    assert {type(outcome) for outcome in outcomes} == {errors.RequestTimeout}
    assert questions(server) == 1


async def test_a_question_that_gets_no_connection_says_so():
    """R2.2: its error is the queue's, not one of the call's time."""
    limits = PoolLimits(max_connections=1, queue_timeout=0.05)
    async with (
        serving(stall) as server,
        make_client(server, org_id=None, clock=SystemClock(), limits=limits) as client,
    ):
        busy = asyncio.create_task(client.vms.get("vm_1"))
        await until(lambda: len(server.seen) == 1)
        with pytest.raises(errors.LocalQueueTimeout):
            await client.vms.list().first()
        busy.cancel()
        await asyncio.wait([busy])
