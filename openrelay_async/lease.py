"""Something that is created, used, and always terminated: `async with client.vms.lease(...) as vm`.

Termination is the promise: after an exit, an error, a cancellation or Ctrl-C, and also when nobody knows
whether creating has succeeded. If it cannot be kept, `LeaseError` names what may still run.
"""

from __future__ import annotations

import asyncio
import math
import os
import uuid
from contextlib import suppress
from functools import partial
from types import TracebackType
from typing import Generic, TypeVar

from attrs import evolve

from openrelay_async.capacity import telling_tries
from openrelay_async.client_state import finishing
from openrelay_async.errors import (
    ConfigurationError,
    ConnectionFailed,
    LeaseError,
    LeaseExpired,
    NotFound,
    OpenRelayError,
    Unauthenticated,
)
from openrelay_async.lease_failures import left_running, unknown_creation
from openrelay_async.lease_record import LeaseLine, LeaseRecord, begin_line, ended
from openrelay_async.lease_search import CLOCK_MARGIN, Claim, NamedLiving, list_together
from openrelay_async.lease_terms import LeaseSteps, LeaseTerms
from openrelay_async.lost_creates import SEARCH_TIME, await_next_look
from openrelay_async.poll_source import may_pass
from openrelay_async.program_end import let_program_end
from openrelay_async.transport import Transport
from openrelay_async.uncancelled import Stopped, carry_through, carry_to_the_end

C = TypeVar("C", bound=NamedLiving)
W = TypeVar("W")

CLEANUP_TIMEOUT = 60.0
"""Seconds that a lease tries to find and to terminate what it has created."""


