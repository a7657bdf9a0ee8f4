"""One call on its way through the loop: a coroutine goes in, its result or error comes out in another thread.

A lock is handed over instead of a `concurrent.futures.Future`: nothing else between two threads costs less.
"""

from __future__ import annotations

import asyncio
from _thread import allocate_lock
from collections.abc import Coroutine
from contextvars import copy_context
from types import TracebackType
from typing import Any, Generic, TypeVar

from openrelay_async.errors import BridgeError

T = TypeVar("T")

_PACKAGE = __name__.partition(".")[0]


class Crossing(Generic[T]):
    """A coroutine, the context that it is to run in, and what became of it.

    The thread that waits acquires `done`, which is released when `error` or `result` is there.
    """

    __slots__ = (
        "calls",
        "context",
        "coroutine",
        "done",
        "error",
        "is_answered",
        "owner",
        "result",
        "task",
        "why_cancelled",
    )

    result: T
    calls: set[Crossing[Any]]
    """The calls of the loop that has begun it; it is among them until it has ended."""

    def __init__(self, coroutine: Coroutine[object, object, T], owner: object) -> None:
        self.coroutine = coroutine
        self.owner = owner
        # As asyncio does for tasks: what the caller has set, such as a trace, holds inside the call too.
        self.context = copy_context()
        self.task: asyncio.Task[None] | None = None
        self.error: BaseException | None = None
        self.why_cancelled = "cancelled in the event loop"
        self.is_answered = False
        self.done = allocate_lock()
        self.done.acquire()

    # All below runs in the loop's thread, but for `fail` where that thread is gone.

    def begin(self, loop: asyncio.AbstractEventLoop, calls: set[Crossing[Any]]) -> None:
        """Run the coroutine in a task, as one of the loop's calls."""
        self.calls = calls
        calls.add(self)
        self.task = loop.create_task(self._carry(), context=self.context)

    async def _carry(self) -> None:
        """Run the coroutine; every end of it is handed to the thread that waits."""
        try:
            self.result = await self.coroutine
        except GeneratorExit:
            # The loop is being torn down, and this frame with it.
            self.error = BridgeError("the event loop was dropped while the call was under way")
            raise
        except asyncio.CancelledError:
            self.error = self._cancelled()
        except BaseException as error:  # also SystemExit, which is the caller's and would end the loop
            self.error = error.with_traceback(_skip_own_frames(error.__traceback__))
        finally:
            self.calls.discard(self)
            self.answer()

    def cancel(self, reason: str) -> None:
        """Cancel the call, begun or not."""
        self.why_cancelled = reason
        task = self.task
        if task is None:
            self.fail(self._cancelled())
        elif not task.done():
            # A task that is cancelled before its first step never runs a line of `_carry`.
            task.add_done_callback(self._end_with_task)
            task.cancel()

    def fail(self, error: BaseException) -> None:
        """End a call that its task does not end: one that was not begun, or whose loop is gone."""
        if self.is_answered:
            return
        if self.task is None:
            self.coroutine.close()
        if self.error is None:
            self.error = error
        self.answer()

    def answer(self) -> None:
        """Let the thread that waits go on; a second time does no harm."""
        self.is_answered = True
        if self.done.locked():
            self.done.release()

    def _end_with_task(self, task: asyncio.Task[None]) -> None:
        self.calls.discard(self)
        if not self.is_answered:
            self.coroutine.close()
            self.fail(self._cancelled())

    def _cancelled(self) -> BridgeError:
        begun = self.task is not None
        return BridgeError(f"the call was {self.why_cancelled}", maybe_applied=begun)


def _skip_own_frames(traceback: TracebackType | None) -> TracebackType | None:
    """Return the part of a traceback that tells users something: not this package's frames in the loop."""
    while traceback is not None and traceback.tb_frame.f_globals.get("__package__") == _PACKAGE:
        traceback = traceback.tb_next
    return traceback
