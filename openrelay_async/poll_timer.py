"""When a poller sleeps and wakes: pauses that somebody may cut short, and deadlines that hold in between."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable
from typing import Generic, TypeVar

from openrelay_async.clock import Clock
from openrelay_async.roster import Roster
from openrelay_async.waiting import Living

R = TypeVar("R", bound=Living)


class PollTimer(Generic[R]):
    """The sleep of one poller. Waits whose time is up end on time, asleep or during a request."""

    def __init__(self, clock: Clock, roster: Roster[R], is_wanted: Callable[[], bool]) -> None:
        """Take the clock, the deadlines, and whether anybody is left to sleep for."""
        self.clock = clock
        self._is_wanted = is_wanted
        self.is_hurried = False
        """Whether somebody asked for a look as soon as one may be."""
        self._roster = roster
        self._loop = asyncio.get_running_loop()
        self._wake: asyncio.Future[None] | None = None
        self._alarm: asyncio.TimerHandle | None = None

    def wake(self) -> None:
        """Let the poller see who has come."""
        if self._wake is not None and not self._wake.done():
            self._wake.set_result(None)
        if self._alarm is not None:
            self.arm()

    async def pause(self, until: float, soonest: float) -> bool:
        """Sleep until the next look; return whether somebody is to be looked for before its time.

        Args:
            until: when the next look is due, in the clock's time.
            soonest: when one may be at the earliest, for somebody who has just come.
        """
        roster = self._roster
        while True:
            now = self.clock.monotonic()
            roster.expire(now)
            if now >= until or not self._is_wanted():
                return False
            target = until
            if roster.fresh or self.is_hurried:
                if now >= soonest:
                    return True
                target = min(until, soonest)
            await self.sleep(min(target, roster.next_deadline()) - now)

    async def rest(self, seconds: float) -> None:
        """Sleep between two pages of one look."""
        until = self.clock.monotonic() + seconds
        while (now := self.clock.monotonic()) < until:
            self._roster.expire(now)
            if not self._is_wanted():
                return
            await self.sleep(min(until, self._roster.next_deadline()) - now)

    async def sleep(self, seconds: float) -> None:
        """Sleep so long, or until somebody wakes the poller."""
        self._wake = self._loop.create_future()
        sleeper = self._loop.create_task(self.clock.sleep(max(seconds, 0.0)))
        try:
            await asyncio.wait({sleeper, self._wake}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._wake = None
            sleeper.cancel()
            await asyncio.gather(sleeper, return_exceptions=True)

    def arm(self) -> None:
        """From now on the poller is busy: end waits on time nevertheless."""
        self.disarm()
        deadline = self._roster.next_deadline()
        if deadline != math.inf:
            delay = max(deadline - self.clock.monotonic(), 0.001)
            self._alarm = self._loop.call_later(delay, self._on_deadline)

    def disarm(self) -> None:
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None

    def _on_deadline(self) -> None:
        self._roster.expire(self.clock.monotonic())
        self.arm()