class Lease(Generic[C, W]):
    """A resource for the time of an `async with` block. Each lease is used once."""

    def __init__(self, steps: LeaseSteps[C, W], terms: LeaseTerms, transport: Transport) -> None:
        self.id: str | None = None
        """The id, as soon as it is known."""
        self._steps = steps
        self._noun = steps.lifecycle.noun
        self._terms = terms
        self._transport = transport
        self._shared = transport.shared
        self._clock = transport.shared.clock
        self._claim = Claim(steps.name, 0.0)
        self._record = None if terms.record is None else LeaseRecord(terms.record)
        self._line: LeaseLine | None = None
        self._guard: asyncio.Task[None] | None = None
        self._expired: LeaseExpired | None = None
        self._cancels_before = 0
        self._was_used = False
        self._pid = 0
        self._sent_at = math.inf
        """When the last create was sent, by the client's clock: waiting for room is before it."""
        self._doubt: OpenRelayError | None = None
        """Why nobody knows whether the create has succeeded."""

    def __repr__(self) -> str:
        return f"<Lease of {self._steps}, id {self.id}>"

    async def __aenter__(self) -> W:
        if self._was_used:
            raise RuntimeError("a lease is used once: ask for another")
        self._was_used = True
        claim = self._claim = Claim(self._steps.name, self._clock.wall())
        claim.enter(self._shared, self._close)
        self._pid = os.getpid()
        try:
            return await self._begin(claim)
        except BaseException as error:
            claim.leave(self._shared)
            if isinstance(error, ConnectionFailed) and self._shared.refusing is not None:
                await let_program_end(error)
            raise

    async def _begin(self, claim: Claim) -> W:
        steps, terms, clock = self._steps, self._terms, self._clock
        claim.before = await self._list_before()
        if self._record is not None:
            self._line = self._begin_line(claim)
            self._record.write(self._line)
        created = await self._create()
        try:
            self._note(created.id)
            limit = terms.seconds(steps.price(created) if steps.price else None)
            usable = await steps.wait(created.id, min(terms.wait_timeout, limit))
            if limit != math.inf:
                self._start_guard(self._sent_at + limit - clock.monotonic(), limit)
        except BaseException:
            with suppress(OSError):  # of the record: the error that is raised says more
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
        except OSError:
            if error is None:
                raise
        finally:
            self._claim.leave(self._shared)
        task = asyncio.current_task()
        if self._expired is not None and task is not None and task.uncancel() <= self._cancels_before:
            # The cancellation was the lease's own; one of somebody else's stays one.
            if cancelled is not None:
                raise self._expired from None
        elif cancelled is not None and cancelled is not error:
            raise cancelled

    # Creating, and knowing what was created

    async def _list_before(self) -> frozenset[str] | None:
        """Return the ids that bear the name already; `None` if they could not be read.

        It costs a request, shared by leases that begin together, where most creates are answered and need
        none of it. But after one that is not, nothing else tells its effect from what others have created
        under the name: the service keeps no mark, and two machines' clocks do not agree to the second. With
        an idempotency key a repeat tells as well, until the service answers none of those either.
        """
        try:
            listed = await self._list()
        except OpenRelayError as error:
            # Without a key, the list alone can tell what was created: no create without it. With one, the
            # list is a second way to know, and a key that may not read it can still create.
            is_own = isinstance(error, ConfigurationError | Unauthenticated)
            if not self._steps.is_repeatable or is_own or self._shared.refusal() is not None:
                raise
            return None
        return frozenset(item.id for item in listed.get(self._steps.name, ()))

    async def _list(self) -> dict[str, list[C]]:
        steps, kind = self._steps, self._steps.lifecycle.kind
        return await list_together(self._shared, steps.listed, kind, steps.org_id, self._transport.key_source)

    async def _create(self) -> C:
        """Create it; whatever happens, what was created is known or has been terminated when this ends."""
        # A create that is under way has its answer soon, and only with it can it be undone.
        task, cancelled = await carry_through(self._create_and_find())
        if task.cancelled() and self._doubt is not None:
            # A loop that ends cancels all of its tasks, those of leases too, but each of them once.
            task, again = await carry_through(self._find(self._doubt))
            cancelled = again or cancelled
        if cancelled is None:
            return task.result()
        if self.id is not None:
            with suppress(OSError):
                await self._end()
        elif not task.cancelled() and isinstance(task.exception(), LeaseError):
            task.result()
        raise cancelled

    async def _create_and_find(self) -> C:
        self._note_try()
        try:
            with telling_tries(self._note_try):
                created = await self._steps.create(self._terms.wait_for_capacity)
        except (Exception, Stopped) as error:
            if not isinstance(error, OpenRelayError) or not error.maybe_applied:
                with suppress(OSError):
                    self._note_end()
                raise
            self._doubt = error
        except asyncio.CancelledError:
            self._doubt = ConnectionFailed("the end of its loop cut the create off", maybe_applied=True)
            raise
        else:
            self._settle(created)
            return created
        return await self._find(self._doubt)

    def _note_try(self) -> None:
        self._sent_at = self._clock.monotonic()
        self._claim.was_sent = True

    async def _find(self, error: OpenRelayError) -> C:
        with finishing():
            created = await self._look_for(error)
        self._settle(created)
        return created

    def _settle(self, created: C) -> None:
        self.id = created.id
        self._claim.settle(self._shared, created.id)

    async def _look_for(self, error: OpenRelayError) -> C:
        """Return what an ambiguous create has created.

        Raises:
            OpenRelayError: nothing new has shown up: the create's own error, with a note of the name. It may
                show up later, so that it was not created is never certain.
            LeaseError: it cannot be looked for, or nobody knows which one it is.
        """
        steps, clock, claim = self._steps, self._clock, self._claim
        began, repeats = clock.monotonic(), steps.is_repeatable
        while True:
            if repeats:
                try:
                    return await steps.create(None)
                except OpenRelayError as repeated:
                    # A refusal of the repeat says nothing about the first: a key may have been revoked since.
                    repeats = may_pass(repeated) or repeated.status == 409
            found: list[C] = []
            try:
                found = claim.candidates(await self._list())
            except OpenRelayError as failure:
                limit = CLEANUP_TIMEOUT if may_pass(failure) and self._shared.refusal() is None else 0.0
                problem = "and it cannot be looked for: terminate it by hand if it is there"
            else:
                if len(found) == 1 and claim.can_tell(self._shared):
                    return found[0]
                limit, problem = SEARCH_TIME, ""
            elapsed = clock.monotonic() - began
            if elapsed >= limit:
                claim.give_up(self._shared)
                if problem or found:
                    raise unknown_creation(steps, error, problem, [item.id for item in found]) from error
                error.add_note(f"{steps} has not shown up in {limit:.0f} s: should it do so, end it by hand")
                raise error
            await await_next_look(clock, elapsed)

    # Ending

    async def _end(self) -> None:
        """Terminate; no cancellation stops it, and it ends within `CLEANUP_TIMEOUT`."""
        cancelled: asyncio.CancelledError | None = None
        if self.id is not None:
            task, cancelled = await carry_to_the_end(partial(self._terminate, self.id))
            task.result()
        self._note_end()
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
                if self.id is None:
                    return  # its client, which closes, or its limit was quicker
                # A conflict passes too: what is still being deployed may be terminated a moment later.
                if clock.monotonic() + pause < deadline and self._may_end_later(error):
                    await clock.sleep(max(pause, error.retry_after or 0.0))
                    pause = min(2 * pause, 8.0)
                    continue
                failure = error
            break
        if failure is None:
            self.id = None
            return
        raise left_running(self._steps, resource_id, failure) from failure

    async def _close(self) -> None:
        """End what it holds within `CLEANUP_TIMEOUT`, as its client closes. The block goes on without it."""
        if self._pid != os.getpid():
            return  # a forked child closes what it has inherited: the lease is its parent's
        try:
            async with asyncio.timeout(CLEANUP_TIMEOUT):  # real: whoever closes the client waits
                await self._claim.until_known()
                if self.id is not None:
                    await self._terminate(self.id)
                    with suppress(OSError):  # leaving the block writes again, and raises
                        self._note_end()
        except TimeoutError:
            steps = self._steps
            late = ConnectionFailed(f"the client, which closes, has waited {CLEANUP_TIMEOUT:.0f} s for it")
            if self.id is not None:
                raise left_running(steps, self.id, late) from None
            if self._claim.is_creating:
                raise unknown_creation(
                    steps, late, "and is not waited for: look for it by hand", []
                ) from None

    def _may_end_later(self, error: OpenRelayError) -> bool:
        with finishing():
            # A client that is closed stays so.
            if self._shared.refusal() is not None:
                return False
        return may_pass(error) or error.status == 409

    # The record on disk

    def _begin_line(self, claim: Claim) -> LeaseLine:
        steps, patience = self._steps, self._terms.wait_for_capacity or 0.0
        latest = claim.began_at + patience + CLOCK_MARGIN
        return begin_line(
            str(uuid.uuid4()),
            steps.lifecycle.kind,
            steps.name,
            steps.org_id,
            claim.began_at,
            before=None if claim.before is None else sorted(claim.before),
            latest=None if latest == math.inf else latest,
        )

    def _note(self, resource_id: str) -> None:
        if self._record is not None and self._line is not None:
            self._line = evolve(self._line, id=resource_id)
            self._record.write(self._line)

    def _note_end(self) -> None:
        if self._record is not None and self._line is not None:
            self._record.write(ended(self._line))

    # Limits

    def _start_guard(self, seconds: float, limit: float) -> None:
        task = asyncio.current_task()
        if task is None:
            return

        self._cancels_before = task.cancelling()

        async def guard() -> None:
            await self._clock.sleep(max(seconds, 0.0))
            if self.id is None:
                return  # its client, which closed, has ended it
            self._expired = LeaseExpired(
                f"the lease of the {self._noun} {self.id} ended after {limit:.0f} s, its limit"
            )
            task.cancel()
            # Not only when the block has ended: it may be busy, and this costs by the second.
            if self.id is not None:
                with suppress(LeaseError):  # leaving the block tries again, and raises
                    await self._terminate(self.id)

        self._guard = asyncio.ensure_future(guard())
