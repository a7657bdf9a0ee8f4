"""The clocks of an emulator: the machine's made faster, and one that tests turn by hand."""

from __future__ import annotations

import asyncio
import math
import random
import threading
from datetime import UTC, datetime

from openrelay_async.clock import Clock, SystemClock
from openrelay_async.emulator.arguments import find_number_problem, require
from openrelay_async.emulator.jumping import ObservedClock, Work
from openrelay_async.emulator.sleepers import Sleepers
from openrelay_async.errors import ConfigurationError

DAY_ONE = 1_793_491_200.0
"""2026-11-01T00:00:00Z: where a turned clock begins unless told otherwise."""

LATEST = datetime(9000, 1, 1, tzinfo=UTC).timestamp()
"""How far a clock goes: what ends long after now must still have a date, and dates end with the year 9999."""


def check_turn(seconds: object, wall: float) -> None:
    """A clock that shows `wall` may be turned so far.

    Raises:
        ConfigurationError: it may not.
    """
    require("seconds", find_number_problem(seconds, least=0, hint="a clock is turned forward only"))
    if isinstance(seconds, int | float) and wall + seconds > LATEST:
        raise ConfigurationError("seconds must leave the clock before the year 9000")


def waits_by_itself(clock: Clock) -> bool:
    """Do its sleeps wait for its time? Those of somebody else's clock may as well turn it."""
    if isinstance(clock, FastClock | ObservedClock):
        return clock.waits_by_itself
    return isinstance(clock, TurnedClock | SystemClock)


def gone_by_itself(clock: Clock) -> float:
    """Return how far a clock has gone without being turned, in its seconds; only differences mean something.

    One that is turned by hand stands still, and somebody else's is taken for one.
    """
    if isinstance(clock, FastClock):
        return clock.gone_by_itself
    return clock.wall() if isinstance(clock, SystemClock) else 0.0


class TurnedClock:
    """A clock that stands still until it is turned: `clock.advance(1800)`.

    Whoever sleeps on it wakes when it has been turned far enough, in the order of waking times; it may be
    turned from any thread. Emulator and client may share one: give the client `clock.jumping()`, whose
    sleeps turn the clock themselves, and a wait of half an hour is over at once.
    """

    def __init__(self, start: float = DAY_ONE, *, seed: int = 0) -> None:
        require("start", find_number_problem(start, least=0, most=LATEST))
        self._start = float(start)
        self._elapsed = 0.0
        self._random = random.Random(seed)  # noqa: S311 - jitter, not a secret
        self._sleepers = Sleepers()
        self._work = Work()
        self._lock = threading.Lock()

    def monotonic(self) -> float:
        return self._elapsed

    def wall(self) -> float:
        return self._start + self._elapsed

    def uniform(self, low: float, high: float) -> float:
        return self._random.uniform(low, high)

    async def sleep(self, seconds: float) -> None:
        if not seconds > 0:
            await asyncio.sleep(0)
            return
        with self._lock:  # a turn by another thread comes before this sleep, or wakes it
            sleeper = self._sleepers.add(self._elapsed + seconds)
        await self._sleepers.wait_for(sleeper)

    def next_waking(self) -> float:
        """The time, as `monotonic` tells it, at which the next sleep ends; infinity if there is none."""
        at = self._sleepers.next_waking()
        return at if self._start + at <= LATEST else math.inf

    def advance(self, seconds: float) -> None:
        """Turn the clock forward and wake who has slept enough."""
        check_turn(seconds, self.wall())
        with self._lock:
            self._elapsed += seconds
        self._work.note()
        self._sleepers.wake(self._elapsed)

    def turn_to(self, at: float) -> None:
        """Turn the clock forward to `at`, as `monotonic` tells it, unless it is further on already."""
        with self._lock:
            self._elapsed = max(self._elapsed, at)
        self._sleepers.wake(self._elapsed)

    def jumping(self) -> Clock:
        """The same time, for a client: sleeping on it turns the clock instead of waiting.

        It is turned to the time at which the next sleep ends, whoever sleeps, and when nobody is at work: so
        sleeps side by side take no longer than the longest of them, and none ends while a request to an
        emulator with this clock is on its way.

        Work is seen by its readings of the clock: those of a client and an emulator that have it. What does
        not read it cannot be seen: a server of another process or thread with a clock of its own, or the
        caller's own pauses in real time. A sleep may end during those: one of seconds at once, one of hours
        after 20 ms, or 0.2 s if several threads read the clock. And after 5 s of work without a jump the
        clock is turned all the same.
        """
        return ObservedClock(self, self._work, jumps=True)

    def serving(self) -> Clock:
        """The same time, for a server: `jumping()` sees that it is at work. Sleeps wait for a turn."""
        return ObservedClock(self, self._work, jumps=False)

    def __repr__(self) -> str:
        return f"TurnedClock(elapsed={self._elapsed:g})"


class FastClock:
    """The time of `inner`, `speed` times as fast, beginning no earlier than `not_before` (wall time).

    It stands still when it has come to the year 9000.

    A database that has lived at a high speed holds times of the future; `not_before` keeps its time from
    going back.
    """

    def __init__(self, inner: Clock | None = None, *, speed: float = 1.0, not_before: float = 0.0) -> None:
        require("speed", find_number_problem(speed, above=0))
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
        check_turn(seconds, self.wall())
        self._turned += seconds
        for turn in self._turns:
            turn.set()

    def wall(self) -> float:
        return min(self._wall + self.monotonic(), LATEST)

    @property
    def gone_by_itself(self) -> float:
        """How far it has gone as `inner` did, without its own turns."""
        return gone_by_itself(self._inner) * self._speed

    @property
    def waits_by_itself(self) -> bool:
        """Do its sleeps wait? Only if those of `inner` do."""
        return waits_by_itself(self._inner)

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
