"""A time limit on what the current task does, without a timer or a task of its own.

`asyncio.timeout` does the same for 4 µs a call and a timer for 3; both leave a cancelled entry in the
loop's heap until its time comes. Nearly all limits are never reached, so all those of a loop share one
timer, which stands at the earliest of them.
"""

from __future__ import annotations

import asyncio
import contextvars
import math
from collections.abc import Callable
from typing import Protocol

SHORTEST_PAUSE = 0.005
"""Seconds between two looks at all limits: many that end close together are found by one look."""


class TimeLimit(Protocol):
    """Something that ends when its time is up."""

    def due(self) -> float:
        """Return the loop's time at which it ends if nothing happens until then."""
        ...

    def is_moving(self) -> bool:
        """Return, when it is due, whether it begins anew instead."""
        ...

    def expire(self) -> None:
        """End it."""
        ...


class Limits:
    """The limits that run in one event loop."""

    __slots__ = ("_due", "_handle", "_running", "loop")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self._running: set[TimeLimit] = set()
        self._handle: asyncio.TimerHandle | None = None
        self._due = math.inf

    def add(self, timer: TimeLimit, due: float) -> None:
        self._running.add(timer)
        if due < self._due:
            self._arm(due)

    def remove(self, timer: TimeLimit) -> None:
        self._running.discard(timer)

    def _arm(self, due: float) -> None:
        if self._handle is not None:
            self._handle.cancel()
        self._due = due
        # In a context of its own: a copy of the caller's would keep alive what is in there.
        self._handle = self.loop.call_at(due, self._look, context=contextvars.Context())

    def _look(self) -> None:
        now = self.loop.time()
        following = math.inf
        for timer in tuple(self._running):
            due = timer.due()
            if due <= now and timer.is_moving():
                due = timer.due()
            if due <= now:
                self._running.discard(timer)
                timer.expire()
            else:
                following = min(following, due)
        self._handle, self._due = None, math.inf
        if following != math.inf:
            self._arm(max(following, now + SHORTEST_PAUSE))


class AttemptTimer:
    """Cancels the current task when its time is up, unless it is stopped or touched before.

    Args:
        limits: those of the running loop.
        seconds: the limit, infinity for none.
        idle: whether the limit is for the time without a `touch()`, not for the whole.
        moves: asked, where an idle limit is reached, whether something moved that did not say so.
        within: seconds for the whole, where the limit is for idle time.
    """

    __slots__ = ("_cancelling", "_last", "_limits", "_moves", "_seconds", "_task", "expired", "idle", "until")

    def __init__(
        self,
        limits: Limits,
        seconds: float,
        *,
        idle: bool = False,
        within: float = math.inf,
        moves: Callable[[], bool] | None = None,
    ) -> None:
        task = asyncio.current_task(limits.loop)
        if task is None:
            raise RuntimeError("a call must be made from a task: await it in a coroutine")
        self._task = task
        self._cancelling = task.cancelling()
        self._limits = limits
        self._seconds = seconds
        self.expired = False
        self._last = now = limits.loop.time()
        self.until = now + within
        """The loop's time at which the whole ends."""
        self.idle = idle
        self._moves = moves
        due = min(now + seconds, self.until)
        if due != math.inf:
            limits.add(self, due)

    def touch(self) -> None:
        """Note that something moved: an idle limit starts anew."""
        if self.idle:
            self._last = self._limits.loop.time()

    def due(self) -> float:
        """Return the loop's time at which the limit is reached if nothing moves."""
        return min(self._last + self._seconds, self.until)

    def is_moving(self) -> bool:
        """Return whether something moved that did not say so: then the idle limit starts anew."""
        if self._moves is None or not self._moves():
            return False
        self.touch()
        return True

    def expire(self) -> None:
        self.expired = True
        self._task.cancel()

    def stop(self) -> bool:
        """End the limit. Return, once, whether the task was cancelled by it, and by nothing else."""
        self._limits.remove(self)
        if not self.expired:
            return False
        self.expired = False
        # As asyncio.Timeout does: a cancellation from outside that came as well stays in force.
        return self._task.uncancel() <= self._cancelling
