"""R8.2 inside a coroutine: `asyncio.run` makes Ctrl-C a cancellation; a blocked loop hears of it too late."""

from __future__ import annotations

import asyncio
import signal
import threading

import pytest

from openrelay_async import errors
from openrelay_async.emulator import Emulator
from openrelay_sync import Client
from openrelay_sync.runner_interrupt import find_runner_handler
from openrelay_sync.running_loop import RunningLoop

RUNNERS = ["asyncio", "uvloop"]

# Strikes from a thread, a moment after the condition holds. `program` is what each test runs.
PRELUDE = """
    import asyncio, os, signal, sys, threading, time
    from openrelay_sync import Client, LoopThread

    def strike_when(condition):
        def strike():
            global struck
            while not condition():
                time.sleep(0.005)
            time.sleep(0.2)
            struck = time.monotonic()
            os.kill(os.getpid(), signal.SIGINT)
        threading.Thread(target=strike, daemon=True).start()

    def run(program):
        import RUNNER
        try:
            RUNNER.run(program)
        except KeyboardInterrupt:
            print("interrupted")
        else:
            print("not interrupted")

    async def hang(begun, clean_up=0.0):
        try:
            begun.set()
            await asyncio.sleep(60)
        finally:
            await asyncio.sleep(clean_up)
            print("cleaned up")
"""


def _prelude(runner: str) -> str:
    pytest.importorskip(runner)
    return PRELUDE.replace("RUNNER", runner)


@pytest.mark.parametrize("runner", RUNNERS)
def test_ctrl_c_ends_a_call_and_its_clean_up_is_waited_for(runner, run_script) -> None:
    done = run_script(
        _prelude(runner)
        + """
    begun = threading.Event()

    async def main():
        try:
            thread.run(hang(begun, clean_up=0.3))
        except KeyboardInterrupt:
            assert time.monotonic() - struck < 4, "it took too long"
            raise

    with LoopThread() as thread:
        strike_when(begun.is_set)
        run(main())
    """
    )
    assert (done.code, done.out, done.err) == (0, "cleaned up\ninterrupted\n", "")


@pytest.mark.parametrize("runner", RUNNERS)
def test_ctrl_c_ends_a_request_and_the_client_works_after_it(runner, run_script, silent_server) -> None:
    """Three times in one process."""
    done = run_script(
        _prelude(runner)
        + """
    class Seen:
        now = False
        def on_attempt(self, event): self.now = True

    async def main():
        client.vms.get("vm_1")

    seen = Seen()
    with Client(base_url=sys.argv[1], hooks=[seen]) as client:
        for _ in range(3):
            seen.now = False
            strike_when(lambda: seen.now)
            run(main())
            assert time.monotonic() - struck < 4, "it took too long"
    """,
        silent_server.url,
    )
    assert (done.code, done.out, done.err) == (0, "interrupted\n" * 3, "")


@pytest.mark.parametrize("runner", RUNNERS)
def test_ctrl_c_ends_a_row_of_short_calls(runner, run_script, vm_server) -> None:
    """It may strike in any, or between two."""
    done = run_script(
        _prelude(runner)
        + """
    async def main():
        while time.monotonic() < end:
            client.vms.get("vm_1")
            begun.set()

    begun, end = threading.Event(), time.monotonic() + 10
    with Client(base_url=sys.argv[1]) as client:
        strike_when(begun.is_set)
        run(main())
        assert time.monotonic() - struck < 4, "it took too long"
    """,
        vm_server.url,
    )
    assert (done.code, done.out, done.err) == (0, "interrupted\n", "")


@pytest.mark.parametrize("runner", RUNNERS)
def test_ctrl_c_ends_a_call_in_a_task_beside_the_main_one(runner, run_script) -> None:
    """It would cancel the main task, not the one that makes the call."""
    done = run_script(
        _prelude(runner)
        + """
    begun = threading.Event()

    async def call():
        thread.run(hang(begun))

    async def main():
        task = asyncio.create_task(call())
        await asyncio.sleep(60)

    with LoopThread() as thread:
        strike_when(begun.is_set)
        run(main())
        assert time.monotonic() - struck < 4, "it took too long"
    """
    )
    assert (done.code, done.out) == (0, "cleaned up\ninterrupted\n")


