"""One governor per client and host: after a 429 all calls slow down together, and recover together.

Without a 429 and without `max_requests_per_second`, a request costs one addition here. With one, calls line
up, first come, first served; one that was refused goes to the front, for it has waited already.
"""

from __future__ import annotations

import asyncio
import contextvars
import logging
import math
from collections import deque
from collections.abc import Mapping
from typing import Protocol

from openrelay_async.clock import Clock
from openrelay_async.config import Endpoints
from openrelay_async.pace_rate import SAMPLE_MASK, PaceRate

logger = logging.getLogger("openrelay_async")

_LONGEST_WINDOW = 60.0
"""Seconds for which a number of requests says how fast they may come."""
_LONGEST_TIME = 1e6
"""Seconds above which a reset is no duration: some give the Unix time instead."""


class SharedPace(Protocol):
    """A pace that several processes keep together, such as `RedisPace`."""

    async def reserve(self, host: str, wanted: int) -> tuple[int, float]:
        """Return how many requests may go now, and the seconds until more may."""
        ...

    async def refuse(self, host: str, wait: float, taken: float) -> None:
        """Tell of a 429: how long to wait, and how many requests a second the service took."""
        ...

    def limits(self, host: str) -> bool:
        """Return whether requests are to be reserved, as far as is known here."""
        ...


class _Line:
    """Those who wait in one event loop."""

    __slots__ = ("dispatcher", "waiters", "waiting")

    def __init__(self) -> None:
        self.waiters: deque[asyncio.Future[None]] = deque()
        self.waiting = 0
        """How many wait; some of `waiters` may have given up."""
        self.dispatcher: asyncio.Task[None] | None = None

    def stop(self) -> None:
        """End the work of letting go who waits: nobody does."""
        dispatcher, self.dispatcher = self.dispatcher, None
        if dispatcher is not None:
            dispatcher.cancel()
        # Not the same one: who comes next has a dispatcher of its own.
        self.waiters = deque()


class Governor:
    """The pace of a client at one host."""

    def __init__(self, host: str, clock: Clock, maximum: float | None, shared: SharedPace | None) -> None:
        """Take the host, for which a shared pace is kept, and the most requests a second."""
        self.pace = PaceRate(maximum)
        self._host = host
        self._clock = clock
        self._shared = shared
        self._lines: dict[asyncio.AbstractEventLoop, _Line] = {}
        self._slept_until = -math.inf
        self._dispatchers: set[asyncio.Task[None]] = set()
        self._telling: set[asyncio.Future[None]] = set()

    def __repr__(self) -> str:
        return f"<Governor of {self._host}: {self.pace!r}>"

    def is_limiting(self) -> bool:
        """Return whether a request has to ask before it goes."""
        # Asked for every request: without calls where there is neither a limit nor a shared pace.
        return self.pace.rate != math.inf or (self._shared is not None and self._shared.limits(self._host))

    @property
    def waiting(self) -> int:
        return sum(line.waiting for line in list(self._lines.values()))

    def now(self) -> float:
        """Return the time: the clock's, or that until which somebody has slept.

        A test's clock may stand still while it sleeps: who has waited as long as it was told to must not
        find that no time has passed.
        """
        return max(self._clock.monotonic(), self._slept_until)

    def note_sleep(self, until: float) -> None:
        """Note that somebody has slept until a time of `now()`."""
        self._slept_until = max(self._slept_until, until)

    def blocked_for(self) -> float:
        """Return the seconds for which no request goes at all, as far as is known here."""
        return max(self.pace.blocked_until - self.now(), 0.0)

    async def enter(self, *, again: bool) -> None:
        """Wait for a request's turn.

        Args:
            again: it was refused before, so that its turn comes first.
        """
        loop = asyncio.get_running_loop()
        line = self._lines.get(loop)
        if line is None:
            for other in [other for other in list(self._lines) if other.is_closed()]:
                self._lines.pop(other, None)
            line = self._lines[loop] = _Line()
        if not line.waiting and self._shared is None:
            now = self.now()
            # It has slept as long as it had to: if nobody else waits, nothing is gained by a fraction more.
            if self.pace.borrow(now) if again else self.pace.take(now, 1):
                self.pace.rest(now)
                return
        turn: asyncio.Future[None] = loop.create_future()
        if again:
            line.waiters.appendleft(turn)
        else:
            line.waiters.append(turn)
        line.waiting += 1
        try:
            if line.dispatcher is None or line.dispatcher.done():
                line.dispatcher = loop.create_task(
                    self._dispatch(line.waiters), context=contextvars.Context()
                )
                self._dispatchers.add(line.dispatcher)
                line.dispatcher.add_done_callback(self._dispatchers.discard)
                if self._shared is not None:
                    line.dispatcher.add_done_callback(_look_at)
            await turn
        finally:
            line.waiting -= 1
            if not line.waiting:
                line.stop()

    async def _dispatch(self, waiters: deque[asyncio.Future[None]]) -> None:
        """Let go who waits, as fast as may be; end when nobody waits."""
        try:
            while waiters:
                pause = await self._let_go(waiters)
                if waiters:
                    await self._sleep(pause)
        finally:
            # Only if something went wrong, in a shared pace perhaps: nobody shall wait for ever.
            while waiters:
                _release(waiters.popleft())

    async def _sleep(self, pause: float) -> None:
        until = self.now() + pause
        await self._clock.sleep(pause)
        if self._clock.monotonic() < until:
            self.note_sleep(until)
            # A clock that only writes down who sleeps may not let anybody else run.
            await asyncio.sleep(0)

    async def _let_go(self, waiters: deque[asyncio.Future[None]]) -> float:
        """Let go as many as may go now; return the seconds until more may."""
        while waiters and waiters[0].done():
            waiters.popleft()  # gave up
        now = self.now()
        self.pace.grow(now)
        count, shared_pause = self.pace.take(now, len(waiters)), 0.0
        if count and self._shared is not None:
            count, shared_pause = await self._reserve(self._shared, count)
            now = self.now()
        pause = max(self.pace.pause(now, len(waiters) - count), shared_pause)
        while count and waiters:
            count -= _release(waiters.popleft())
        return pause

    async def _reserve(self, shared: SharedPace, wanted: int) -> tuple[int, float]:
        """Return how many of those whom the own pace lets go the shared one does too, and its pause."""
        try:
            count, pause = await shared.reserve(self._host, wanted)
        except Exception as error:  # somebody else's: calls go on at the own pace
            logger.debug("no shared pace: %s", type(error).__name__)
            return wanted, 0.0
        count = min(count, wanted)
        self.pace.give_back(wanted - count)
        if not count:
            self.pace.blocked_until = max(self.pace.blocked_until, self.now() + pause)
        return count, pause

    def note(self) -> None:
        """Count a request that was not refused; this is all that an unlimited client pays."""
        pace = self.pace
        pace.count = count = pace.count + 1
        if not count & SAMPLE_MASK:
            pace.note_sample(self.now())

    def refuse(self, wait: float, headers: Mapping[str, str]) -> None:
        """Slow down after a 429.

        Args:
            wait: seconds that the service asks to wait, or that the caller would.
            headers: the answer's, which may name the limit.
        """
        now = self.now()
        if self._shared is None:
            self.pace.refuse(now, wait, read_limit(headers))
            return
        self.pace.blocked_until = max(self.pace.blocked_until, now + wait)
        telling = asyncio.ensure_future(self._shared.refuse(self._host, wait, self.pace.measure(now)))
        self._telling.add(telling)
        telling.add_done_callback(self._telling.discard)
        telling.add_done_callback(_look_at)

    async def aclose(self) -> None:
        """End what lets calls go in the running loop: they have been woken, and wait for it no more."""
        loop = asyncio.get_running_loop()
        line = self._lines.pop(loop, None)
        if line is not None:
            line.stop()
        ending = [dispatcher for dispatcher in list(self._dispatchers) if dispatcher.get_loop() is loop]
        if ending:
            await asyncio.wait(ending)


