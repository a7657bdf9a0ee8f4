"""Leases and other `with` blocks: whatever strikes as they are entered or left, they are left, soon."""

from __future__ import annotations

import asyncio
import gc
import signal
import threading
import time
from collections.abc import Coroutine, Iterator
from types import TracebackType
from typing import TypeVar

import pytest

from openrelay_async.emulator import Emulator, Fault
from openrelay_async.errors import BridgeError
from openrelay_sync import Client, LoopThread, SyncContext

T = TypeVar("T")


@pytest.fixture
def thread() -> Iterator[LoopThread]:
    with LoopThread() as thread:
        yield thread


class Manager:
    """Notes how it was left."""

    def __init__(self) -> None:
        self.left: list[type[BaseException] | None] = []

    async def __aenter__(self) -> str:
        return "entered"

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.left.append(kind)


class StruckBridge:
    """Has Ctrl-C strike as the given call is to be handed to the loop."""

    def __init__(self, thread: LoopThread, at: int) -> None:
        self._thread = thread
        self._at = at
        self._calls = 0

    def run(self, coroutine: Coroutine[object, object, T]) -> T:
        self._calls += 1
        if self._calls == self._at:
            coroutine.close()
            raise KeyboardInterrupt
        return self._thread.run(coroutine)


SCRIPT = """
    import gc, os, signal, sys, time
    from openrelay_sync import Client, LoopThread, SyncContext

    def strike(*_):
        os.kill(os.getpid(), signal.SIGINT)
"""


def test_ctrl_c_as_a_block_is_entered_is_raised_and_it_is_left(run_script) -> None:
    """R8.2: it strikes when the loop has entered it, and the caller has not heard of that yet."""
    done = run_script(
        SCRIPT
        + """
    class Manager:
        async def __aenter__(self):
            strike()
        async def __aexit__(self, kind, error, traceback):
            print("left", kind is not None)

    with LoopThread() as thread:
        for _ in range(20):
            try:
                with SyncContext(thread, Manager()):
                    print("in the block")
            except KeyboardInterrupt:
                print("interrupted")
    """,
        timeout=20,
    )
    assert (done.code, done.out, done.err) == (0, "left True\ninterrupted\n" * 20, "")


def test_ctrl_c_as_a_lease_is_entered_terminates_it(run_script) -> None:
    """R5.8, R8.2: at the very moment at which the VM runs."""
    with Emulator.in_thread(speed=100) as emulator:
        done = run_script(
            SCRIPT
            + f"""
    class Struck:
        def __init__(self, lease):
            self.lease = lease
        async def __aenter__(self):
            vm = await self.lease.__aenter__()
            strike()
            return vm
        async def __aexit__(self, *error):
            return await self.lease.__aexit__(*error)

    with Client({emulator.api_key!r}, base_url=sys.argv[1], org_id={emulator.org_id!r}) as client:
        lease = client._async_client.vms.lease(name="struck", gpu_model_id="rtx-4090")
        try:
            with SyncContext(client._bridge, Struck(lease)):
                print("in the block")
        except KeyboardInterrupt:
            print([vm.status for vm in client.vms.list()])
    """,
            emulator.url,
            timeout=20,
        )
    assert (done.code, done.out, done.err) == (0, "['terminated']\n", "")


def test_a_second_ctrl_c_does_not_wait_until_what_was_entered_is_undone(run_script) -> None:
    """R8.2: the first one does, however long it takes."""
    done = run_script(
        SCRIPT
        + """
    import asyncio

    class Manager:
        async def __aenter__(self):
            strike()
        async def __aexit__(self, kind, error, traceback):
            await asyncio.sleep(0.5)
            strike()
            await asyncio.sleep(60)

    with LoopThread() as thread:
        try:
            with SyncContext(thread, Manager()):
                print("in the block")
        except KeyboardInterrupt:
            print("interrupted")
    """,
        timeout=20,
    )
    assert (done.code, done.out, done.err) == (0, "interrupted\n", "")


