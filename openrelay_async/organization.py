"""The organization that a call is for where the caller names none: asked once, then remembered."""

from __future__ import annotations

import asyncio
import math
from functools import partial

from openrelay_async.call_answer import decode_answer
from openrelay_async.errors import (
    ConnectionFailed,
    LocalQueueTimeout,
    OpenRelayError,
    PermissionDenied,
    RequestTimeout,
)
from openrelay_async.fork_guard import importing
from openrelay_async.messages import HttpRequest
from openrelay_async.operation import Operation
from openrelay_async.program_end import keep_unreported
from openrelay_async.retry import SHORTEST_ATTEMPT
from openrelay_async.single_flight import SingleFlight
from openrelay_async.transport import Transport
from openrelay_async.turns import await_next_attempt

_LEAST_LEFT = 1e-3
"""Seconds that a call has left at least when its organization was found in time."""


class DefaultOrganization:
    """A client's organization: given, or the one that its key belongs to."""

    __slots__ = ("_clock", "_flight", "_transport", "known")

    def __init__(self, known: str | None, transport: Transport) -> None:
        """Take the organization's id, or `None`, and what asks the service for it (whoami)."""
        self.known = known
        self._transport = transport
        self._clock = transport.shared.clock
        self._flight: SingleFlight[str] = SingleFlight(only_while_awaited=True)

    def __repr__(self) -> str:
        return f"DefaultOrganization({self.known!r})"

    async def find(self, limit: float) -> tuple[str, float]:
        """Return the id, and what is left of `limit`.

        The first call asks, and calls at the same time wait for the same answer: the question goes on for
        the others when one has no more time, and is asked again for those who have more than it was given.

        Args:
            limit: seconds that the caller waits for it; `math.inf` for no limit.

        Raises:
            RequestTimeout: it was not known in time.
            PermissionDenied: the key belongs to no organization.
            OpenRelayError: the question failed.
        """
        if self.known is not None:
            return self.known, limit
        until = self._clock.monotonic() + limit
        try:
            async with asyncio.timeout(None if limit == math.inf else limit):
                found = self.known = await self._ask_until(until)
        except TimeoutError as error:
            if isinstance(error, OpenRelayError):  # the question's own, such as `LocalQueueTimeout`
                raise
        except ConnectionFailed as error:
            if self._transport.shared.session.closed:
                keep_unreported(error)
            raise
        else:
            return found, max(until - self._clock.monotonic(), _LEAST_LEFT)
        whoami = _whoami()
        raise RequestTimeout(
            f"the organization was not known within {limit:.3g} s; org_id= on the client saves the question",
            **whoami.facts(),
        )

    async def _ask_until(self, until: float) -> str:
        """Return the id; ask again where a question ended only for lack of time, and this caller has more.

        What else ends it, such as the number of attempts, holds for all.
        """
        pause: float | None = None
        while True:
            try:
                return await self._flight.run(partial(self._ask_in_time, pause), until=until)
            except OpenRelayError as error:
                if error._again_after is None:
                    raise
                pause = error._again_after
                if until - self._clock.monotonic() <= pause + SHORTEST_ATTEMPT:
                    raise

    async def _ask_in_time(self, pause: float | None) -> str:
        """Ask, again after a pause, within the time of the caller that waits longest by then."""
        if pause is not None:
            shared = self._transport.shared
            shared.check_open(_whoami())
            await await_next_attempt(shared.session.pool(), shared.pacing.api, self._clock, pause)
        until = self._flight.awaited_until()
        try:
            return await self._ask(until - self._clock.monotonic())
        except (RequestTimeout, LocalQueueTimeout) as error:
            if self._clock.monotonic() > until - SHORTEST_ATTEMPT:
                error._again_after = 0.0  # that time is up: who has come meanwhile may have more
            raise

    async def _ask(self, limit: float) -> str:
        """Return the organization of the key, asked within so many seconds."""
        whoami = _whoami()
        request = HttpRequest(whoami, whoami.path)
        response = await self._transport.send(request, limit)
        org_id = decode_answer(self._transport, request, response, _read_organization)
        if org_id is not None:
            return org_id
        raise PermissionDenied(
            "the key belongs to no organization: give org_id= to the client or the call",
            **whoami.facts(),
            attempts=response.attempts,
        )


def _whoami() -> Operation:
    with importing:
        from openrelay_async.generated.operation_rows.account import WHOAMI  # only who names none asks
    return WHOAMI


def _read_organization(raw: object) -> str | None:
    org_id = raw.get("organizationId") if isinstance(raw, dict) else None
    return org_id if isinstance(org_id, str) and org_id else None
