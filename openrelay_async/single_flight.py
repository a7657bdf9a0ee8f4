"""One question for all who ask it at the same time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Generic, TypeVar

T = TypeVar("T")


class SingleFlight(Generic[T]):
    """Runs a coroutine once for all callers that wait for its result; each event loop has its own."""

    __slots__ = ("_running",)

    def __init__(self) -> None:
        self._running: dict[asyncio.AbstractEventLoop, asyncio.Task[T]] = {}

    async def run(self, make: Callable[[], Coroutine[object, object, T]]) -> T:
        """Return the result of the run under way; start one if there is none."""
        loop = asyncio.get_running_loop()
        task = self._running.get(loop)
        if task is None:
            # A loop that was closed in the middle of a run never told its end.
            for closed in [other for other in list(self._running) if other.is_closed()]:
                self._running.pop(closed, None)
            task = loop.create_task(make())
            self._running[loop] = task
            task.add_done_callback(self._finish)
        # A caller that gives up does not take the answer from the others.
        return await asyncio.shield(task)

    def _finish(self, task: asyncio.Task[T]) -> None:
        self._running.pop(task.get_loop(), None)
        if not task.cancelled():
            # Every caller may have given up: then nobody else looks at the error.
            task.exception()
