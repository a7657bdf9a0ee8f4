"""One question for all who ask it at the same time."""

from __future__ import annotations

import asyncio
import gc
import math
import threading

import pytest

from openrelay_async.single_flight import SingleFlight


class Question:
    """Counts how often it is asked; answers when it may."""

    def __init__(self) -> None:
        self.asked = 0
        self.may_answer = asyncio.Event()
        self.error: Exception | None = None
        self.was_cancelled = False

    async def __call__(self) -> int:
        self.asked += 1
        try:
            await self.may_answer.wait()
        except asyncio.CancelledError:
            self.was_cancelled = True
            raise
        if self.error is not None:
            raise self.error
        return self.asked


async def test_all_who_wait_get_the_one_answer():
    flight, question = SingleFlight[int](), Question()
    callers = [asyncio.create_task(flight.run(question)) for _ in range(100)]
    await asyncio.sleep(0)
    question.may_answer.set()
    assert await asyncio.gather(*callers) == [1] * 100
    # Who comes later asks anew.
    assert await flight.run(question) == 2


async def test_who_gives_up_does_not_take_the_answer_from_the_others():
    flight, question = SingleFlight[int](), Question()
    callers = [asyncio.create_task(flight.run(question)) for _ in range(3)]
    await asyncio.sleep(0)
    callers[0].cancel()
    await asyncio.sleep(0)
    question.may_answer.set()
    outcomes = await asyncio.gather(*callers, return_exceptions=True)
    assert isinstance(outcomes[0], asyncio.CancelledError)
    assert outcomes[1:] == [1, 1]


async def test_a_run_goes_on_without_its_callers_for_those_who_come_later():
    """R9.1: a key that takes longer than each call has is there for a later one."""
    flight, question = SingleFlight[int](), Question()
    caller = asyncio.create_task(flight.run(question))
    await asyncio.sleep(0)
    caller.cancel()
    await asyncio.wait([caller])
    later = asyncio.create_task(flight.run(question))
    await asyncio.sleep(0)
    question.may_answer.set()
    assert await later == 1


async def test_a_run_that_is_only_for_those_who_wait_ends_with_the_last_of_them():
    """R3.5"""
    flight, question = SingleFlight[int](only_while_awaited=True), Question()
    callers = [asyncio.create_task(flight.run(question)) for _ in range(3)]
    await asyncio.sleep(0)
    for caller in callers[:2]:
        caller.cancel()
    await asyncio.wait(callers[:2])
    assert not question.was_cancelled
    callers[2].cancel()
    await asyncio.wait([callers[2]])
    assert question.was_cancelled
    assert callers[2].cancelled()


async def test_who_comes_just_after_the_last_has_given_up_asks_anew():
    flight, question = SingleFlight[int](only_while_awaited=True), Question()
    last = asyncio.create_task(flight.run(question))
    await asyncio.sleep(0)
    last.cancel()
    # It runs after the cancelled caller, before the cancelled run.
    next_one = asyncio.create_task(flight.run(question))
    await asyncio.sleep(0)
    question.may_answer.set()
    assert await next_one == 2
    assert question.was_cancelled


async def test_a_run_knows_how_long_it_is_waited_for():
    flight, seen = SingleFlight[float](), list[float]()
    may_end = asyncio.Event()

    async def look() -> float:
        seen.append(flight.awaited_until())
        await may_end.wait()
        return flight.awaited_until()

    callers = [asyncio.create_task(flight.run(look, until=until)) for until in (5.0, 9.0, 7.0)]
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    may_end.set()
    assert await asyncio.gather(*callers) == [9.0] * 3
    assert seen == [9.0]
    assert flight.awaited_until() == -math.inf


async def test_an_error_reaches_all_and_is_not_remembered():
    flight, question = SingleFlight[int](), Question()
    question.error = ValueError("no")
    question.may_answer.set()
    outcomes = await asyncio.gather(*(flight.run(question) for _ in range(3)), return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [ValueError] * 3
    question.error = None
    assert await flight.run(question) == 2


async def test_an_error_that_nobody_waits_for_any_more_is_silent():
    flight, question = SingleFlight[int](), Question()
    question.error = ValueError("no")
    caller = asyncio.create_task(flight.run(question))
    await asyncio.sleep(0)
    caller.cancel()
    await asyncio.gather(caller, return_exceptions=True)
    question.may_answer.set()
    problems: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda loop, context: problems.append(context))
    await asyncio.sleep(0.01)
    gc.collect()
    assert problems == []


def test_each_loop_asks_for_itself():
    flight = SingleFlight[int]()
    all_ask = threading.Barrier(3)
    answers: list[int] = []

    async def ask() -> int:
        return all_ask.wait(5)  # passes only while three questions are under way

    def run() -> None:
        answers.append(asyncio.run(flight.run(ask)))

    threads = [threading.Thread(target=run) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert sorted(answers) == [0, 1, 2]


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_loop_that_was_closed_in_the_middle_is_forgotten():
    flight = SingleFlight[int]()

    async def hang() -> int:
        await asyncio.sleep(60)
        return 1

    async def begin() -> None:
        asyncio.ensure_future(flight.run(hang))  # noqa: RUF006 - it is left on purpose
        await asyncio.sleep(0)
        await asyncio.sleep(0)

    async def answer() -> int:
        return 5

    loop = asyncio.new_event_loop()
    loop.set_exception_handler(lambda loop, context: None)
    loop.run_until_complete(begin())
    loop.close()
    assert len(flight._running) == 1
    assert asyncio.run(flight.run(answer)) == 5
    assert len(flight._running) == 0
    gc.collect()
