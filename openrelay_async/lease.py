"""Something that is created, used, and always terminated: `async with client.vms.lease(...) as vm`.

Termination is the promise: after an exit, an error, a cancellation or Ctrl-C, and also when nobody knows
whether creating has succeeded. If it cannot be kept, `LeaseError` names what may still run.
"""

from __future__ import annotations

import asyncio
import math
import uuid
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import datetime
from types import TracebackType
from typing import Generic, Protocol, TypeVar

from attrs import evolve, frozen

from openrelay_async.client_state import finishing
from openrelay_async.clock import Clock
from openrelay_async.config import check_seconds
from openrelay_async.errors import (
    ConfigurationError,
    LeaseError,
    LeaseExpired,
    NotFound,
    OpenRelayError,
)
from openrelay_async.lease_record import LeaseLine, LeaseRecord, begin_line, ended
from openrelay_async.pagination import PagedCall
from openrelay_async.poll_source import may_pass
from openrelay_async.waiting import Living

C = TypeVar("C", bound=Living)
W = TypeVar("W")

CLEANUP_TIMEOUT = 60.0
"""Seconds that a lease tries to find and to terminate what it has created."""


@frozen(eq=False)
class LeaseSteps(Generic[C, W]):
    """What a lease does at the service."""

    noun: str
    kind: str
    name: str
    org_id: str | None
    create: Callable[[], Awaitable[C]]
    """Creates it; each call carries the same idempotency key, where there is one."""
    is_repeatable: bool
    """Whether a repeat of `create` gives what an earlier one has created."""
    find: Callable[[float], Awaitable[C | None]]
    """Finds what bears the name and was created at or after a Unix time."""
    wait: Callable[[str, float], Awaitable[W]]
    """Waits until it can be used, for so many seconds."""
    terminate: Callable[[str], Awaitable[object]]
    price: Callable[[C], int | None] | None = None
    """Its cents an hour."""


@frozen
class LeaseLimits:
    """When a lease ends by itself."""

    timeout: float
    """Seconds until it must be usable."""
    max_duration: float | None = None
    """Seconds from creation."""
    max_cost_cents: float | None = None

    def __attrs_post_init__(self) -> None:
        check_seconds("timeout", self.timeout)
        if self.max_duration is not None:
            check_seconds("max_duration", self.max_duration)
        cost = self.max_cost_cents
        if cost is not None and not cost > 0:
            raise ConfigurationError("max_cost_cents must be an amount above 0")

    def seconds(self, cents_an_hour: int | None) -> float:
        """Return how long a lease at this price may last."""
        duration = math.inf if self.max_duration is None else self.max_duration
        if self.max_cost_cents is None or cents_an_hour == 0:
            return duration
        if cents_an_hour is None:
            raise ConfigurationError("max_cost_cents needs a price, and the service has named none")
        return min(duration, self.max_cost_cents / cents_an_hour * 3600.0)


