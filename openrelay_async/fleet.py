"""One poller for all waits and watches on one kind of resource: what keeps 10,000 waits at 10 list calls.

A look reads the list as far as somebody waits for what is on it; few ids, those the list does not have, and
what only the full reading shows are read singly, a bounded number a look (`single_reads.py`). When the next
look comes is decided by `poll_plan.py`. The poller lives as long as somebody waits, in the loop of those who
wait.
"""

from __future__ import annotations

import asyncio
import contextvars
import math
from collections.abc import Callable, Sequence
from contextlib import aclosing
from typing import Generic, TypeVar

from openrelay_async.client_state import Shared
from openrelay_async.errors import ConnectionFailed, OpenRelayError
from openrelay_async.observers import tell
from openrelay_async.poll_pace import PollPace
from openrelay_async.poll_plan import PollPlan
from openrelay_async.poll_source import Source, make_polling_error, may_pass
from openrelay_async.poll_timer import PollTimer
from openrelay_async.roster import Roster
from openrelay_async.single_reads import MOST_SINGLES, SingleReads, take_turns
from openrelay_async.wait_entries import Entry, Waiter
from openrelay_async.waiting import Living
from openrelay_async.watching import Watch

R = TypeVar("R", bound=Living)

FEW = 4
"""So many ids are read singly: that is less work for the service than a page of its list."""


