"""One poller for all waits and watches on one kind of resource: what keeps 10,000 waits at 10 list calls.

A look reads the list as far as somebody waits for what is on it; few ids, those the list does not have, and
what only the full reading shows are read singly, a bounded number a look. The poller lives as long as
somebody waits, in the loop of those who wait.
"""

from __future__ import annotations

import asyncio
import contextvars
import math
from collections.abc import Callable, Sequence
from contextlib import aclosing
from typing import Generic, TypeVar

from openrelay_async.client_state import Shared
from openrelay_async.errors import ConnectionFailed, NotFound, OpenRelayError, Unauthenticated
from openrelay_async.hooks import WaitTick
from openrelay_async.observers import tell
from openrelay_async.poll_pace import PollPace
from openrelay_async.poll_source import Source, may_pass
from openrelay_async.poll_timer import PollTimer
from openrelay_async.roster import Entry, Roster, Waiter
from openrelay_async.waiting import Living
from openrelay_async.watching import Watch

R = TypeVar("R", bound=Living)

FEW = 4
"""So many ids are read singly: that is less work for the service than a page of its list."""
_SINGLES = 100
"""Most single reads of one look; the others have their turn in the next."""
_AT_ONCE = 8


class Poller(Generic[R]):
    """Reads what somebody waits for, until nobody does."""

    def __init__(
        self, source: Source[R], roster: Roster[R], shared: Shared, forget: Callable[[], object]
    ) -> None:
        """Take what to read and for whom; `forget` is called when nobody waits any more."""
        self.source = source
        self.roster = roster
        self.watches: list[Watch[R]] = []
        self.pace = PollPace()
        self._clock = shared.clock
        self._hooks = shared.hooks
        self._forget = forget
        self._timer = PollTimer(shared.clock, roster, self.is_wanted)
        self._loop = asyncio.get_running_loop()
        self._task: asyncio.Task[None] | None = None
        self._looks = 0
        self._pages = 1
        self._failed_looks = 0
        self._failure: OpenRelayError | None = None
        self._look_requests = 0
        self._next_at = -math.inf
        self._soonest = -math.inf
        self._floor = -math.inf

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
        if interval is not None:
            self.roster.intervals[interval] += 1
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
            self.watches.remove(watch)
            if watch.interval is not None:
                self.roster.release_interval(watch.interval)
        if self.is_wanted():
            return
        self._forget()
        task, self._task = self._task, None
        if task is not None and not task.done():
            task.cancel()
            await asyncio.wait({task})

    async def _run(self) -> None:
        own = asyncio.current_task()
        early = False
        try:
            while self.is_wanted():
                began = self._clock.monotonic()
                await self._look(early)
                if not self.is_wanted():
                    break
                delay = self._plan()
                now = self._clock.monotonic()
                # A look that was spread over the interval is followed by the next one at once.
                following = max(began + delay, now + delay / self._pages, self._floor)
                self._next_at = min(following, self._next_at) if early else following
                early = await self._timer.pause(self._next_at, self._soonest)
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
            ended = _polling_failed(error)
        self._refuse_all(ended)

    def _refuse_all(self, error: OpenRelayError) -> None:
        self.roster.refuse(self.roster.entries.values(), error)
        for watch in self.watches:
            watch.fail(error)

    # One look

    async def _look(self, early: bool) -> None:
        """Read what is waited for; between two regular looks, only what somebody has come for."""
        roster, timer = self.roster, self._timer
        wanted = list(roster.entries.values())
        if early and not timer.is_hurried:
            wanted = [roster.entries[key] for key in roster.fresh if key in roster.entries]
        apart = [entry for entry in wanted if entry.unlisted]
        if len(apart) > _SINGLES:
            apart = []
        singly = self.source.reads_singly() and len(wanted) - len(apart) <= FEW
        if self.watches and (timer.is_hurried or not early):
            singly = False
        roster.fresh.clear()
        timer.is_hurried = False
        self._failure, self._look_requests = None, 0
        self._looks += 1
        timer.arm()
        try:
            if singly:
                await self._read_all(wanted)
            else:
                await self._list(apart, spread=not early)
        finally:
            timer.disarm()

    async def _list(self, apart: list[Entry[R]], *, spread: bool) -> None:
        """Read the list, and singly those that it is known to lack."""
        roster, watches = self.roster, tuple(self.watches)
        unseen = set(roster.entries).difference(entry.id for entry in apart)
        size = self.source.largest_page
        if len(unseen) <= size // 20 and not watches and self._pages == 1:
            size //= 10
        budget, pages, complete = math.ceil(len(unseen) / size), 0, False
        gap = self._interval() / self._pages if spread and self._pages > 1 else 0.0
        try:
            async with aclosing(self.source.pages(size).pages()) as stream:
                while not complete:
                    if pages and gap:
                        await self._timer.rest(gap)
                    request = self._count_request()
                    page = await anext(stream)
                    pages += 1
                    self._take_in(page.items, unseen, request, watches)
                    complete = page.next_cursor is None
                    if not watches and self._knows_enough(unseen, pages, budget):
                        break
        except OpenRelayError as error:
            self._note(error)
            if not may_pass(error):
                self._refuse_all(error)
                return
            hit = [entry for key in unseen if (entry := roster.entries.get(key)) is not None]
            roster.stumble(hit, error, self._clock.monotonic())
            return
        self._pages = pages
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
                entry.unlisted = False
                roster.observe(entry, resource, request, now, full=False)

    async def _read_rest(self, missing: list[Entry[R]], watches: Sequence[Watch[R]]) -> None:
        """Read singly what the list lacked, and what it cannot show.

        Args:
            watches: those that have been shown the whole list: what they miss may be gone.
        """
        roster = self.roster
        if not self.source.reads_singly():
            for entry in missing:
                roster.miss(entry, self.source.absent(entry.id))
        else:
            to_confirm = [entry for entry in roster.entries.values() if entry.confirm]
            await self._read_all(self._take_turns(missing) + self._take_turns(to_confirm))
        absent = {key for watch in watches for key in watch.missing(self._looks)}
        for key in list(absent)[:_SINGLES]:
            await self._read_absent(key, watches)

    def _take_turns(self, entries: list[Entry[R]]) -> list[Entry[R]]:
        if len(entries) <= _SINGLES:
            return entries
        start = self._looks * _SINGLES % len(entries)
        return [*entries[start:], *entries[:start]][:_SINGLES]

    async def _read_all(self, entries: list[Entry[R]]) -> None:
        """Read resources singly, a few at a time."""
        if len(entries) <= 1:
            for entry in entries:
                await self._read_one(entry)
            return
        upcoming = iter(entries)

        async def work() -> None:
            for entry in upcoming:
                await self._read_one(entry)

        workers = [self._loop.create_task(work()) for _ in range(min(_AT_ONCE, len(entries)))]
        try:
            await asyncio.gather(*workers)
        finally:
            for worker in workers:
                worker.cancel()
            await asyncio.gather(*workers, return_exceptions=True)

    async def _read_one(self, entry: Entry[R]) -> None:
        source, full = self.source, True
        if source.read is not None and not entry.confirm:
            full = all(waiter.goal.returns == "read" for waiter in entry.waiters)
        entry.confirm = False
        await self._read_as(entry, full=full)
        if entry.confirm and not full and entry.waiters:
            entry.confirm = False
            await self._read_as(entry, full=True)

    async def _read_as(self, entry: Entry[R], *, full: bool) -> None:
        read = self.source.reader(full=full)
        if read is None or not entry.waiters:
            return
        request = self._count_request()
        try:
            resource = await read(entry.id)
        except NotFound as error:
            self.roster.gone(entry, error)
        except OpenRelayError as error:
            self._note(error)
            if may_pass(error):
                self.roster.stumble([entry], error, self._clock.monotonic())
            elif isinstance(error, Unauthenticated):
                self._refuse_all(error)
            else:
                self.roster.refuse([entry], error)
        except Exception as error:  # a mistake: it belongs to this id, not to all who wait
            self.roster.refuse([entry], _polling_failed(error))
        else:
            self.roster.observe(entry, resource, request, self._clock.monotonic(), full=full)

    async def _read_absent(self, id: str, watches: Sequence[Watch[R]]) -> None:
        """Find out what became of a resource that the list no longer shows."""
        read = self.source.reader(full=False)
        if read is not None:
            self._count_request()
            try:
                resource = await read(id)
            except NotFound:
                pass
            except OpenRelayError as error:
                self._note(error)  # it stays unseen, so that the next look asks again
                return
            else:
                for watch in watches:
                    watch.see_unlisted(resource, self._looks)
                return
        for watch in watches:
            watch.lose(id)

    def _count_request(self) -> int:
        self._look_requests += 1
        self.roster.requests += 1
        return self.roster.requests

    def _note(self, error: OpenRelayError) -> None:
        if self._failure is None or (error.retry_after or 0.0) > (self._failure.retry_after or 0.0):
            self._failure = error

    # Between looks

    def _interval(self) -> float:
        quiet = self._clock.monotonic() - self.roster.changed_at
        return self.pace.interval(quiet, self._pages, self.roster.longest_interval())

    def _plan(self) -> float:
        """Return the seconds until the next look, and tell the hooks."""
        clock, pace, failure = self._clock, self.pace, self._failure
        delay, floor = self._interval(), 0.0
        self._failed_looks = 0 if failure is None else self._failed_looks + 1
        if failure is not None:
            delay = pace.after_failure(delay, self._failed_looks, self.roster.longest_interval())
            floor = failure.retry_after or 0.0
        delay = max(floor, delay * clock.uniform(1.0 - pace.jitter, 1.0 + pace.jitter))
        self._floor = clock.monotonic() + floor
        self._soonest = clock.monotonic() + max(floor, min(delay, pace.shortest))
        if self._hooks.on_wait_tick:
            tick = WaitTick(
                operation=self.source.operation.id,
                method=self.source.operation.http_method,
                path=self.source.operation.path,
                resource=self.source.lifecycle.kind,
                waiting=len(self.roster.entries),
                watching=len(self.watches),
                requests=self._look_requests,
                failure=None if failure is None else type(failure).__name__,
                delay=delay,
            )
            tell(self._hooks.on_wait_tick, tick)
        return delay


def _polling_failed(error: Exception) -> OpenRelayError:
    ended = OpenRelayError(f"polling failed: {type(error).__name__}")
    ended.__cause__ = error
    return ended
