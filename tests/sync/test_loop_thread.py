"""Nothing ever hangs: many threads, shared threads, dying loops, closing while calls are under way."""

from __future__ import annotations

import asyncio
import gc
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from openrelay_async.emulator import Emulator
from openrelay_async.errors import BridgeError
from openrelay_sync import Client, LoopThread
from openrelay_sync.crossing import Crossing
from openrelay_sync.running_loop import RunningLoop


def wait_until(condition: Callable[[], bool], limit: float = 5.0) -> None:
    end = time.monotonic() + limit
    while not condition():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.005)


def loop_threads() -> set[threading.Thread]:
    return {thread for thread in threading.enumerate() if thread.name == "openrelay-sync"}


@pytest.fixture
def thread() -> Iterator[LoopThread]:
    with LoopThread() as thread:
        yield thread


async def echo(value: int) -> int:
    return value


async def stop_debugging() -> None:
    """In dev mode a loop notes where each task was made, at a cost that this is not about."""
    asyncio.get_running_loop().set_debug(False)


async def sleep_for_ever() -> None:
    await asyncio.get_running_loop().create_future()


def test_64_threads_make_1000_calls_each_without_a_lost_wake_up(thread: LoopThread) -> None:
    """R8.1"""
    wrong: list[tuple[int, int]] = []
    thread.run(stop_debugging())

    def work(number: int) -> None:
        for count in range(1000):
            value = number * 1000 + count
            if (answer := thread.run(echo(value))) != value:
                wrong.append((value, answer))

    with ThreadPoolExecutor(64) as pool:
        list(pool.map(work, range(64), timeout=90))
    assert wrong == []


def test_64_threads_share_one_client(emulator: Emulator) -> None:
    """R8.1"""
    with (
        Client(emulator.api_key, base_url=emulator.url) as client,
        ThreadPoolExecutor(64) as pool,
    ):
        answers = list(pool.map(lambda _: client.account.whoami().organization_id, range(320)))
    assert answers == [emulator.org_id] * 320


def test_64_threads_that_start_at_once_start_one_loop() -> None:
    before = loop_threads()
    with LoopThread() as thread:
        barrier = threading.Barrier(64)

        def work(number: int) -> int:
            barrier.wait(10)
            return thread.run(echo(number))

        with ThreadPoolExecutor(64) as pool:
            assert list(pool.map(work, range(64))) == list(range(64))
        assert len(loop_threads() - before) == 1


def test_two_clients_in_two_threads_do_not_wait_for_each_other(emulator: Emulator) -> None:
    held, release = threading.Event(), threading.Event()

    class Blocking:
        def on_response(self, event: object) -> None:
            held.set()
            release.wait(10)

    with (
        Client(emulator.api_key, base_url=emulator.url, hooks=[Blocking()]) as slow,
        Client(emulator.api_key, base_url=emulator.url) as quick,
        ThreadPoolExecutor(1) as pool,
    ):
        call = pool.submit(slow.account.whoami)
        assert held.wait(10)
        quick.account.whoami()
        assert not call.done()
        release.set()
        call.result(10)


def test_clients_that_share_a_thread_end_it_with_the_last_of_them(emulator: Emulator) -> None:
    before = loop_threads()
    thread = LoopThread()
    one = Client(emulator.api_key, base_url=emulator.url, loop_thread=thread)
    two = Client(emulator.api_key, base_url=emulator.url, loop_thread=thread)
    thread.close()
    one.account.whoami()
    two.account.whoami()
    assert len(loop_threads() - before) == 1
    one.close()
    two.account.whoami()
    with pytest.raises(BridgeError, match="closed"):
        one.account.whoami()
    two.close()
    assert loop_threads() <= before


def test_closing_ends_the_calls_of_other_threads(emulator: Emulator) -> None:
    """A call that its client is closed under raises, and may have been carried out."""
    thread = LoopThread()
    with ThreadPoolExecutor(8) as pool:
        calls = [pool.submit(thread.run, sleep_for_ever()) for _ in range(8)]
        thread.run(echo(1))
        began = time.monotonic()
        thread.close()
        errors = [call.exception(5) for call in calls]
    assert {type(error) for error in errors} == {BridgeError}
    assert time.monotonic() - began < 4


def test_closing_one_of_two_clients_leaves_the_calls_of_the_other_alone(thread: LoopThread) -> None:
    other = thread.share()
    release = threading.Event()

    async def wait_for_release() -> str:
        await asyncio.to_thread(release.wait, 10)
        return "done"

    with ThreadPoolExecutor(1) as pool:
        call = pool.submit(thread.run, wait_for_release())
        other.run(echo(1))
        other.close()
        release.set()
        assert call.result(10) == "done"


