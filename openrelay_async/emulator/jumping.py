"""A turned clock that turns by itself: to the next waking time, as soon as nobody is at work.

No event loop tells whether it is idle, and what is under way on a socket is not in the loop at all. What can
be seen is who reads the clock: client and emulator both do so several times in each request. So each reading
is a sign of work, and a jump waits until there was none for a while: for some turns of the loop, in which
everything on the sockets of this process moves on, and for a real time that grows with the jump.
"""

from __future__ import annotations

import asyncio
import math
import threading
import time
from typing import Protocol

_TURNS = 16
"""Turns of the loop without a sign of work before a jump: a request has ten at most between two of them."""
_PATIENCE = 1.5e-6
"""Real seconds without a sign of work, for each second of a jump: half an hour costs some 3 ms."""
_LONGEST = 0.02
_ACROSS_THREADS = 10
"""So many times the patience, and at least `_SHORTEST_ACROSS_THREADS`, if the work is in several threads:
they do not move on with the turns of this loop, and a busy machine may hold one up.
"""
_SHORTEST_ACROSS_THREADS = 0.002
_AT_LAST = 5.0
"""Real seconds after which a jump is made whatever the signs: somebody may read the clock for ever."""
_SPIN = 0.001
"""Waits shorter than this are turns of the loop: timers are no finer."""


class Turned(Protocol):
    """What is turned."""

    def monotonic(self) -> float: ...
    def wall(self) -> float: ...
    def uniform(self, low: float, high: float) -> float: ...
    async def sleep(self, seconds: float) -> None: ...
    def next_waking(self) -> float: ...
    def turn_to(self, at: float) -> None: ...


class Work:
    """The signs that somebody is at work by a clock; from any thread."""

    def __init__(self) -> None:
        self.last_sign = 0.0
        """When the last one was, in real time."""
        self._threads: set[int] = set()
        self._lock = threading.Lock()
        self._jumpers: dict[asyncio.AbstractEventLoop, Jumper] = {}

    def note(self) -> None:
        self._threads.add(threading.get_ident())
        self.last_sign = time.perf_counter()

    def patience(self, seconds: float) -> float:
        """How long there must be no sign before a jump of so many seconds."""
        alone = min(seconds * _PATIENCE, _LONGEST)
        return alone if len(self._threads) == 1 else max(_ACROSS_THREADS * alone, _SHORTEST_ACROSS_THREADS)

    def end_quiet(self, since: float) -> bool:
        """Is the last sign still that of `since`? Of several loops only one is told so, and jumps."""
        with self._lock:
            if self.last_sign != since:
                return False
            self.note()
            return True

    def find_jumper(self, clock: Turned) -> Jumper:
        """The one that jumps for the running loop."""
        loop = asyncio.get_running_loop()
        with self._lock:
            found = self._jumpers.get(loop)
            if found is None:
                self._jumpers = {known: it for known, it in self._jumpers.items() if not known.is_closed()}
                found = self._jumpers[loop] = Jumper(clock, self, loop)
            return found


class ObservedClock:
    """The time of a turned clock, for who works by it: readings are signs of work.

    With `jumps` its sleeps turn the clock; without, they wait until it is turned.
    """

    def __init__(self, clock: Turned, work: Work, *, jumps: bool) -> None:
        self._clock = clock
        self._work = work
        self._jumps = jumps

    @property
    def waits_by_itself(self) -> bool:
        """Do its sleeps wait until it is turned?"""
        return not self._jumps

    def monotonic(self) -> float:
        self._work.note()
        return self._clock.monotonic()

    def wall(self) -> float:
        self._work.note()
        return self._clock.wall()

    def uniform(self, low: float, high: float) -> float:
        return self._clock.uniform(low, high)

    async def sleep(self, seconds: float) -> None:
        self._work.note()
        if not self._jumps or not seconds > 0:
            await self._clock.sleep(seconds)
            self._work.note()
            return
        jumper = self._work.find_jumper(self._clock)
        jumper.join()
        try:
            await self._clock.sleep(seconds)
        finally:
            jumper.leave()
            self._work.note()


class Jumper:
    """Turns a clock for the sleepers of one loop, while there are any."""

    def __init__(self, clock: Turned, work: Work, loop: asyncio.AbstractEventLoop) -> None:
        self._clock = clock
        self._work = work
        self._loop = loop
        self._sleeping = 0
        self._looks: asyncio.Handle | None = None
        self._began = 0.0
        self._seen = 0.0
        self._quiet_turns = 0

    def join(self) -> None:
        self._sleeping += 1
        if self._looks is None:
            self._began = time.perf_counter()
            self._looks = self._loop.call_soon(self._look)

    def leave(self) -> None:
        self._sleeping -= 1

    def _look(self) -> None:
        """Once in each turn of the loop, or after a pause: jump if all is quiet."""
        self._looks = None
        if not self._sleeping:
            return
        if self._seen != self._work.last_sign:
            self._seen, self._quiet_turns = self._work.last_sign, 0
        else:
            self._quiet_turns += 1
        pause = self._jump_if_quiet() if self._quiet_turns >= _TURNS or self._is_late() else 0.0
        if pause < _SPIN:
            self._looks = self._loop.call_soon(self._look)
        else:
            self._looks = self._loop.call_later(pause, self._look)

    def _is_late(self) -> bool:
        return time.perf_counter() - self._began > _AT_LAST

    def _jump_if_quiet(self) -> float:
        """Jump, if there was no sign of work for long enough; the real seconds until the next look."""
        waking = self._clock.next_waking()
        if math.isinf(waking):
            return _LONGEST  # who sleeps for ever is not worth a jump: others may come
        quiet = time.perf_counter() - self._seen
        missing = self._work.patience(waking - self._clock.monotonic()) - quiet
        if missing > 0 and not self._is_late():
            return missing
        if self._work.end_quiet(self._seen) or self._is_late():
            self._clock.turn_to(waking)
            self._began = time.perf_counter()
        return 0.0
