"""Places for requests under way, first come, first served."""

from __future__ import annotations

import asyncio
import math
from collections import deque

from openrelay_async.attempt_timer import Limits


class Slots:
    """A number of places in one event loop. A place that is given back goes straight to who waits longest.

    `asyncio.Semaphore` keeps the same promise; it wakes a waiter that then looks for a place again, and asks
    all waiters whether they still wait, which costs three times as much where nobody has to.
    """

    __slots__ = ("_limits", "_waiters", "free", "waiting")

    def __init__(self, limits: Limits, count: int) -> None:
        self._limits = limits
        self.free = count
        self.waiting = 0
        """How many wait for a place."""
        self._waiters: deque[asyncio.Future[bool]] = deque()

    def take_now(self) -> bool:
        """Take a place if one is free; return whether it was."""
        if self.free == 0:
            return False
        self.free -= 1
        return True

    async def take(self, within: float) -> bool:
        """Take a place, waiting for one if it must; return whether one became free within `within` seconds.

        Thousands may wait here at once, so that each of them is little: a future and its deadline.
        """
        if self.take_now():
            return True
        waiter: asyncio.Future[bool] = self._limits.loop.create_future()
        self._waiters.append(waiter)
        patience = _Patience(waiter, self._limits.loop.time() + within)
        if within != math.inf:
            self._limits.add(patience, patience.until)
        self.waiting += 1
        try:
            return await waiter
        except asyncio.CancelledError:
            if waiter.done() and not waiter.cancelled() and waiter.result():
                # The place came together with the cancellation: it goes to the next.
                self.give_back()
            raise
        finally:
            self.waiting -= 1
            self._limits.remove(patience)

    def give_back(self) -> None:
        """Give back a place that was taken."""
        while self._waiters:
            waiter = self._waiters.popleft()
            if not waiter.done():
                waiter.set_result(True)
                return
        self.free += 1

    def turn_away_all(self) -> None:
        """Tell all who wait that no place becomes free for them."""
        while self._waiters:
            waiter = self._waiters.popleft()
            if not waiter.done():
                waiter.set_result(False)


class _Patience:
    """How long one waits."""

    __slots__ = ("_waiter", "until")

    def __init__(self, waiter: asyncio.Future[bool], until: float) -> None:
        self._waiter = waiter
        self.until = until

    def due(self) -> float:
        return self.until

    def is_moving(self) -> bool:
        return False

    def expire(self) -> None:
        if not self._waiter.done():
            self._waiter.set_result(False)