class Lease(Generic[C, W]):
    """A resource for the time of an `async with` block. Each lease is used once."""

    def __init__(
        self, steps: LeaseSteps[C, W], limits: LeaseLimits, clock: Clock, record: LeaseRecord | None
    ) -> None:
        self.id: str | None = None
        """The id, as soon as it is known."""
        self._steps = steps
        self._limits = limits
        self._clock = clock
        self._record = record
        self._line: LeaseLine | None = None
        self._guard: asyncio.Task[None] | None = None
        self._expired: LeaseExpired | None = None
        self._cancels_before = 0
        self._was_used = False

    def __repr__(self) -> str:
        return f"<Lease of the {self._steps.noun} {self._steps.name!r}, id {self.id}>"

    async def __aenter__(self) -> W:
        if self._was_used:
            raise RuntimeError("a lease is used once: ask for another")
        self._was_used = True
        steps, clock = self._steps, self._clock
        began_at, began = clock.wall(), clock.monotonic()
        if self._record is not None:
            self._line = begin_line(str(uuid.uuid4()), steps.kind, steps.name, steps.org_id, began_at)
            self._record.write(self._line)
        created = await self._create(began_at)
        try:
            price = steps.price(created) if steps.price else None
            limit = self._limits.seconds(price)
            usable = await steps.wait(created.id, min(self._limits.timeout, limit))
            if limit != math.inf:
                self._start_guard(began + limit - clock.monotonic(), limit)
        except BaseException:
            await self._end()
            raise
        return usable

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._guard is not None:
            self._guard.cancel()
        cancelled = error if isinstance(error, asyncio.CancelledError) else None
        try:
            await self._end()
        except asyncio.CancelledError as another:
            cancelled = another
        task = asyncio.current_task()
        if self._expired is not None and task is not None and task.uncancel() <= self._cancels_before:
            # The cancellation was the lease's own; one of somebody else's stays one.
            if cancelled is not None:
                raise self._expired from None
        elif cancelled is not None and cancelled is not error:
            raise cancelled

    # Creating, and knowing what was created

    async def _create(self, began_at: float) -> C:
        """Create it; whatever happens, what was created is known or has been terminated when this ends."""
        task = asyncio.ensure_future(self._create_and_find(began_at))
        cancelled: asyncio.CancelledError | None = None
        while not task.done():
            try:
                await asyncio.shield(task)
            except asyncio.CancelledError as error:
                # A create that is under way has its answer soon, and only with it can it be undone.
                cancelled = error
            except OpenRelayError:
                break
        if cancelled is None:
            return await task
        if task.exception() is None:
            await self._end()
        elif isinstance(task.exception(), LeaseError):
            await task
        raise cancelled

    async def _create_and_find(self, began_at: float) -> C:
        steps = self._steps
        try:
            created = await steps.create()
        except OpenRelayError as error:
            found = await self._look_for(error, began_at) if error.maybe_applied else None
            if found is None:
                self._note_end()
                raise
            created = found
        except Exception:
            self._note_end()
            raise
        self.id = created.id
        if self._record is not None and self._line is not None:
            self._line = evolve(self._line, id=created.id)
            self._record.write(self._line)
        return created

    async def _look_for(self, error: OpenRelayError, began_at: float) -> C | None:
        """Return what an ambiguous create has created, `None` if it certainly has created nothing.

        Raises:
            LeaseError: nobody knows.
        """
        steps, clock = self._steps, self._clock
        deadline, pause = clock.monotonic() + CLEANUP_TIMEOUT, 0.5
        while clock.monotonic() < deadline:
            if steps.is_repeatable:
                try:
                    return await steps.create()
                except OpenRelayError as repeated:
                    if not repeated.maybe_applied and not may_pass(repeated):
                        return None
            try:
                # Clocks differ a little; the service's times have whole seconds at worst.
                return await steps.find(began_at - 5.0)
            except OpenRelayError as failure:
                if not may_pass(failure):
                    break
            await clock.sleep(pause)
            pause = min(2 * pause, 8.0)
        raise LeaseError(
            f"creating the {steps.noun} {steps.name!r} may have succeeded, and it cannot be looked for: "
            "terminate it by hand if it is there",
        )._with(
            **{name: getattr(error, name) for name in OpenRelayError.FIELDS},
            resource_name=steps.name,
        ) from error

    # Ending

    async def _end(self) -> None:
        """Terminate; no cancellation stops it, and it ends within `CLEANUP_TIMEOUT`."""
        if self.id is None:
            return
        task = asyncio.ensure_future(self._terminate(self.id))
        cancelled: asyncio.CancelledError | None = None
        while not task.done():
            try:
                await asyncio.shield(task)
            except asyncio.CancelledError as error:
                cancelled = error
            except OpenRelayError:
                break
        await task
        if cancelled is not None:
            raise cancelled

    async def _terminate(self, resource_id: str) -> None:
        clock = self._clock
        deadline, pause = clock.monotonic() + CLEANUP_TIMEOUT, 0.5
        failure: OpenRelayError | None = None
        while True:
            try:
                with finishing():
                    await self._steps.terminate(resource_id)
            except NotFound:
                pass
            except OpenRelayError as error:
                # A conflict passes too: what is still being deployed may be terminated a moment later.
                if clock.monotonic() + pause < deadline and (may_pass(error) or error.status == 409):
                    await clock.sleep(max(pause, error.retry_after or 0.0))
                    pause = min(2 * pause, 8.0)
                    continue
                failure = error
            break
        if failure is None:
            self.id = None
            self._note_end()
            return
        raise LeaseError(
            f"the {self._steps.noun} {resource_id} ({self._steps.name!r}) could not be terminated and may "
            f"still run: {failure.message}",
        )._with(
            **{name: getattr(failure, name) for name in OpenRelayError.FIELDS},
            resource_id=resource_id,
            resource_name=self._steps.name,
        ) from failure

    def _note_end(self) -> None:
        if self._record is not None and self._line is not None:
            self._record.write(ended(self._line))

    def _start_guard(self, seconds: float, limit: float) -> None:
        task = asyncio.current_task()
        if task is None:
            return

        self._cancels_before = task.cancelling()

        async def guard() -> None:
            await self._clock.sleep(max(seconds, 0.0))
            self._expired = LeaseExpired(
                f"the lease of the {self._steps.noun} {self.id} ended after {limit:.0f} s, its limit"
            )
            task.cancel()
            # Not only when the block has ended: it may be busy, and this costs by the second.
            if self.id is not None:
                with suppress(LeaseError):  # leaving the block tries again, and raises
                    await self._terminate(self.id)

        self._guard = asyncio.ensure_future(guard())


class _Named(Protocol):
    @property
    def id(self) -> str: ...
    @property
    def name(self) -> str: ...
    @property
    def status(self) -> str: ...
    @property
    def created_at(self) -> datetime | None: ...


N = TypeVar("N", bound=_Named)


async def find_named(call: PagedCall[N], name: str, since: float) -> N | None:
    """Return what bears the name and was created at or after a Unix time, if it has not ended."""
    async for item in call:
        made_at = item.created_at
        if item.name == name and item.status != "terminated" and made_at and made_at.timestamp() >= since:
            return item
    return None
