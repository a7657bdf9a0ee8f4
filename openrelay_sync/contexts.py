"""What is used in `async with`, for `with`: leases, and whatever else is entered and left."""

from __future__ import annotations

import asyncio
import weakref
from contextlib import AbstractAsyncContextManager, suppress
from types import TracebackType
from typing import Generic, TypeVar

from openrelay_async.errors import BridgeError
from openrelay_sync.loop_thread import LoopThread
from openrelay_sync.resource import Bridge
from openrelay_sync.running_loop import CLEAN_UP_LIMIT

T = TypeVar("T")


class SyncContext(Generic[T]):
    """A context manager whose async one is entered and left in one task, as it expects.

    The block runs in the caller's thread, so nothing can stop it from outside: what ends early, such as a
    lease that comes to its limit, is told when the block is left. Ctrl-C while it is entered is raised
    when everything is undone; a second Ctrl-C does not wait for that. Ctrl-C while it is left is raised
    when it has been left, after two seconds at the latest: a note says what may still be there then.
    """

    __slots__ = ("__weakref__", "_bridge", "_leave", "_manager", "_task")

    def __init__(self, bridge: Bridge, manager: AbstractAsyncContextManager[T, bool | None]) -> None:
        self._bridge = bridge
        self._manager = manager
        self._task: asyncio.Task[bool | None] | None = None
        self._leave: asyncio.Future[BaseException | None] | None = None

    def __repr__(self) -> str:
        return f"<sync {self._manager!r}>"

    def __enter__(self) -> T:
        try:
            return self._bridge.run(self._enter())
        except BaseException as error:
            # Undoing may take longer than an interrupted call is given, and must not be left half done.
            with suppress(BridgeError):  # the loop is gone, and everything with it
                self._bridge.run(self._settle(error))
            self._note_what_is_left(error)
            raise

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> bool | None:
        try:
            return self._bridge.run(self._end(error))
        except BaseException as failure:
            if self._leave is not None and not self._leave.done():
                # A signal struck before the loop had heard of it: nobody else would ever say it.
                with suppress(BridgeError):
                    self._bridge.run(self._settle(error, CLEAN_UP_LIMIT))
            self._note_what_is_left(failure)
            raise

    async def _enter(self) -> T:
        loop = asyncio.get_running_loop()
        entered: asyncio.Future[T] = loop.create_future()
        self._leave = loop.create_future()
        self._task = loop.create_task(_hold(self._manager, entered, self._leave))
        self._task.add_done_callback(_look_at)
        if isinstance(self._bridge, LoopThread):  # another bridge is closed by whoever made it
            self._bridge.hold(_Block(self._bridge, self._task, self._leave))
        try:
            return await entered
        except asyncio.CancelledError:
            self._task.cancel()  # whoever cancels this waits for the task by itself, or has no time to
            raise

    async def _end(self, error: BaseException | None) -> bool | None:
        if self._task is None or self._leave is None:
            return None
        if not self._leave.done():
            self._leave.set_result(error)
        try:
            return await asyncio.shield(self._task)
        except asyncio.CancelledError:
            # Whoever interrupts a call or closes the client waits for the end of this one, for a while.
            await self._settle(error)
            raise

    async def _settle(self, why: BaseException | None, limit: float | None = None) -> None:
        """Wait until it has been left; begin to leave if nobody has.

        Args:
            why: what the block has raised, or kept from beginning.
            limit: seconds.
        """
        if self._task is None or self._leave is None:
            return
        if not self._leave.done():
            # It may have been entered at the very moment of the interruption.
            self._leave.set_result(why)
        await asyncio.wait([self._task], timeout=limit)

    def _note_what_is_left(self, error: BaseException) -> None:
        """Add to an error what it would hide: that it was not left, or why that has failed."""
        task = self._task
        if task is None or (task.done() and task.cancelled()):
            return
        if not task.done():
            error.add_note(f"{self._manager!r} is still being left: what it holds may still be there")
            return
        failure = task.exception()
        if failure is not None and failure is not error:
            error.add_note(f"leaving {self._manager!r} failed: {failure}")


def _look_at(task: asyncio.Task[bool | None]) -> None:
    """Retrieve a failure: whoever leaves raises it, or has a note; asyncio need not log it beside that."""
    if not task.cancelled():
        task.exception()


class _Block:
    """What is entered, as far as the loop has to end it.

    The loop keeps it until it has been left, also where nobody else does, so that it is never finalized in
    the middle; it keeps neither the client nor its thread by that.
    """

    __slots__ = ("_leave", "_owner", "task")

    def __init__(
        self,
        owner: LoopThread,
        task: asyncio.Task[bool | None],
        leave: asyncio.Future[BaseException | None],
    ) -> None:
        self._owner = weakref.ref(owner)
        self.task = task
        self._leave = leave

    def break_off(self, owner: object) -> bool:
        """Leave it before its client is closed, which could no longer do that; for the loop's thread."""
        if owner is not self._owner() or self.task.done():
            return False
        if not self._leave.done():
            self._leave.set_result(BridgeError("the client was closed before the block had ended"))
        return True


async def _hold(
    manager: AbstractAsyncContextManager[T, bool | None],
    entered: asyncio.Future[T],
    leave: asyncio.Future[BaseException | None],
) -> bool | None:
    try:
        value = await manager.__aenter__()
    except Exception as failure:
        if entered.done():  # the caller was interrupted: nobody else will hear of it
            raise
        entered.set_exception(failure)
        return None
    except asyncio.CancelledError:
        entered.cancel()  # whoever has cancelled it: the caller must not wait for ever
        raise
    if not entered.done():
        entered.set_result(value)
    why: BaseException | None
    try:
        why = await leave
    except asyncio.CancelledError as cancelled:
        why = cancelled
    # Called, not raised: KeyboardInterrupt raised in a task would end the loop.
    if why is None:
        return await manager.__aexit__(None, None, None)
    return await manager.__aexit__(type(why), why, why.__traceback__)