def test_a_stubborn_call_does_not_hold_up_closing_for_long() -> None:
    thread = LoopThread()
    entered = threading.Event()

    async def refuse_to_end() -> None:
        entered.set()
        while True:
            try:
                await asyncio.sleep(60)
            except asyncio.CancelledError:
                if thread_is_over.is_set():
                    raise

    thread_is_over = threading.Event()
    with ThreadPoolExecutor(1) as pool:
        call = pool.submit(thread.run, refuse_to_end())
        assert entered.wait(5)
        began = time.monotonic()
        thread_is_over.set()
        thread.close()
        assert time.monotonic() - began < 5
        assert isinstance(call.exception(5), BridgeError)


@pytest.mark.parametrize("waiters", [1, 16])
def test_a_loop_that_is_stopped_wakes_all_who_wait(waiters: int) -> None:
    """R8.4"""
    with ThreadPoolExecutor(waiters) as pool, LoopThread() as thread:
        calls = [pool.submit(thread.run, sleep_for_ever()) for _ in range(waiters)]

        async def stop() -> None:
            asyncio.get_running_loop().stop()
            await sleep_for_ever()

        with pytest.raises(BridgeError, match="stopped"):
            thread.run(stop())
        assert all(isinstance(call.exception(5), BridgeError) for call in calls)
        with pytest.raises(BridgeError, match="stopped"):
            thread.run(echo(1))


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_loop_that_dies_wakes_all_who_wait() -> None:
    """R8.4"""

    def strike() -> None:
        raise SystemExit

    async def die() -> None:
        asyncio.get_running_loop().call_soon(strike)
        await sleep_for_ever()

    with ThreadPoolExecutor(4) as pool, LoopThread() as thread:
        calls = [pool.submit(thread.run, sleep_for_ever()) for _ in range(4)]
        with pytest.raises(BridgeError, match="died of SystemExit") as caught:
            thread.run(die())
        assert caught.value.maybe_applied
        assert all(isinstance(call.exception(5), BridgeError) for call in calls)
        with pytest.raises(BridgeError, match="died of SystemExit"):
            thread.run(echo(1))


def test_a_client_whose_loop_died_can_be_closed(emulator: Emulator) -> None:
    thread = LoopThread()
    client = Client(emulator.api_key, base_url=emulator.url, loop_thread=thread)
    client.account.whoami()

    async def stop() -> None:
        asyncio.get_running_loop().stop()

    thread.run(stop())
    client.close()
    thread.close()


def test_what_a_coroutine_raises_reaches_the_caller_whatever_it_is(thread: LoopThread) -> None:
    async def leave() -> None:
        raise SystemExit(3)

    with pytest.raises(SystemExit):
        thread.run(leave())
    assert thread.run(echo(1)) == 1


def test_a_coroutine_that_is_cancelled_in_the_loop_raises_no_cancelled_error(thread: LoopThread) -> None:
    async def cancel() -> None:
        task = asyncio.current_task()
        assert task is not None
        task.cancel()
        await asyncio.sleep(0)

    with pytest.raises(BridgeError, match="cancelled"):
        thread.run(cancel())


@pytest.mark.filterwarnings("ignore:a client made at:ResourceWarning")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_the_thread_of_a_dropped_client_ends(emulator: Emulator) -> None:
    before = loop_threads()
    client = Client(emulator.api_key, base_url=emulator.url)
    client.account.whoami()
    assert loop_threads() - before
    gone = weakref.ref(client)
    del client
    gc.collect()
    assert gone() is None
    wait_until(lambda: loop_threads() <= before)


def test_100_loop_threads_leave_no_thread_behind() -> None:
    before = loop_threads()
    for number in range(100):
        with LoopThread() as thread:
            assert thread.run(echo(number)) == number
    assert loop_threads() <= before


def test_blocking_work_does_not_use_threads_that_the_interpreter_joins(thread: LoopThread) -> None:
    async def find_thread() -> bool:
        return await asyncio.to_thread(lambda: threading.current_thread().daemon)

    assert thread.run(find_thread())


def test_an_iterator_closes_the_async_generator_when_it_is_left(thread: LoopThread) -> None:
    """R8.4"""
    from openrelay_sync.iteration import iterate

    closed = threading.Event()

    async def count() -> object:
        try:
            for number in range(100):
                yield number
        finally:
            await asyncio.sleep(0)
            closed.set()

    for number in iterate(thread, count()):  # type: ignore[arg-type]  # an async generator
        if number == 3:
            break
    assert closed.is_set()


def test_stopping_twice_does_not_break_off_the_clean_up() -> None:
    entered, cleaned = threading.Event(), threading.Event()

    async def work() -> None:
        entered.set()
        try:
            await sleep_for_ever()
        finally:
            running.request_stop()
            await asyncio.sleep(0.2)
            cleaned.set()

    running = RunningLoop([])
    crossing = Crossing(work(), None)
    running.submit(crossing)
    assert entered.wait(5)
    running.request_stop()
    running.join()
    assert cleaned.is_set()
    assert isinstance(crossing.error, BridgeError)
