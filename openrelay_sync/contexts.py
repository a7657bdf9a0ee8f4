"""What is used in `async with`, for `with`: leases, and whatever else is entered and left."""

from __future__ import annotations

import asyncio
from contextlib import AbstractAsyncContextManager, suppress
from types import TracebackType
from typing import Generic, TypeVar

from openrelay_async.errors import BridgeError
from openrelay_sync.resource import Bridge

T = TypeVar("T")


class SyncContext(Generic[T]):
    """A context manager whose async one is entered and left in one task, as it expects.

    The block runs in the caller's thread, so nothing can stop it from outside: what ends early, such as a
    lease that comes to its limit, is told when the block is left. Ctrl-C while it is entered is raised
    when everything is undone; a second Ctrl-C does not wait for that.
    """

    __slots__ = ("_bridge", "_leave", "_manager", "_task")

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
        except BaseException:
            # Undoing may take longer than an interrupted call is given, and must not be left half done.
            with suppress(BridgeError):  # the loop is gone, and everything with it
                self._bridge.run(self._settle())
            raise

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> bool | None:
        return self._bridge.run(self._end(error))

    async def _enter(self) -> T:
        loop = asyncio.get_running_loop()
        entered: asyncio.Future[T] = loop.create_future()
        self._leave = loop.create_future()
        self._task = loop.create_task(self._hold(entered, self._leave))
        try:
            return await entered
        except asyncio.CancelledError:
            self._task.cancel()
            await self._settle()
            raise

    async def _hold(
        self, entered: asyncio.Future[T], leave: asyncio.Future[BaseException | None]
    ) -> bool | None:
        try:
            value = await self._manager.__aenter__()
        except Exception as failure:
            if entered.done():  # the caller was interrupted: nobody else will hear of it
                raise
            entered.set_exception(failure)
            return None
        if entered.done():
            return await self._manager.__aexit__(None, None, None)
        entered.set_result(value)
        why: BaseException | None
        try:
            why = await leave
        except asyncio.CancelledError as cancelled:
            why = cancelled
        # Called, not raised: KeyboardInterrupt raised in a task would end the loop.
        if why is None:
            return await self._manager.__aexit__(None, None, None)
        return await self._manager.__aexit__(type(why), why, why.__traceback__)

    async def _end(self, error: BaseException | None) -> bool | None:
        if self._task is None or self._leave is None:
            return None
        if not self._leave.done():
            self._leave.set_result(error)
        return await asyncio.shield(self._task)

    async def _settle(self) -> None:
        if self._task is not None:
            await asyncio.wait([self._task])
            if not self._task.cancelled():
                self._task.exception()  # looked at: what it says is told by the error that is raised
