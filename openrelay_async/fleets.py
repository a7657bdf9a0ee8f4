"""What resources offer of waiting and watching: finds the poller that they share, joins it, leaves it."""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncGenerator, Callable, Iterable, Sequence
from typing import Generic, TypeVar, cast

from attrs import evolve, frozen

from openrelay_async.config import check_seconds
from openrelay_async.errors import (
    ConnectionFailed,
    LocalQueueTimeout,
    OpenRelayError,
    RequestTimeout,
    WaitTimeout,
)
from openrelay_async.fleet import Poller
from openrelay_async.lifecycles import Goal, Lifecycle
from openrelay_async.poll_source import Source
from openrelay_async.program_end import keep_unreported, let_program_end
from openrelay_async.redaction import clean_text
from openrelay_async.request_path import encode_path_id
from openrelay_async.resource import Calls
from openrelay_async.roster import Roster
from openrelay_async.wait_entries import Sink, Waiter
from openrelay_async.waiting import Living, OnUpdate, WaitOptions, WaitOutcome, WaitToken, check_listener
from openrelay_async.watching import Change, Watch

R = TypeVar("R", bound=Living)

MakeSource = Callable[[Calls, str | None], Source[R]]
"""Makes the source for an organization (`None` where the API does not ask for one)."""


@frozen
class _Place:
    """What the waits of one poller have in common."""

    loop: asyncio.AbstractEventLoop
    noun: str
    org_id: str | None
    parent: str | None
    key_source: object
    """Another key may see other things."""

    def is_near(self, other: object) -> bool:
        """Return whether both read the same resources, with whatever key."""
        return isinstance(other, _Place) and (self.loop, self.noun, self.org_id, self.parent) == (
            other.loop,
            other.noun,
            other.org_id,
            other.parent,
        )


def _find_place(calls: Calls, noun: str, org_id: str | None, parent: str | None) -> _Place:
    return _Place(asyncio.get_running_loop(), noun, org_id, parent, calls.transport.key_source)


