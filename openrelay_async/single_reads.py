"""Reading resources one by one: those that a list lacks, and those of which it does not show enough."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

from openrelay_async.clock import Clock
from openrelay_async.errors import NotFound, OpenRelayError, Unauthenticated
from openrelay_async.poll_plan import PollPlan
from openrelay_async.poll_source import Source, make_polling_error, may_pass
from openrelay_async.roster import Roster
from openrelay_async.wait_entries import Entry
from openrelay_async.waiting import Living
from openrelay_async.watching import Watch

R = TypeVar("R", bound=Living)

MOST_SINGLES = 100
"""Most single reads of one look; the others have their turn in the next."""
_AT_ONCE = 8
_REASON_LIMIT = 2.0
"""Seconds of real time to read the reason of a state: everybody's next look waits for it."""


class SingleReads(Generic[R]):
    """The single reads of one poller: what they find goes to those who wait for it."""

    __slots__ = ("_clock", "_plan", "_reads_reasons", "_refuse_all", "_roster", "_source")

    def __init__(
        self,
        source: Source[R],
        roster: Roster[R],
        plan: PollPlan,
        clock: Clock,
        refuse_all: Callable[[OpenRelayError], None],
    ) -> None:
        """Take how to read, for whom, and where errors go.

        Args:
            plan: is told of errors, for the next pause.
            refuse_all: ends all waits and watches, with an error that no other read will escape.
        """
        self._source = source
        self._roster = roster
        self._plan = plan
        self._clock = clock
        self._refuse_all = refuse_all
        self._reads_reasons = True
        """Whether none has hung in this look."""

    async def read(self, entries: Sequence[Entry[R]]) -> None:
        """Read what is waited for, a few at a time."""
        self._reads_reasons = True
        if len(entries) <= 1:
            for entry in entries:
                await self._read_one(entry)
            return
        upcoming = iter(entries)

        async def work() -> None:
            for entry in upcoming:
                await self._read_one(entry)

        workers = [asyncio.create_task(work()) for _ in range(min(_AT_ONCE, len(entries)))]
        try:
            await asyncio.gather(*workers)
        finally:
            for worker in workers:
                worker.cancel()
            await asyncio.gather(*workers, return_exceptions=True)

    async def _read_one(self, entry: Entry[R]) -> None:
        """Read one id as far as those who wait for it need, with the reason if their goal is out of reach."""
        if not entry.needs_reason:
            await self._read_state(entry)
        if entry.needs_reason:
            await self._read_reason(entry)

    async def _read_state(self, entry: Entry[R]) -> None:
        """Read the state of one id; in full as well if that shows it at its goal."""
        source, full = self._source, True
        if source.read is not None and not entry.needs_confirmation:
            full = all(waiter.goal.returns == "read" for waiter in entry.waiters)
        entry.needs_confirmation = False
        await self._read_as(entry, full=full)
        if entry.needs_confirmation and not full and entry.waiters:
            entry.needs_confirmation = False
            await self._read_as(entry, full=True)

    async def _read_as(self, entry: Entry[R], *, full: bool) -> None:
        reading = self._source.reading(full=full)
        if reading is None or not entry.waiters:
            return
        roster = self._roster
        request = roster.count_request()
        entry.operation = reading.operation
        try:
            resource = await reading.read(entry.id)
        except NotFound as error:
            roster.gone(entry, error)
        except OpenRelayError as error:
            self._plan.note(error)
            if may_pass(error):
                roster.stumble([entry], error, request, self._clock.monotonic())
            elif isinstance(error, Unauthenticated):
                self._refuse_all(error)
            else:
                roster.refuse([entry], error)
        except Exception as error:  # a mistake: it belongs to this id, not to all who wait
            roster.refuse([entry], make_polling_error(error))
        else:
            roster.observe(entry, resource, request, self._clock.monotonic(), full=full)

    async def _read_reason(self, entry: Entry[R]) -> None:
        """Read why a resource is in a state that ends waits; they end without it if that fails or hangs."""
        entry.needs_reason = False
        reading, detail = self._source.read_reason, None
        if reading is None or not entry.waiters:
            return
        if self._reads_reasons:
            self._roster.count_request()
            try:
                async with asyncio.timeout(_REASON_LIMIT):
                    detail = await reading.read(entry.id)
            except Exception as error:  # whatever it is, the state is known
                if isinstance(error, OpenRelayError):
                    self._plan.note(error)
                elif isinstance(error, TimeoutError):
                    self._reads_reasons = False  # a hundred that hang would take as long as a dozen limits
        self._roster.give_up(entry, detail, self._clock.monotonic())

    async def read_absent(self, id: str, watches: Sequence[Watch[R]], look: int) -> None:
        """Find out what became of a resource that the list no longer shows, and let watches know.

        Args:
            id: a resource that a complete list lacked.
            watches: those that have been shown that list.
            look: number of this look, as the watches know it.
        """
        reading = self._source.reading(full=False)
        if reading is not None:
            self._roster.count_request()
            try:
                resource = await reading.read(id)
            except NotFound:
                pass
            except OpenRelayError as error:
                self._plan.note(error)  # it stays unseen, so that the next look asks again
                return
            else:
                for watch in watches:
                    watch.see_unlisted(resource, look)
                return
        for watch in watches:
            watch.lose(id)


def take_turns(entries: list[Entry[R]], look: int) -> list[Entry[R]]:
    """Return those that are read in this look: all in turn, if there are too many for one."""
    if len(entries) <= MOST_SINGLES:
        return entries
    start = look * MOST_SINGLES % len(entries)
    return [*entries[start:], *entries[:start]][:MOST_SINGLES]
