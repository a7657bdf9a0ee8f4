"""The organization that a call is for where the caller names none: asked once, then remembered."""

from __future__ import annotations

from collections.abc import Callable, Coroutine

from openrelay_async.clock import Clock
from openrelay_async.errors import LocalQueueTimeout, RequestTimeout
from openrelay_async.retry import SHORTEST_ATTEMPT
from openrelay_async.single_flight import SingleFlight

_LAST_WAIT = 0.5
"""Seconds: with less than that left, a question may end because there is no time for another attempt."""


class DefaultOrganization:
    """A client's organization: given, or the one that its key belongs to."""

    __slots__ = ("_ask", "_clock", "_flight", "known")

    def __init__(
        self, known: str | None, ask: Callable[[float], Coroutine[object, object, str]], clock: Clock
    ) -> None:
        """Take the organization's id, or the question (whoami) that finds it within so many seconds."""
        self.known = known
        self._ask = ask
        self._clock = clock
        self._flight: SingleFlight[str] = SingleFlight(only_while_awaited=True)

    def __repr__(self) -> str:
        return f"DefaultOrganization({self.known!r})"

    async def find(self, limit: float) -> str:
        """Return the id; the first call asks, and calls at the same time wait for the same answer.

        Args:
            limit: seconds that the caller waits for it. The caller sees to that itself: the question goes
                on for the others.
        """
        if self.known is None:
            self.known = await self._flight.run(self._ask_in_time, until=self._clock.monotonic() + limit)
        return self.known

    async def _ask_in_time(self) -> str:
        """Ask within the time of the caller that waits longest; again if one with more has come meanwhile."""
        while True:
            until = self._flight.awaited_until()
            try:
                return await self._ask(until - self._clock.monotonic())
            except (RequestTimeout, LocalQueueTimeout):
                # What ends a question early, such as the number of attempts, holds for all; its time, where
                # that is up, is only that of those who came first.
                is_over = self._clock.monotonic() > until - _LAST_WAIT
                if not is_over or self._flight.awaited_until() < until + SHORTEST_ATTEMPT:
                    raise