@frozen(eq=False)
class Fleet(Generic[R]):
    """The waits and watches on one kind of resource in one organization, for one event loop."""

    calls: Calls
    source: Source[R]
    org_id: str | None = None
    parent: str | None = None

    def _place(self) -> _Place:
        return _find_place(self.calls, self.source.lifecycle.noun, self.org_id, self.parent)

    def _poller(self) -> Poller[R]:
        """Return the poller for the running loop; make it if there is none.

        Raises:
            ConnectionFailed: the client is closed, or takes no more calls.
        """
        shared, operation = self.calls.transport.shared, self.source.operation
        shared.check_open(operation)
        pollers, place = shared.pollers, self._place()
        found = pollers.get(place)
        if found is not None:
            return cast("_SharedPoller[R]", found).poller
        for other in list(pollers):
            if isinstance(other, _Place) and other.loop.is_closed():
                pollers.pop(other, None)

        def scrub(text: str) -> str:
            return clean_text(text, shared.known_secrets())

        roster: Roster[R] = Roster(
            self.source.lifecycle,
            operation=operation,
            org_id=self.org_id,
            parent=self.parent,
            scrub=scrub,
            reads_reasons=self.source.read_reason is not None,
        )

        def forget() -> None:
            # Who leaves late, leaves what has ended: others may have a newer one by now.
            if pollers.get(place) is own:
                del pollers[place]

        own = _SharedPoller(self, Poller(self.source, roster, shared, forget))
        pollers[place] = own
        return own.poller

    @staticmethod
    def options(timeout: float, interval: float | None, max_failures: int, spent: float = 0.0) -> WaitOptions:
        """Return the checked options of a wait, so that a resource need not import what they are.

        Args:
            spent: seconds of the timeout that it took to find the fleet.

        Raises:
            ConfigurationError: seconds that are not above zero, or a `max_failures` that is not 0 or more.
        """
        return WaitOptions.check(timeout, interval, max_failures, spent)

    async def wait(
        self,
        resource_id: str,
        until: str | Goal,
        options: WaitOptions,
        on_update: OnUpdate[R] | None = None,
        resumed: WaitToken | None = None,
    ) -> R | None:
        """Return the resource when it has reached the goal; `None` where nothing is left of it."""
        goal = until if isinstance(until, Goal) else self.source.lifecycle.goal(until)
        _check_wait(resource_id, on_update)
        poller = self._poller()
        future: asyncio.Future[R | None] = asyncio.get_running_loop().create_future()
        waiter = self._join(poller, resource_id, goal, options, on_update, future, resumed)
        try:
            return await future
        except ConnectionFailed as error:
            await self._let_program_end(error)
            raise
        finally:
            await poller.depart((waiter,))

    def _join(
        self,
        poller: Poller[R],
        resource_id: str,
        goal: Goal,
        options: WaitOptions,
        on_update: OnUpdate[R] | None,
        sink: asyncio.Future[R | None] | Sink[R],
        resumed: WaitToken | None = None,
    ) -> Waiter[R]:
        now = self.calls.transport.shared.clock.monotonic()
        waiter = poller.roster.join(resource_id, goal, options, on_update, sink, now, resumed)
        poller.start()
        return waiter

    async def as_completed(
        self,
        resource_ids: Iterable[str],
        until: str,
        options: WaitOptions,
        on_update: OnUpdate[R] | None = None,
    ) -> AsyncGenerator[WaitOutcome[R], None]:
        """Yield how each wait ended, in the order in which they end."""
        goal = self.source.lifecycle.goal(until)
        ids = list(dict.fromkeys(_check_ids(resource_ids)))
        for resource_id in ids:
            _check_wait(resource_id, on_update)
        if not ids:
            return
        poller, sink = self._poller(), Sink[R]()
        waiters: list[Waiter[R]] = []
        try:
            for resource_id in ids:
                waiters.append(self._join(poller, resource_id, goal, options, on_update, sink))  # noqa: PERF401 - what has joined must leave, whatever happens
            has_paused = False
            for _ in ids:
                outcome = await sink.get()
                if not has_paused:
                    has_paused = await self._let_program_end(outcome.error)
                elif outcome.error is not None:
                    keep_unreported(outcome.error)  # all have ended with the client: one moment is enough
                yield outcome
        finally:
            await poller.depart(waiters)

    async def wait_all(
        self,
        resource_ids: Iterable[str],
        until: str,
        options: WaitOptions,
        on_update: OnUpdate[R] | None = None,
    ) -> list[R]:
        """Return the resources in the order of their ids; the first error ends all waits."""
        ids = _check_ids(resource_ids)
        found: dict[str, R] = {}
        outcomes = self.as_completed(ids, until, options, on_update)
        try:
            async for outcome in outcomes:
                found[outcome.id] = outcome.get()
        finally:
            await outcomes.aclose()
        return [found[resource_id] for resource_id in ids]

    async def wait_any(
        self,
        resource_ids: Iterable[str],
        until: str,
        options: WaitOptions,
        on_update: OnUpdate[R] | None = None,
    ) -> R:
        """Return the first resource that reaches the goal; raise the last error if none does."""
        outcomes = self.as_completed(resource_ids, until, options, on_update)
        last: WaitOutcome[R] | None = None
        try:
            async for outcome in outcomes:
                last = outcome
                if outcome.error is None:
                    break
        finally:
            await outcomes.aclose()
        if last is None:
            raise ValueError("there is no id to wait for")
        return last.get()

    async def watch(self, *, existing: bool, interval: float | None) -> AsyncGenerator[Change[R], None]:
        """Yield changes until the reader leaves, or is no longer allowed to read."""
        if not isinstance(existing, bool):
            raise TypeError(f"existing must be bool, not {type(existing).__name__}")
        if interval is not None:
            check_seconds("interval", interval)
        poller = self._poller()
        watch: Watch[R] = Watch(self.source.lifecycle.ends, existing=existing)
        poller.add_watch(watch, interval)
        try:
            while True:
                yield await watch.next()
        except ConnectionFailed as error:
            await self._let_program_end(error)
            raise
        finally:
            await poller.depart(watch=watch)

    async def _let_program_end(self, error: Exception | None) -> bool:
        """Wait for a moment if an error comes from the end of the client; return whether it does."""
        if not isinstance(error, ConnectionFailed) or self.calls.transport.shared.refusing is None:
            return False
        await let_program_end(error)
        return True

    def look_now(self) -> None:
        """Let those who poll for the same resources in the running loop look soon."""
        own, pollers = self._place(), self.calls.transport.shared.pollers
        for place, found in list(pollers.items()):
            if isinstance(found, _SharedPoller) and own.is_near(place):
                found.poller.start(hurry=True)


