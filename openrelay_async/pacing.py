"""One governor per client and host: after a 429 all calls slow down together, and recover together.

Without a 429 and without `max_requests_per_second`, a request costs one addition here. With one, calls line
up, first come, first served; one that was refused goes to the front, for it has waited already.
"""

from __future__ import annotations

import asyncio
import contextvars
import math
from collections import deque
from collections.abc import Mapping
from typing import Protocol

from openrelay_async.clock import Clock
from openrelay_async.config import Endpoints
from openrelay_async.pace_rate import SAMPLE_MASK, PaceRate


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

    __slots__ = ("dispatcher", "loop", "waiters")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self.waiters: deque[asyncio.Future[None]] = deque()
        self.dispatcher: asyncio.Task[None] | None = None


class Governor:
    """The pace of a client at one host."""

    def __init__(self, host: str, clock: Clock, maximum: float | None, shared: SharedPace | None) -> None:
        """Take the host, for which a shared pace is kept, and the most requests a second."""
        self.pace = PaceRate(maximum)
        self._host = host
        self._clock = clock
        self._shared = shared
        self._lines: dict[asyncio.AbstractEventLoop, _Line] = {}
        self._telling: set[asyncio.Future[None]] = set()

    def __repr__(self) -> str:
        return f"<Governor of {self._host}: {self.pace!r}>"

    def is_limiting(self) -> bool:
        """Return whether a request has to ask before it goes."""
        # Asked for every request: without calls where there is neither a limit nor a shared pace.
        return self.pace.rate != math.inf or (self._shared is not None and self._shared.limits(self._host))

    @property
    def waiting(self) -> int:
        return sum(len(line.waiters) for line in list(self._lines.values()))

    async def enter(self, *, again: bool) -> None:
        """Wait for a request's turn.

        Args:
            again: it was refused before, so that its turn comes first.
        """
        loop = asyncio.get_running_loop()
        line = self._lines.get(loop)
        if line is None:
            for other in [other for other in self._lines if other.is_closed()]:
                self._lines.pop(other, None)
            line = self._lines[loop] = _Line(loop)
        if not line.waiters and self._shared is None and self.pace.take(self._clock.monotonic(), 1):
            self.pace.rest(self._clock.monotonic())
            return
        turn: asyncio.Future[None] = loop.create_future()
        if again:
            line.waiters.appendleft(turn)
        else:
            line.waiters.append(turn)
        if line.dispatcher is None or line.dispatcher.done():
            line.dispatcher = loop.create_task(self._dispatch(line), context=contextvars.Context())
        await turn

    async def _dispatch(self, line: _Line) -> None:
        """Let go who waits, as fast as may be; end when nobody waits."""
        try:
            while line.waiters:
                pause = await self._let_go(line.waiters)
                if line.waiters:
                    await self._clock.sleep(pause)
        finally:
            # Only if something went wrong, in a shared pace perhaps: nobody shall wait for ever.
            while line.waiters:
                _release(line.waiters.popleft())

    async def _let_go(self, waiters: deque[asyncio.Future[None]]) -> float:
        """Let go as many as may go now; return the seconds until more may."""
        while waiters and waiters[0].done():
            waiters.popleft()  # gave up
        if self._shared is None:
            now = self._clock.monotonic()
            self.pace.grow(now)
            count = self.pace.take(now, len(waiters))
            pause = self.pace.pause(now, len(waiters) - count)
        else:
            count, pause = await self._shared.reserve(self._host, len(waiters))
        while count and waiters:
            count -= _release(waiters.popleft())
        return pause

    def note(self) -> None:
        """Count a request that was not refused; this is all that an unlimited client pays."""
        pace = self.pace
        pace.count = count = pace.count + 1
        if not count & SAMPLE_MASK:
            pace.note_sample(self._clock.monotonic())

    def refuse(self, wait: float, headers: Mapping[str, str]) -> None:
        """Slow down after a 429.

        Args:
            wait: seconds that the service asks to wait, or that the caller would.
            headers: the answer's, which may name the limit.
        """
        now = self._clock.monotonic()
        if self._shared is None:
            self.pace.refuse(now, wait, read_limit(headers))
            return
        telling = asyncio.ensure_future(self._shared.refuse(self._host, wait, self.pace.measure(now)))
        self._telling.add(telling)
        telling.add_done_callback(self._telling.discard)


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


def read_limit(headers: Mapping[str, str]) -> float | None:
    """Return the requests a second that an answer's headers name, `None` if they name none.

    `RateLimit-Limit` and its older form with `X-` give a number of requests; `…-Reset` the seconds until
    the window ends, a second where it is absent. A limit for longer windows than it says is found out by
    the next 429: what is named here never raises the rate.
    """
    for prefix in ("RateLimit-", "X-RateLimit-"):
        limit = _positive(headers.get(f"{prefix}Limit"))
        if limit is not None:
            window = _positive(headers.get(f"{prefix}Reset"))
            # Some give the Unix time of the reset instead: no window is that long.
            return limit / max(window, 1.0) if window is not None and window < 1e6 else limit
    return None


def _positive(text: str | None) -> float | None:
    if text is None or len(text) > 20:
        return None
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) and value > 0 else None
