"""The organization that a call is for where the caller names none: asked once, then remembered."""

from __future__ import annotations

from collections.abc import Callable, Coroutine

from openrelay_async.single_flight import SingleFlight


class DefaultOrganization:
    """A client's organization: given, or the one that its key belongs to."""

    __slots__ = ("_ask", "_flight", "known")

    def __init__(self, known: str | None, ask: Callable[[], Coroutine[object, object, str]]) -> None:
        """Take the organization's id, or the question (whoami) that finds it."""
        self.known = known
        self._ask = ask
        self._flight: SingleFlight[str] = SingleFlight()

    def __repr__(self) -> str:
        return f"DefaultOrganization({self.known!r})"

    async def find(self) -> str:
        """Return the id; the first call asks, and calls at the same time wait for the same answer."""
        if self.known is None:
            self.known = await self._flight.run(self._ask)
        return self.known
