"""Who sleeps on a turned clock, and who is to wake next."""

from __future__ import annotations

import asyncio
import heapq
import itertools
import math
import threading
from contextlib import suppress

import attrs


@attrs.frozen(order=True)
class Sleeper:
    """One sleep; the order is that of waking."""

    at: float
    """The clock's time at which it ends."""
    number: int
    loop: asyncio.AbstractEventLoop = attrs.field(order=False)
    woken: asyncio.Future[None] = attrs.field(order=False)


class Sleepers:
    """The sleeps of a clock, in all loops and threads."""

    def __init__(self) -> None:
        self._heap: list[Sleeper] = []
        self._gone = 0
        self._numbers = itertools.count()
        self._lock = threading.Lock()

    def add(self, at: float) -> Sleeper:
        """A sleep in the running loop that ends when `wake` has come to this time."""
        loop = asyncio.get_running_loop()
        sleeper = Sleeper(at, next(self._numbers), loop, loop.create_future())
        with self._lock:
            heapq.heappush(self._heap, sleeper)
        return sleeper

    async def wait_for(self, sleeper: Sleeper) -> None:
        """Return when it has been woken."""
        try:
            await sleeper.woken
        except asyncio.CancelledError:
            self._forget_one()
            raise

    def next_waking(self) -> float:
        """When the next sleep ends; infinity if nobody sleeps."""
        with self._lock:
            while self._heap and self._heap[0].woken.done():  # cancelled
                heapq.heappop(self._heap)
            return self._heap[0].at if self._heap else math.inf

    def wake(self, now: float) -> None:
        """Wake whose time has come, in the order of their times; from any thread."""
        with self._lock:
            due = []
            while self._heap and self._heap[0].at <= now:
                due.append(heapq.heappop(self._heap))
        here = _find_running_loop()
        for sleeper in due:
            if sleeper.loop is here:
                _wake(sleeper.woken)
                continue
            with suppress(RuntimeError):  # its loop is closed: nobody sleeps there any more
                sleeper.loop.call_soon_threadsafe(_wake, sleeper.woken)

    def _forget_one(self) -> None:
        """Let go of the cancelled once they are the greater part: guards are cancelled as a rule."""
        with self._lock:
            self._gone += 1
            if 2 * self._gone > len(self._heap):
                self._heap = [sleeper for sleeper in self._heap if not sleeper.woken.done()]
                heapq.heapify(self._heap)
                self._gone = 0


def _find_running_loop() -> asyncio.AbstractEventLoop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None


def _wake(woken: asyncio.Future[None]) -> None:
    if not woken.done():
        woken.set_result(None)