@frozen(eq=False)
class _SharedPoller(Generic[R]):
    """A poller that somebody waits for, with its fleet: who waits at the same place finds and joins it."""

    fleet: Fleet[R]
    poller: Poller[R]

    def close(self, reason: str) -> None:
        """End all waits and watches: the client takes no more calls."""
        self.poller.close(reason)


def _check_wait(resource_id: str, on_update: object) -> None:
    """Refuse what cannot work where it is given: in the poller it would be everybody's problem.

    Raises:
        TypeError: the id is no text, or `on_update` cannot be called, or is async.
        ValueError: the id names no resource.
    """
    encode_path_id(resource_id, "id")
    check_listener(on_update)


def _check_ids(resource_ids: Iterable[str]) -> Sequence[str]:
    if isinstance(resource_ids, str):
        raise TypeError("ids must be a list of ids, not a text")
    return list(resource_ids)


def get_fleet(
    calls: Calls,
    lifecycle: Lifecycle,
    make_source: MakeSource[R],
    org_id: str | None = None,
    parent: str | None = None,
) -> Fleet[R]:
    """Return the fleet of a kind; while somebody waits there, the same one: thousands of waits hold it.

    Args:
        org_id: the organization, where the API asks for one.
        parent: the Kubernetes cluster of node pools.
    """
    for name, value in (("org_id", org_id), ("cluster_id", parent)):
        if value is not None:
            encode_path_id(value, name)
    place = _find_place(calls, lifecycle.noun, org_id, parent)
    found = calls.transport.shared.pollers.get(place)
    if found is not None:
        return cast("_SharedPoller[R]", found).fleet
    return Fleet(calls, make_source(calls.for_polls(), org_id), org_id, parent)


async def find_fleet(
    calls: Calls,
    lifecycle: Lifecycle,
    make_source: MakeSource[R],
    org_id: str | None,
    timeout: float | None = None,
    wanted: WaitToken | None = None,
) -> tuple[Fleet[R], float]:
    """Return the fleet of an organization, given or the client's, and the seconds that finding it took.

    Args:
        timeout: seconds that a wait has, for this as well; `None` for what does not end by itself.
        wanted: what is waited for, if that is one thing.

    Raises:
        ConfigurationError: a timeout that is not above zero.
        WaitTimeout: the client's organization was not known in that time.
        OpenRelayError: asking for it failed.
    """
    if org_id is not None:
        return get_fleet(calls, lifecycle, make_source, org_id), 0.0
    transport, clock = calls.transport, calls.transport.shared.clock
    limit = math.inf if timeout is None else check_seconds("timeout", timeout)
    began = clock.monotonic()
    try:
        org_id = await calls.find_organization(None, min(limit, transport.timeout))
    except (LocalQueueTimeout, RequestTimeout) as error:
        spent = clock.monotonic() - began
        if spent < limit:
            raise
        raise _make_timeout(error, wanted, spent) from error
    return get_fleet(calls, lifecycle, make_source, org_id), clock.monotonic() - began


def _make_timeout(error: OpenRelayError, wanted: WaitToken | None, spent: float) -> WaitTimeout:
    """Return the error of a wait whose time was up before its organization was known."""
    ended = WaitTimeout(error.message)._with_facts_of(error)._with(elapsed=spent)
    if wanted is None:
        return ended
    token = evolve(wanted, elapsed=wanted.elapsed + spent)
    return ended._with(
        resource_id=token.id,
        until=token.until,
        elapsed=token.elapsed,
        polls=token.polls,
        token=token.encode(),
    )