def test_ctrl_c_while_a_lease_is_left_lets_it_be_terminated_before_the_program_ends(run_script) -> None:
    """R5.8, R8.2: it strikes while the service is busy; nobody catches it, and nobody closes the client."""
    busy = Fault(operation="terminateVm", call=1, status=503)
    with Emulator.in_thread(speed=100, faults=[busy]) as emulator:
        done = run_script(
            SCRIPT
            + f"""
    class Strike:
        def on_retry(self, event):
            strike()

    client = Client({emulator.api_key!r}, base_url=sys.argv[1], org_id={emulator.org_id!r}, hooks=[Strike()])
    with client.vms.lease(name="left", gpu_model_id="rtx-4090"):
        print("entered")
    print("not interrupted")
    """,
            emulator.url,
        )
        assert (done.code, done.out) == (-signal.SIGINT, "entered\n"), done.err
        with Client(emulator.api_key, base_url=emulator.url, org_id=emulator.org_id) as client:
            assert [vm.status for vm in client.vms.list()] == ["terminated"]


def test_ctrl_c_while_a_lease_cannot_be_terminated_is_raised_after_two_seconds(run_script) -> None:
    """R8.2, R5.8: a note names what may still run, and closing the client leaves no task behind."""
    down = Fault(operation="terminateVm", call=1, times=1000, status=503)
    with Emulator.in_thread(speed=100, faults=[down]) as emulator:
        done = run_script(
            SCRIPT
            + f"""
    class Strike:
        struck = False
        def on_retry(self, event):
            if not self.struck:
                self.struck = True
                strike()

    try:
        with Client(
            {emulator.api_key!r}, base_url=sys.argv[1], org_id={emulator.org_id!r}, hooks=[Strike()]
        ) as client:
            try:
                with client.vms.lease(name="left", gpu_model_id="rtx-4090") as vm:
                    began = time.monotonic()
            except KeyboardInterrupt:
                print(1.9 < time.monotonic() - began < 4)
                raise
    except KeyboardInterrupt as error:
        print([vm.id in note for note in error.__notes__])
    del client
    gc.collect()
    """,
            emulator.url,
        )
    assert (done.code, done.out, done.err) == (0, "True\n[True]\n", "")


@pytest.mark.parametrize("given", [None, ValueError("in the block")])
def test_ctrl_c_before_the_loop_heard_that_a_block_is_left_does_not_keep_it_entered(
    thread: LoopThread, given: Exception | None
) -> None:
    """R8.2, R5.8"""
    manager = Manager()
    context: SyncContext[str] = SyncContext(StruckBridge(thread, at=2), manager)

    def use() -> None:
        with context:
            if given is not None:
                raise given

    with pytest.raises(KeyboardInterrupt):
        use()
    assert manager.left == [None if given is None else ValueError]


def test_a_failure_to_leave_is_told_with_what_is_raised_instead(run_script) -> None:
    """R5.8: Ctrl-C does not hide that something may still run."""
    done = run_script(
        SCRIPT
        + """
    class Manager:
        def __repr__(self):
            return "<the VM vm_1>"
        async def __aenter__(self):
            strike()
        async def __aexit__(self, *error):
            raise ValueError("it cannot be terminated")

    with LoopThread() as thread:
        try:
            with SyncContext(thread, Manager()):
                print("in the block")
        except KeyboardInterrupt as error:
            print(*error.__notes__)
    gc.collect()
    """
    )
    assert (done.code, done.out, done.err) == (
        0,
        "leaving <the VM vm_1> failed: it cannot be terminated\n",
        "",
    )


def test_closing_a_client_terminates_the_leases_whose_blocks_have_not_ended() -> None:
    """R5.8: afterwards it could not be done."""
    with (
        Emulator.in_thread(speed=100) as emulator,
        Client(emulator.api_key, base_url=emulator.url, org_id=emulator.org_id) as other,
        LoopThread() as thread,
    ):
        client = Client(emulator.api_key, base_url=emulator.url, org_id=emulator.org_id, loop_thread=thread)
        seen: list[str] = []

        def use() -> None:
            with (
                other.vms.lease(name="of-another-client", gpu_model_id="rtx-4090") as kept,
                client.vms.lease(name="of-the-client", gpu_model_id="rtx-4090") as vm,
            ):
                client.close()
                seen.extend(other.vms.get(id).status for id in (vm.id, kept.id))  # noqa: A001 - what it is

        with pytest.raises(BridgeError, match="closed"):
            use()
        assert seen == ["terminated", "running"]


def test_closing_one_client_of_a_thread_leaves_the_leases_of_the_other(thread: LoopThread) -> None:
    with Emulator.in_thread(speed=100) as emulator:
        one, other = (
            Client(emulator.api_key, base_url=emulator.url, org_id=emulator.org_id, loop_thread=thread)
            for _ in range(2)
        )
        with other.vms.lease(name="kept", gpu_model_id="rtx-4090") as vm:
            one.close()
            assert other.vms.get(vm.id).status == "running"
        assert other.vms.get(vm.id).status == "terminated"
        other.close()


