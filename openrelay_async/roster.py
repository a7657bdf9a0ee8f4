"""Who waits for what, and what is known of it. No I/O: the poller brings in what it has read.

An observation counts for a wait only if its request was sent after the wait began: a state read before a
restart says nothing about the time after it.
"""

from __future__ import annotations

import asyncio
import copy
import heapq
import math
from collections.abc import Callable, Iterable
from typing import Generic, TypeVar

import attrs

from openrelay_async.errors import OpenRelayError, WaitError, WaitFailed, WaitTimeout
from openrelay_async.lifecycles import Goal, Lifecycle
from openrelay_async.model import ApiModel
from openrelay_async.operation import Operation
from openrelay_async.poll_pace import RequestedIntervals
from openrelay_async.wait_entries import Entry, Sink, Waiter
from openrelay_async.waiting import (
    Living,
    OnUpdate,
    WaitOptions,
    WaitOutcome,
    WaitProgress,
    WaitToken,
    complete_wait_error,
)

R = TypeVar("R", bound=Living)

_MISSES = 3
"""Reads of a list without the id that end a wait, where a resource cannot be read singly."""


class Roster(Generic[R]):
    """The waits of one poller."""

    def __init__(
        self,
        lifecycle: Lifecycle,
        *,
        operation: Operation,
        org_id: str | None,
        parent: str | None,
        scrub: Callable[[str], str],
        reads_reasons: bool = False,
    ) -> None:
        """Take what errors say: the operation that lists, and where the resource belongs.

        Args:
            scrub: takes what looks like a key out of the service's texts.
            reads_reasons: whether the reason of a state is read apart, when it ends waits: see `give_up`.
        """
        self.entries: dict[str, Entry[R]] = {}
        self.fresh: dict[str, None] = {}
        """Ids for which somebody began to wait since the last look began."""
        self.requests = 0
        """Number of the last request that was sent; they count from 1."""
        self.changed_at = -math.inf
        """When something last changed, or somebody began to wait, in the clock's time."""
        self.intervals = RequestedIntervals()
        """The intervals that waits and watches ask for."""
        self._lifecycle = lifecycle
        self._operation = operation
        self._org_id = org_id
        self._parent = parent
        self._scrub = scrub
        self._reads_reasons = reads_reasons
        self._deadlines: list[Waiter[R]] = []

    def join(
        self,
        id: str,
        goal: Goal,
        options: WaitOptions,
        on_update: OnUpdate[R] | None,
        sink: asyncio.Future[R | None] | Sink[R],
        now: float,
        resumed: WaitToken | None = None,
    ) -> Waiter[R]:
        """Note that somebody waits for an id."""
        entry = self.entries.get(id)
        if entry is None:
            entry = self.entries[id] = Entry(id)
        waiter = Waiter(
            entry,
            goal,
            options,
            on_update,
            sink,
            began=now - options.spent - (resumed.elapsed if resumed else 0.0),
            deadline=now - options.spent + options.timeout,
            polls_before=entry.polls - (resumed.polls if resumed else 0),
            last_request_before=self.requests,
        )
        entry.waiters = (*entry.waiters, waiter)
        self.fresh[id] = None
        self.changed_at = now
        if waiter.deadline != math.inf:
            heapq.heappush(self._deadlines, waiter)
        self.intervals.add(options.interval)
        return waiter

    def leave(self, waiter: Waiter[R]) -> None:
        """Forget a wait; nothing happens if it has ended already."""
        entry = waiter.entry
        if waiter not in entry.waiters:
            return
        entry.waiters = tuple(other for other in entry.waiters if other is not waiter)
        self.intervals.remove(waiter.options.interval)
        if not entry.waiters:
            del self.entries[entry.id]
            self.fresh.pop(entry.id, None)
        if len(self._deadlines) > 2 * len(self.entries) + 64:
            self._deadlines = [other for other in self._deadlines if other in other.entry.waiters]
            heapq.heapify(self._deadlines)

    def count_request(self) -> int:
        """Return the number of the request that is about to be sent."""
        self.requests += 1
        return self.requests

    # What the poller has read

    def observe(self, entry: Entry[R], resource: R, request: int, now: float, *, full: bool) -> None:
        """Take in a state that was read.

        Args:
            request: number of the request that read it.
            full: whether it was read singly, with everything that lists do not show.
        """
        last, entry.resource = entry.resource, resource
        entry.polls += 1
        entry.failures = entry.misses = 0
        entry.needs_reason = False
        if last is None or last.status != resource.status:
            self.changed_at = now
        for waiter in entry.waiters:
            waiter.failures_before = 0
            if waiter.last_request_before >= request:
                continue
            if waiter.on_update is not None and _differs(last, resource):
                self._tell(waiter, waiter.on_update, resource, now)
            verdict = waiter.goal.judge(resource.status)
            waiter.is_hopeless = verdict == "hopeless"
            if verdict == "hopeless" and self._reads_reasons:
                entry.needs_reason = True
            elif verdict == "hopeless":
                self._fail(waiter, self._make_failure(waiter, resource), now)
            elif verdict == "reached":
                self._reach(waiter, resource, full)

    def _reach(self, waiter: Waiter[R], resource: R, full: bool) -> None:
        goal = waiter.goal
        if goal.check is not None and not goal.check(resource):
            return
        if goal.returns == "listed" and not full:
            self._finish(waiter, resource)
        elif goal.returns == "nothing":
            self._finish(waiter, None)
        elif goal.returns == "read":
            if not full:
                waiter.entry.needs_confirmation = True
            elif goal.flag is None or getattr(resource, goal.flag, None) is True:
                self._finish(waiter, resource)

    def _tell(self, waiter: Waiter[R], on_update: OnUpdate[R], resource: R, now: float) -> None:
        progress = WaitProgress(
            id=waiter.entry.id,
            until=waiter.goal.name,
            status=resource.status,
            status_reason=self._reason(resource),
            elapsed=now - waiter.began,
            polls=waiter.entry.polls - waiter.polls_before,
            resource=resource,
        )
        try:
            on_update(progress)
        except (asyncio.CancelledError, StopIteration) as error:  # no future takes them as its error
            ended = OpenRelayError(f"on_update raised {type(error).__name__}")
            ended.__cause__ = error
            self._finish(waiter, ended)
        except Exception as error:  # the caller's own code: its error belongs to its wait alone
            self._finish(waiter, error)

    def give_up(self, entry: Entry[R], detail: Living | None, now: float) -> None:
        """End the waits whose goal is out of reach.

        Args:
            detail: the resource with the reason, which counts for the same state only; `None` if it could
                not be read.
        """
        resource = entry.resource
        if resource is None:
            return
        explains = detail is not None and detail.status == resource.status
        reason = self._reason(detail) if explains else None
        for waiter in entry.waiters:
            if waiter.is_hopeless:
                self._fail(waiter, self._make_failure(waiter, resource), now, reason=reason)

    def _make_failure(self, waiter: Waiter[R], resource: R) -> WaitFailed:
        return WaitFailed(
            f"the {self._lifecycle.noun} {waiter.entry.id} is {self._scrub(resource.status)}, "
            f"from where it does not become {waiter.goal.name}"
        )

    def gone(self, entry: Entry[R], error: OpenRelayError) -> None:
        """Take in that the service knows no such id."""
        for waiter in entry.waiters:
            if waiter.goal.gone and (waiter.goal.returns == "nothing" or entry.resource is not None):
                self._finish(waiter, entry.resource if waiter.goal.returns != "nothing" else None)
            else:
                self._finish(waiter, _copy(error))

    def miss(self, entry: Entry[R], error: OpenRelayError) -> None:
        """Take in that a list does not have the id, where it cannot be read singly."""
        entry.misses += 1
        if entry.misses >= _MISSES:
            self.gone(entry, error)

    def refuse(self, entries: Iterable[Entry[R]], error: OpenRelayError) -> None:
        """Take in an error that will not pass: it ends the waits."""
        for entry in list(entries):
            for waiter in entry.waiters:
                self._finish(waiter, _copy(error))

    def stumble(self, entries: Iterable[Entry[R]], error: OpenRelayError, request: int, now: float) -> None:
        """Take in an error that may pass: it ends the waits that have seen too many in a row.

        Args:
            request: number of the request that failed.
        """
        for entry in list(entries):
            entry.failures += 1
            for waiter in entry.waiters:
                if waiter.last_request_before >= request:
                    waiter.failures_before += 1
                failures = entry.failures - waiter.failures_before
                if failures > waiter.options.max_failures:
                    message = f"{failures} polls in a row failed, the last with: {error._say()}"
                    self._fail(waiter, WaitError(message), now, _copy(error))

    def next_deadline(self) -> float:
        while self._deadlines and self._deadlines[0] not in self._deadlines[0].entry.waiters:
            heapq.heappop(self._deadlines)
        return self._deadlines[0].deadline if self._deadlines else math.inf

    def expire(self, now: float) -> None:
        """End the waits whose time is up."""
        while self.next_deadline() <= now:
            waiter = heapq.heappop(self._deadlines)
            seen = waiter.entry.resource
            if seen is not None and waiter.is_hopeless:
                # Its time is up while the reason is read: what is known counts.
                self._fail(waiter, self._make_failure(waiter, seen), now)
                continue
            state = "was not seen" if seen is None else f"is {self._scrub(seen.status)}"
            error = WaitTimeout(
                f"the {self._lifecycle.noun} {waiter.entry.id} {state} after {now - waiter.began:.1f} s "
                f"of waiting for {waiter.goal.name}"
            )
            self._fail(waiter, error, now)

    # How waits end

    def _fail(
        self,
        waiter: Waiter[R],
        error: WaitError,
        now: float,
        cause: OpenRelayError | None = None,
        *,
        reason: str | None = None,
    ) -> None:
        entry = waiter.entry
        token = WaitToken(
            self._lifecycle.kind,
            entry.id,
            waiter.goal.name,
            self._org_id,
            self._parent,
            now - waiter.began,
            entry.polls - waiter.polls_before,
        )
        resource = entry.resource
        reason = reason or self._reason(resource)
        if reason:
            reason = self._scrub(reason)
            error.message = f"{error.message}: {reason}"
            error.args = (error.message,)
        self._finish(
            waiter,
            complete_wait_error(
                error,
                token,
                operation=entry.operation or self._operation,
                resource=None if resource is None else self._clean(resource),
                state=None if resource is None else self._scrub(resource.status),
                reason=reason,
                cause=cause,
            ),
        )

    def _clean(self, resource: R) -> R:
        """Return the resource as an error may hold it: what says its state is scrubbed there too."""
        if isinstance(resource, ApiModel):
            for name in ("status", self._lifecycle.reason):
                text = getattr(resource, name, None)
                if isinstance(text, str) and (clean := self._scrub(text)) != text:
                    resource = attrs.evolve(resource, **{name: clean})
        return resource

    def _reason(self, resource: Living | None) -> str | None:
        reason: object = getattr(resource, self._lifecycle.reason, None)
        return reason if isinstance(reason, str) and reason else None

    def _finish(self, waiter: Waiter[R], result: R | Exception | None) -> None:
        if waiter not in waiter.entry.waiters:
            return
        self.leave(waiter)
        sink = waiter.sink
        if isinstance(sink, Sink):
            if isinstance(result, Exception):
                sink.put(WaitOutcome(waiter.entry.id, None, result))
            else:
                sink.put(WaitOutcome(waiter.entry.id, result))
        elif not sink.done():
            if isinstance(result, Exception):
                sink.set_exception(result)
            else:
                sink.set_result(result)


def _copy(error: OpenRelayError) -> OpenRelayError:
    """Return an error for one of those who wait: each is raised with a traceback of its own."""
    copied = copy.copy(error)
    copied.__cause__ = error.__cause__
    return copied


def _differs(last: R | None, now: R) -> bool:
    """Return whether there is something to tell. Two readings of different shape differ in status only."""
    if last is None or type(last) is not type(now):
        return last is None or last.status != now.status
    return last != now