class Poller(Generic[R]):
    """Reads what somebody waits for, until nobody does."""

    def __init__(
        self, source: Source[R], roster: Roster[R], shared: Shared, forget: Callable[[], object]
    ) -> None:
        """Take what to read and for whom; `forget` is called when nobody waits any more."""
        self.source = source
        self.roster = roster
        self.watches: list[Watch[R]] = []
        self._clock = shared.clock
        self._hooks = shared.hooks
        self._forget = forget
        self._plan = PollPlan(shared.clock, PollPace())
        self._timer = PollTimer(shared.clock, roster, self.is_wanted)
        self._singles = SingleReads(source, roster, self._plan, shared.clock, self._refuse_all)
        self._loop = asyncio.get_running_loop()
        self._task: asyncio.Task[None] | None = None
        self._looks = 0
        self._requests_before = 0
        """Number of the last request that was sent before this look."""

    def __repr__(self) -> str:
        waiting, watching = len(self.roster.entries), len(self.watches)
        return f"<Poller of {self.source.lifecycle.kind}: {waiting} waited for, {watching} watches>"

    def is_wanted(self) -> bool:
        return bool(self.roster.entries or self.watches)

    def start(self, *, hurry: bool = False) -> None:
        """Let the poller know that somebody has come; it runs from now on.

        Args:
            hurry: look soon, although nobody waits for a new id.
        """
        self._timer.is_hurried = self._timer.is_hurried or hurry
        if self._task is None:
            # Not in the context of the one who came first: what it traces or records is not for all.
            self._task = self._loop.create_task(self._run(), context=contextvars.Context())
        else:
            self._timer.wake()

    def add_watch(self, watch: Watch[R], interval: float | None) -> None:
        """Let somebody read changes; the shortest interval that anybody asks for holds."""
        self.watches.append(watch)
        watch.interval = interval
        self.roster.intervals.add(interval)
        self.roster.changed_at = self._clock.monotonic()
        self.start(hurry=True)

    def close(self, reason: str) -> None:
        """End all waits and watches, from whatever thread."""
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._refuse_all, ConnectionFailed(reason))

    async def depart(self, waiters: Sequence[Waiter[R]] = (), watch: Watch[R] | None = None) -> None:
        """Take those out who wait no longer; return when no task is left that nobody needs."""
        for waiter in waiters:
            self.roster.leave(waiter)
        if watch is not None:
            self._drop(watch)
        if self.is_wanted():
            return
        self._forget()
        task, self._task = self._task, None
        if task is not None and not task.done():
            task.cancel()
            await asyncio.wait({task})

    def _drop(self, watch: Watch[R]) -> None:
        """Look for a watch no longer; nothing happens if its end is known already."""
        if watch in self.watches:
            self.watches.remove(watch)
            self.roster.intervals.remove(watch.interval)

    async def _run(self) -> None:
        own = asyncio.current_task()
        plan, early = self._plan, False
        try:
            while self.is_wanted():
                plan.begin_look()
                await self._look(early)
                if not self.is_wanted():
                    break
                plan.end_look(self.roster.changed_at, self.roster.intervals.limit())
                self._tell_hooks()
                early = await self._timer.pause(plan.next_look(early=early), plan.soonest)
        except BaseException as error:
            if self._task is own:
                self._give_up(error)
            if not isinstance(error, Exception):
                raise
        finally:
            self._timer.disarm()
            if self._task is own:
                self._task = None
                self._forget()

    def _give_up(self, error: BaseException) -> None:
        """Let nobody wait for a poller that is no more."""
        ended = OpenRelayError("the task that polls for this wait was cancelled")
        if isinstance(error, Exception):
            ended = make_polling_error(error)
        self._refuse_all(ended)

    def _refuse_all(self, error: OpenRelayError) -> None:
        self.roster.refuse(self.roster.entries.values(), error)
        for watch in list(self.watches):
            watch.fail(error)
            self._drop(watch)  # its reader may be busy for long: nothing is read for it meanwhile
        self._timer.wake()

    def _tell_hooks(self) -> None:
        if self._hooks.on_wait_tick:
            tick = self._plan.tick(
                self.source.operation,
                self.source.lifecycle.kind,
                waiting=len(self.roster.entries),
                watching=len(self.watches),
                requests=self.roster.requests - self._requests_before,
            )
            tell(self._hooks.on_wait_tick, tick)

    # One look

    async def _look(self, early: bool) -> None:
        """Read what is waited for; between two regular looks, only what somebody has come for."""
        roster, timer = self.roster, self._timer
        wanted = list(roster.entries.values())
        if early and not timer.is_hurried:
            wanted = [roster.entries[key] for key in roster.fresh if key in roster.entries]
        apart = [entry for entry in wanted if entry.unlisted]
        if len(apart) > MOST_SINGLES:
            apart = []
        singly = self.source.reads_singly() and len(wanted) - len(apart) <= FEW
        if self.watches and (timer.is_hurried or not early):
            singly = False
        roster.fresh.clear()
        timer.is_hurried = False
        self._requests_before = roster.requests
        self._looks += 1
        timer.arm()
        try:
            if singly:
                await self._singles.read(wanted)
            else:
                await self._list(apart, spread=not early)
        finally:
            timer.disarm()

    async def _list(self, apart: list[Entry[R]], *, spread: bool) -> None:
        """Read the list, and singly those that it is known to lack."""
        roster, plan, watches = self.roster, self._plan, tuple(self.watches)
        unseen = set(roster.entries).difference(entry.id for entry in apart)
        size = self.source.largest_page
        if len(unseen) <= size // 20 and not watches and plan.pages == 1:
            size //= 10
        budget, pages, complete = math.ceil(len(unseen) / size), 0, False
        gap = plan.page_gap(roster.changed_at, roster.intervals.limit()) if spread else 0.0
        try:
            async with aclosing(self.source.pages(size).pages()) as stream:
                while not complete:
                    if pages and gap:
                        await self._timer.rest(gap)
                    request = roster.count_request()
                    page = await anext(stream)
                    pages += 1
                    self._take_in(page.items, unseen, request, watches)
                    complete = page.next_cursor is None
                    if not watches and self._knows_enough(unseen, pages, budget):
                        break
        except OpenRelayError as error:
            plan.note(error)
            if not may_pass(error):
                self._refuse_all(error)
                return
            hit = [entry for key in unseen if (entry := roster.entries.get(key)) is not None]
            for entry in hit:
                entry.operation = None
            roster.stumble(hit, error, roster.requests, self._clock.monotonic())
            return
        plan.pages = pages
        missing = [entry for key in unseen if (entry := roster.entries.get(key)) is not None]
        for entry in missing:
            entry.unlisted = True
        # Those that stand apart may have been on the list this time.
        missing += [entry for entry in apart if entry.unlisted and entry.waiters]
        await self._read_rest(missing, watches if complete else ())

    def _knows_enough(self, unseen: set[str], pages: int, budget: int) -> bool:
        """Return whether the rest is better read singly, if there is any.

        More pages than those that could hold all are read as long as they are fewer than the single reads
        that they may save.
        """
        return not unseen or (pages - budget >= len(unseen) - FEW and self.source.reads_singly())

    def _take_in(
        self, items: Sequence[R], unseen: set[str], request: int, watches: Sequence[Watch[R]]
    ) -> None:
        roster, entries, look = self.roster, self.roster.entries, self._looks
        now = self._clock.monotonic()
        for resource in items:
            for watch in watches:
                if watch.see(resource, look):
                    roster.changed_at = now
            entry = entries.get(resource.id)
            if entry is not None:
                unseen.discard(entry.id)
                entry.unlisted, entry.operation = False, None
                roster.observe(entry, resource, request, now, full=False)

    async def _read_rest(self, missing: list[Entry[R]], watches: Sequence[Watch[R]]) -> None:
        """Read singly what the list lacked, and what it cannot show.

        Args:
            watches: those that have been shown the whole list: what they miss may be gone.
        """
        roster, look = self.roster, self._looks
        if not self.source.reads_singly():
            for entry in missing:
                roster.miss(entry, self.source.absent(entry.id))
            missing = []
        unsettled = [each for each in roster.entries.values() if each.needs_confirmation or each.needs_reason]
        await self._singles.read(take_turns(missing, look) + take_turns(unsettled, look))
        absent = {key for watch in watches for key in watch.missing(look)}
        for key in list(absent)[:MOST_SINGLES]:
            await self._singles.read_absent(key, watches, look)
