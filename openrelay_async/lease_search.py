"""Which of the resources that bear a lease's name the lease has created, when its create did not say.

The service keeps no mark of a lease, and names are not unique. So it is found by exclusion: what was listed
before the create, and what other leases of this client have created, is not it. Times only help: clocks
differ, so they exclude nothing but what is off by far.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterable, Mapping
from datetime import datetime
from typing import Protocol, TypeVar, cast

from attrs import define, field, frozen

from openrelay_async.client_state import Shared
from openrelay_async.pagination import PagedCall
from openrelay_async.single_flight import SingleFlight
from openrelay_async.waiting import Living

CLOCK_MARGIN = 600.0
"""Seconds by which this machine's clock and the service's may differ."""

_LOOK_AGAIN = 0.02
"""Seconds between two looks whether a create has ended."""


class Named(Protocol):
    """A resource that is known by a name, which others may bear too."""

    @property
    def id(self) -> str: ...
    @property
    def name(self) -> str: ...
    @property
    def status(self) -> str: ...
    @property
    def created_at(self) -> datetime | None: ...


class NamedLiving(Named, Living, Protocol):
    """What can be leased."""


N = TypeVar("N", bound=Named)


@define(eq=False)
class Claim:
    """What a lease knows about the resources of its name: which is its own, and which are not."""

    name: str
    began_at: float
    """Unix time at which creating began, by this machine's clock."""
    before: frozenset[str] | None = None
    """Ids that bore the name before the create; `None` if that could not be read."""
    foreign: set[str] = field(factory=set)
    """Ids that other leases of this client have created."""
    id: str | None = None
    loop: asyncio.AbstractEventLoop | None = None
    """Where it is created."""
    was_sent: bool = False
    """Whether there was a create: before it, nothing can have been created."""
    is_creating: bool = True
    is_contested: bool = False
    """Whether another lease of the name gave up: what shows up may be that one's."""

    def enter(self, shared: Shared, close: Callable[[], Coroutine[object, object, None]]) -> None:
        """Take part among the client's leases, and learn what they have.

        Args:
            close: ends the lease for a client that closes.
        """
        for other in self._namesakes(shared):
            if other.id is not None:
                self.foreign.add(other.id)
        self.loop = asyncio.get_running_loop()
        shared.leases[self] = close

    def settle(self, shared: Shared, resource_id: str) -> None:
        """Note what was created; leases of the name that are still creating learn that it is not theirs."""
        self.id, self.is_creating = resource_id, False
        for other in self._namesakes(shared):
            if other.is_creating:
                other.foreign.add(resource_id)

    def give_up(self, shared: Shared) -> None:
        """Note that it will not be known what was created, if anything was."""
        for other in self._namesakes(shared):
            other.is_contested = other.is_contested or other.is_creating

    def leave(self, shared: Shared) -> None:
        self.is_creating = False
        shared.leases.pop(self, None)

    async def until_known(self) -> None:
        """Return when a create that is under way has told what it created, or never will; from any loop."""
        # Looked at from here: a loop that ends meanwhile would never tell.
        while self.was_sent and self.is_creating and self.loop is not None and self.loop.is_running():  # noqa: ASYNC110
            await asyncio.sleep(_LOOK_AGAIN)

    def candidates(self, listed: Mapping[str, list[N]]) -> list[N]:
        """Return what may be its own."""
        excluded = self.foreign | (self.before or frozenset())
        return [
            item
            for item in listed.get(self.name, ())
            if item.id not in excluded and was_created_within(item, self.began_at - CLOCK_MARGIN)
        ]

    def can_tell(self, shared: Shared) -> bool:
        """Return whether a single candidate must be its own, as far as this client can know."""
        # A lease that is still creating may have created the candidate, and not have heard of it yet.
        may_be_another = any(other.is_creating for other in self._namesakes(shared))
        return self.before is not None and not self.is_contested and not may_be_another

    def _namesakes(self, shared: Shared) -> Iterable[Claim]:
        for other in tuple(shared.leases):
            if isinstance(other, Claim) and other is not self and other.name == self.name:
                yield other


def was_created_within(item: Named, earliest: float, latest: float | None = None) -> bool:
    """Return whether the time at which something was created, if it is known, lies between two Unix times."""
    if item.created_at is None:
        return True
    made_at = item.created_at.timestamp()
    return made_at >= earliest and (latest is None or made_at <= latest)


def describe_ids(ids: Iterable[str]) -> str:
    """Return ids for a message, which has not room for any number of them."""
    known = list(ids)
    more = f" and {len(known) - 5} more" if len(known) > 5 else ""
    return ", ".join(known[:5]) + more


@frozen
class _Round:
    """Whom a listing serves: those who ask for the same, in the same loop and with the same key."""

    loop: asyncio.AbstractEventLoop
    kind: str
    org_id: str | None
    key_source: object


async def list_by_name(call: PagedCall[N]) -> dict[str, list[N]]:
    """Return all that has not ended, by its name."""
    named: dict[str, list[N]] = {}
    async for item in call:
        if item.status != "terminated":
            named.setdefault(item.name, []).append(item)
    return named


async def list_together(
    shared: Shared, call: PagedCall[N], kind: str, org_id: str | None, key_source: object
) -> dict[str, list[N]]:
    """Return what a listing gives that begins after this call; those who call at the same time share one.

    Otherwise a thousand leases that begin together would each read the list with all of them in it.
    """
    place = _Round(asyncio.get_running_loop(), kind, org_id, key_source)

    async def read() -> dict[str, list[N]]:
        await asyncio.sleep(0)  # who asks in this moment comes along
        shared.pollers.pop(place, None)  # who asks from here on needs a later one
        return await list_by_name(call)

    flight = cast("SingleFlight[dict[str, list[N]]]", shared.pollers.setdefault(place, SingleFlight()))
    return await flight.run(read)