@pytest.mark.parametrize("runner", RUNNERS)
@pytest.mark.parametrize("place", ["task group", "callback"])
def test_ctrl_c_strikes_a_call_wherever_in_the_loop_it_is_made(place, runner, run_script) -> None:
    """From its first moment, also where there is no task."""
    done = run_script(
        _prelude(runner)
        + """
    def call():
        async def strike():
            os.kill(os.getpid(), signal.SIGINT)
            await asyncio.sleep(60)
        thread.run(strike())

    async def main():
        if PLACE == "callback":
            asyncio.get_running_loop().call_soon(call)
            await asyncio.sleep(60)
        async with asyncio.TaskGroup() as group:
            group.create_task(call_in_task())

    async def call_in_task():
        call()

    with LoopThread() as thread:
        began = time.monotonic()
        run(main())
        assert time.monotonic() - began < 5, "it took too long"
    """.replace("PLACE", repr(place))
    )
    assert (done.code, done.out) == (0, "interrupted\n")


@pytest.mark.parametrize("runner", RUNNERS)
def test_a_coroutine_that_was_interrupted_can_clean_up_with_calls_and_awaits(
    runner, run_script, vm_server
) -> None:
    """The interruption has been raised, so it is over: it ends neither the next call nor an await."""
    done = run_script(
        _prelude(runner)
        + """
    begun = threading.Event()

    async def main():
        try:
            client._bridge.run(hang(begun))
        finally:
            await asyncio.sleep(0.01)
            client._bridge.run(asyncio.sleep(0.2))
            print(client.vms.get("vm_1").id)
            await asyncio.sleep(0.01)
            print("awaited")

    with Client(base_url=sys.argv[1]) as client:
        client.vms.get("vm_1")
        strike_when(begun.is_set)
        run(main())
    """,
        vm_server.url,
    )
    assert (done.code, done.out, done.err) == (0, "cleaned up\nvm_1\nawaited\ninterrupted\n", "")


def test_a_call_in_the_clean_up_of_a_coroutine_that_ctrl_c_has_cancelled_goes_on(run_script) -> None:
    """It struck at an `await`, where asyncio itself has raised the cancellation."""
    done = run_script(
        _prelude("asyncio")
        + """
    begun = threading.Event()

    async def main():
        try:
            begun.set()
            await asyncio.sleep(60)
        finally:
            thread.run(asyncio.sleep(0.3))
            print("terminated")

    with LoopThread() as thread:
        strike_when(begun.is_set)
        run(main())
    """
    )
    assert (done.code, done.out, done.err) == (0, "terminated\ninterrupted\n", "")


def test_ctrl_c_that_the_program_handles_by_itself_is_left_to_it(run_script) -> None:
    done = run_script(
        _prelude("asyncio")
        + """
    begun = threading.Event()

    async def main():
        asyncio.get_running_loop().add_signal_handler(signal.SIGINT, print, "heard")
        async def work():
            begun.set()
            await asyncio.sleep(0.5)
        thread.run(work())
        await asyncio.sleep(0.1)

    with LoopThread() as thread:
        strike_when(begun.is_set)
        run(main())
    """
    )
    assert (done.code, done.out, done.err) == (0, "heard\nnot interrupted\n", "")


def test_ctrl_c_is_left_as_it_is_where_it_is_raised_anyway() -> None:
    """Outside of a loop, and in all threads but the main one, a call costs no more than before."""
    found: list[object] = [find_runner_handler()]

    async def look() -> None:
        found.append(find_runner_handler())

    thread = threading.Thread(target=lambda: asyncio.run(look()))
    thread.start()
    thread.join()
    assert found == [None, None]


def test_after_a_call_ctrl_c_is_the_runners_again(client: Client) -> None:
    async def make_calls() -> None:
        handler = signal.getsignal(signal.SIGINT)
        assert handler is find_runner_handler()
        seen = []

        async def look() -> None:
            seen.append(signal.getsignal(signal.SIGINT))

        client._bridge.run(look())
        with pytest.raises(errors.NotFound):
            client.vms.get("vm_missing")
        assert seen == [signal.default_int_handler]
        assert signal.getsignal(signal.SIGINT) is handler

    asyncio.run(make_calls())


def test_a_call_that_ends_soon_is_not_looked_after(
    client: Client, emulator: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Under a runner too: nothing wakes, neither the caller nor the loop's thread."""
    client.account.whoami()
    looks = 0

    def count(running: RunningLoop, crossing: object) -> None:
        nonlocal looks
        looks += 1

    async def make_calls() -> None:
        assert find_runner_handler() is not None
        for _ in range(50):
            client._bridge.run(asyncio.sleep(0))

    monkeypatch.setattr(RunningLoop, "look_after", count)
    asyncio.run(make_calls())
    assert looks <= 2  # a busy machine may hold one up