def test_closing_a_client_in_another_thread_lets_a_lease_that_is_left_be_terminated() -> None:
    """R5.8: the service is busy at first, and the client is closed meanwhile."""
    busy = Fault(operation="terminateVm", call=1, status=503)
    refused = threading.Event()

    class Watch:
        def on_retry(self, event: object) -> None:
            refused.set()

    with Emulator.in_thread(speed=100, faults=[busy]) as emulator:
        client = Client(emulator.api_key, base_url=emulator.url, org_id=emulator.org_id, hooks=[Watch()])

        def close() -> None:
            assert refused.wait(10)
            client.close()

        closing = threading.Thread(target=close)
        closing.start()
        with pytest.raises(BridgeError), client.vms.lease(name="left", gpu_model_id="rtx-4090") as vm:
            pass
        closing.join(10)
        with Client(emulator.api_key, base_url=emulator.url, org_id=emulator.org_id) as other:
            assert other.vms.get(vm.id).status == "terminated"


def test_closing_a_client_under_a_lease_that_cannot_be_terminated_leaves_no_task_behind(run_script) -> None:
    """Python would say so on the error output: `Task was destroyed but it is pending!`"""
    down = Fault(operation="terminateVm", call=1, times=1000, status=503)
    with Emulator.in_thread(speed=100, faults=[down]) as emulator:
        done = run_script(
            SCRIPT
            + f"""
    client = Client({emulator.api_key!r}, base_url=sys.argv[1], org_id={emulator.org_id!r})
    try:
        with client.vms.lease(name="left", gpu_model_id="rtx-4090") as vm:
            client.close()
    except Exception as error:
        print(type(error).__name__)
    del client
    gc.collect()
    """,
            emulator.url,
        )
    assert (done.code, done.out, done.err) == (0, "BridgeError\n", "")


def test_a_block_that_is_cancelled_in_the_loop_as_it_is_entered_does_not_hang(thread: LoopThread) -> None:
    """R8.4"""

    class Cancelled(Manager):
        async def __aenter__(self) -> str:
            raise asyncio.CancelledError

    began = time.monotonic()
    with pytest.raises(BridgeError, match="cancelled"), SyncContext(thread, Cancelled()):
        pass
    assert time.monotonic() - began < 5


NEVER_LEFT = {
    "kept": "lease = make(); lease.__enter__()",
    "dropped": "make().__enter__()",
    "on a stack": "stack = contextlib.ExitStack(); stack.enter_context(client); stack.enter_context(make())",
    "in a thread": (
        "threading.Thread(target=lambda: make().__enter__()).start()\n"
        "    while threading.active_count() > 2: time.sleep(0.01)"
    ),
}


@pytest.mark.parametrize("way", NEVER_LEFT)
def test_the_interpreter_ends_silently_with_a_lease_that_was_entered_and_never_left(
    way: str, run_script, emulator: Emulator
) -> None:
    """R1.6"""
    done = run_script(
        f"""
    import contextlib, gc, sys, threading, time
    from openrelay_sync import Client

    def make():
        return client.vms.lease(name="never-left", gpu_model_id="rtx-4090", ssh_key_ids=[])

    client = Client({emulator.api_key!r}, base_url=sys.argv[1], org_id={emulator.org_id!r})
    {NEVER_LEFT[way]}
    gc.collect()
    print(time.time())
    """,
        emulator.url,
    )
    ended = time.time()
    assert (done.code, done.err) == (0, "")
    assert ended - float(done.out) < 5, "it was held up"


def test_a_block_that_nobody_keeps_is_left_when_its_client_is_closed() -> None:
    """It was finalized in the middle: asyncio complained, and nobody ended what it held."""
    manager = Manager()
    with LoopThread() as thread:
        SyncContext(thread, manager).__enter__()
        gc.collect()
    assert manager.left == [BridgeError]


def test_a_block_that_is_dropped_together_with_its_client_is_left() -> None:
    """And does not keep the client's thread."""
    manager = Manager()
    thread = LoopThread()
    SyncContext(thread, manager).__enter__()
    del thread
    gc.collect()
    end = time.monotonic() + 5
    while not manager.left:
        assert time.monotonic() < end, "it was not left"
        time.sleep(0.01)
