"""One question for all who ask it at the same time."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Coroutine
from typing import Generic, TypeVar

T = TypeVar("T")


class _Flight(Generic[T]):
    """A run under way in one loop, and those who wait for it."""

    __slots__ = ("task", "until", "waiting")

    task: asyncio.Task[T]

    def __init__(self) -> None:
        self.waiting = 0
        self.until = -math.inf


class SingleFlight(Generic[T]):
    """Runs a coroutine once for all callers that wait for its result; each event loop has its own."""

    __slots__ = ("_only_while_awaited", "_running")

    def __init__(self, *, only_while_awaited: bool = False) -> None:
        """Make one with nothing under way.

        Args:
            only_while_awaited: cancel a run with the last of its callers, so that nothing is done for nobody.
                Else it goes on for those who come later, as a question should that cannot be stopped, or
                that takes longer than each of its callers has.
        """
        self._only_while_awaited = only_while_awaited
        self._running: dict[asyncio.AbstractEventLoop, _Flight[T]] = {}

    async def run(self, make: Callable[[], Coroutine[object, object, T]], *, until: float = math.inf) -> T:
        """Return the result of the run under way; start one if there is none.

        Args:
            until: when the caller will give up, for the run to know: see `awaited_until`.
        """
        loop = asyncio.get_running_loop()
        flight = self._running.get(loop)
        if flight is None:
            # A loop that was closed in the middle of a run never told its end.
            for closed in [other for other in list(self._running) if other.is_closed()]:
                self._running.pop(closed, None)
            flight = self._begin(loop, make, until)
        flight.until = max(flight.until, until)
        flight.waiting += 1
        try:
            # A caller that gives up does not take the answer from the others.
            return await asyncio.shield(flight.task)
        except asyncio.CancelledError:
            if self._only_while_awaited and flight.waiting == 1 and not flight.task.done():
                # Forgotten at once: who comes before it has ended must not get its cancellation.
                self._forget(flight, loop)
                flight.task.cancel()
            raise
        finally:
            flight.waiting -= 1

    def awaited_until(self) -> float:
        """Return the latest time until which a caller of the run under way in this loop waits for it."""
        flight = self._running.get(asyncio.get_running_loop())
        return -math.inf if flight is None else flight.until

    def _begin(
        self,
        loop: asyncio.AbstractEventLoop,
        make: Callable[[], Coroutine[object, object, T]],
        until: float,
    ) -> _Flight[T]:
        flight: _Flight[T] = _Flight()
        flight.until = until
        # Before its task: an eager one runs at once.
        self._running[loop] = flight

        def finish(task: asyncio.Task[T]) -> None:
            self._forget(flight, loop)
            if not task.cancelled():
                # Every caller may have given up: then nobody else looks at the error.
                task.exception()

        flight.task = loop.create_task(make())
        flight.task.add_done_callback(finish)
        return flight

    def _forget(self, flight: _Flight[T], loop: asyncio.AbstractEventLoop) -> None:
        if self._running.get(loop) is flight:
            del self._running[loop]
