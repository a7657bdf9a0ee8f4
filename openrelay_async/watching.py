"""Changes of all resources of a kind, each told once; a slow reader is told the latest."""

from __future__ import annotations

import asyncio
from typing import Generic, Literal, TypeVar

from attrs import frozen

from openrelay_async.waiting import Living

R = TypeVar("R", bound=Living)
R_co = TypeVar("R_co", covariant=True)


@frozen
class Change(Generic[R_co]):
    """What happened to a resource since it was last told of."""

    kind: Literal["appeared", "changed", "gone"]
    id: str
    resource: R_co
    """As it is now; with `gone`, as it was last seen."""
    previous: R_co | None = None
    """As it was told last; `None` if it was not."""

    def __str__(self) -> str:
        was = getattr(self.previous, "status", None)
        status = getattr(self.resource, "status", "")
        return f"{self.id} {self.kind}: {f'{was} → ' if was and was != status else ''}{status}"


class Watch(Generic[R]):
    """What one reader of changes knows, and what it has not been told yet."""

    __slots__ = (
        "_arrival", "_ends", "_error", "_existing", "_known", "_looked", "_pending", "_told", "interval"
    )  # fmt: skip

    def __init__(self, ends: frozenset[str], *, existing: bool) -> None:
        """Take the states that end a resource, and whether what is there at the start is told."""
        self.interval: float | None = None
        self._ends = ends
        self._existing = existing
        self._looked = False
        self._known: dict[str, tuple[R, int]] = {}
        self._told: dict[str, R] = {}
        self._pending: dict[str, Change[R]] = {}
        self._arrival: asyncio.Future[None] | None = None
        self._error: Exception | None = None

    def see(self, resource: R, look: int) -> bool:
        """Take in a resource that was read; return whether it is new or has changed."""
        known = self._known.get(resource.id)
        self._known[resource.id] = (resource, look)
        if known is None:
            if not self._looked and (not self._existing or resource.status in self._ends):
                # What ended before the watch began is history, not a change.
                self._told[resource.id] = resource
                return False
            self._put("appeared", resource)
        elif known[0] is not resource and known[0] != resource:
            self._put("changed", resource)
        else:
            return False
        return True

    def missing(self, look: int) -> list[str]:
        """Return the ids that a complete look has not seen."""
        self._looked = True
        return [key for key, (_, seen) in self._known.items() if seen != look]

    def lose(self, id: str) -> None:
        """Take in that a resource no longer exists."""
        known = self._known.pop(id, None)
        if known is not None:
            self._put("gone", known[0])

    def see_unlisted(self, resource: R, look: int) -> None:
        """Take in a resource that lists no longer show although it can be read: its final state, often."""
        if resource.id in self._known:
            self.see(resource, look)
            if resource.status in self._ends:
                del self._known[resource.id]  # told for the last time: there is no more to ask

    def fail(self, error: Exception) -> None:
        self._error = error
        self._wake()

    def _put(self, kind: Literal["appeared", "changed", "gone"], resource: R) -> None:
        key, told = resource.id, self._told.get(resource.id)
        if told is None and kind == "changed":
            kind = "appeared"  # the reader was too slow to be told of its beginning
        self._pending.pop(key, None)
        if kind == "changed" and told == resource:
            return  # back to what the reader knows before it has looked
        self._pending[key] = Change(kind, key, resource, told)
        self._wake()

    def _wake(self) -> None:
        if self._arrival is not None and not self._arrival.done():
            self._arrival.set_result(None)

    async def next(self) -> Change[R]:
        """Return the next change; wait for one if there is none."""
        while not self._pending:
            if self._error is not None:
                raise self._error
            self._arrival = asyncio.get_running_loop().create_future()
            await self._arrival
        change = self._pending.pop(next(iter(self._pending)))
        if change.id in self._known:
            self._told[change.id] = change.resource
        else:
            self._told.pop(change.id, None)
        return change
