"""Time as a value that is passed in, so that tests turn a clock instead of sleeping."""

from __future__ import annotations

import asyncio
import random
import time
from typing import Protocol, runtime_checkable


@runtime_checkable
class Clock(Protocol):
    """What the library asks of time and chance. All times are seconds."""

    def monotonic(self) -> float:
        """A time that never goes back; only differences mean something."""
        ...

    def wall(self) -> float:
        """Seconds since 1970-01-01 UTC."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Return after `seconds`; cancelling the task ends it at once."""
        ...

    def uniform(self, low: float, high: float) -> float:
        """A random number between `low` and `high`: the jitter of waits."""
        ...


class SystemClock:
    """The clock of this machine."""

    __slots__ = ()

    def monotonic(self) -> float:
        return time.monotonic()

    def wall(self) -> float:
        return time.time()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)

    def uniform(self, low: float, high: float) -> float:
        return random.uniform(low, high)  # noqa: S311 - jitter, not a secret

    def __repr__(self) -> str:
        return "SystemClock()"