def _look_at(done: asyncio.Future[None]) -> None:
    """Look at how a piece of work in the background ended: calls go on without it."""
    if not done.cancelled() and (error := done.exception()) is not None:
        logger.debug("no shared pace: %s", type(error).__name__)


def _release(turn: asyncio.Future[None]) -> bool:
    """Let one go; return whether it still waited."""
    if turn.done():
        return False
    turn.set_result(None)
    return True


class Pacing:
    """The governors of a client."""

    __slots__ = ("api", "inference")

    def __init__(
        self,
        endpoints: Endpoints,
        clock: Clock,
        *,
        maximum: float | None = None,
        shared: SharedPace | None = None,
    ) -> None:
        """Take the hosts, and the most requests a second to each."""
        self.api = Governor(endpoints.api, clock, maximum, shared)
        self.inference = self.api
        if endpoints.inference != endpoints.api:
            self.inference = Governor(endpoints.inference, clock, maximum, shared)

    async def aclose(self) -> None:
        """End what runs for it in the running loop."""
        await self.api.aclose()
        if self.inference is not self.api:
            await self.inference.aclose()


def read_limit(headers: Mapping[str, str]) -> float | None:
    """Return the requests a second that an answer's headers name, `None` if they name none.

    `RateLimit-Limit` and its older form with `X-` give a number of requests; `…-Reset` the seconds until
    the window ends, a second where it is absent. A limit for longer windows than it says is found out by
    the next 429: what is named here never raises the rate. What is named for hours is no pace but a quota,
    which may be spent at any: shared out over them, each single call would wait for minutes.
    """
    for prefix in ("RateLimit-", "X-RateLimit-"):
        limit = _positive(headers.get(f"{prefix}Limit"))
        if limit is not None:
            window = _positive(headers.get(f"{prefix}Reset"))
            if window is None or window > _LONGEST_TIME:
                return limit
            return limit / max(window, 1.0) if window <= _LONGEST_WINDOW else None
    return None


def _positive(text: str | None) -> float | None:
    if text is None or len(text) > 20:
        return None
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) and value > 0 else None
