"""The clocks of an emulator: the machine's made faster, and one that tests turn by hand."""

from __future__ import annotations

import asyncio
import heapq
import itertools
import random
import threading
from contextlib import suppress

from openrelay_async.clock import Clock, SystemClock

DAY_ONE = 1_793_491_200.0
"""2026-11-01T00:00:00Z: where a turned clock begins unless told otherwise."""


class TurnedClock:
    """A clock that stands still until it is turned: `clock.advance(1800)`.

    Whoever sleeps on it wakes when it has been turned far enough, in the order of waking times; it may be
    turned from any thread. Emulator and client may share one: give the client `clock.jumping()`, whose
    sleeps turn the clock themselves, and a wait of half an hour is over at once.
    """

    def __init__(self, start: float = DAY_ONE, *, seed: int = 0) -> None:
        self._start = start
        self._elapsed = 0.0
        self._random = random.Random(seed)  # noqa: S311 - jitter, not a secret
        self._sleepers: list[tuple[float, int, asyncio.AbstractEventLoop, asyncio.Future[None]]] = []
        self._order = itertools.count()
        self._lock = threading.Lock()

    def monotonic(self) -> float:
        return self._elapsed

    def wall(self) -> float:
        return self._start + self._elapsed

    def uniform(self, low: float, high: float) -> float:
        return self._random.uniform(low, high)

    async def sleep(self, seconds: float) -> None:
        if seconds <= 0:
            await asyncio.sleep(0)
            return
        loop = asyncio.get_running_loop()
        woken: asyncio.Future[None] = loop.create_future()
        with self._lock:
            heapq.heappush(self._sleepers, (self._elapsed + seconds, next(self._order), loop, woken))
        await woken

    def advance(self, seconds: float) -> None:
        """Turn the clock forward and wake who has slept enough."""
        if seconds < 0:
            raise ValueError("a clock is turned forward only")
        with self._lock:
            self._elapsed += seconds
            due = []
            while self._sleepers and self._sleepers[0][0] <= self._elapsed:
                due.append(heapq.heappop(self._sleepers))
        for _, _, loop, woken in due:
            with suppress(RuntimeError):  # its loop is closed: nobody sleeps there any more
                loop.call_soon_threadsafe(_wake, woken)

    def jumping(self) -> Clock:
        """The same time, for a client: sleeping on it turns the clock instead of waiting."""
        return _JumpingClock(self)

    def __repr__(self) -> str:
        return f"TurnedClock(elapsed={self._elapsed:g})"


class _JumpingClock:
    def __init__(self, clock: TurnedClock) -> None:
        self._clock = clock

    def monotonic(self) -> float:
        return self._clock.monotonic()

    def wall(self) -> float:
        return self._clock.wall()

    def uniform(self, low: float, high: float) -> float:
        return self._clock.uniform(low, high)

    async def sleep(self, seconds: float) -> None:
        self._clock.advance(max(seconds, 0.0))
        await asyncio.sleep(0)


class FastClock:
    """The time of `inner`, `speed` times as fast, beginning no earlier than `not_before` (wall time).

    A database that has lived at a high speed holds times of the future; `not_before` keeps its time from
    going back.
    """

    def __init__(self, inner: Clock | None = None, *, speed: float = 1.0, not_before: float = 0.0) -> None:
        if not speed > 0:
            raise ValueError("speed must be more than 0")
        self._inner = inner or SystemClock()
        self._speed = speed
        self._origin = self._inner.monotonic()
        self._wall = max(self._inner.wall(), not_before)
        self._turned = 0.0
        self._turns: set[asyncio.Event] = set()

    def monotonic(self) -> float:
        return (self._inner.monotonic() - self._origin) * self._speed + self._turned

    def advance(self, seconds: float) -> None:
        """Turn the clock forward; call it in the thread of who sleeps on it."""
        if seconds < 0:
            raise ValueError("a clock is turned forward only")
        self._turned += seconds
        for turn in self._turns:
            turn.set()

    def wall(self) -> float:
        return self._wall + self.monotonic()

    def uniform(self, low: float, high: float) -> float:
        return self._inner.uniform(low, high)

    async def sleep(self, seconds: float) -> None:
        end = self.monotonic() + seconds
        turn = asyncio.Event()
        self._turns.add(turn)
        try:
            while (left := end - self.monotonic()) > 0:
                turn.clear()
                waits = [
                    asyncio.create_task(self._inner.sleep(left / self._speed)),
                    asyncio.create_task(_wait_for(turn)),
                ]
                try:
                    await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
                finally:
                    for wait in waits:
                        wait.cancel()
        finally:
            self._turns.discard(turn)


async def _wait_for(turn: asyncio.Event) -> None:
    await turn.wait()


def _wake(woken: asyncio.Future[None]) -> None:
    if not woken.done():
        woken.set_result(None)
