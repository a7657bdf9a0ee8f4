"""`client.batches`: batches of inference requests, and waiting for them."""

from __future__ import annotations

import builtins
from collections.abc import AsyncGenerator, Iterable
from typing import TYPE_CHECKING, Literal, cast

from openrelay_async.generated import operations
from openrelay_async.generated.models.batches import BatchObject
from openrelay_async.generated.resources.batches import Batches as GeneratedBatches
from openrelay_async.wait_limits import DEFAULT_FAILURES, DEFAULT_TIMEOUT

if TYPE_CHECKING:
    # Waiting and leasing load what they need when they are used: most programs that read a VM never do.
    from openrelay_async.fleets import Fleet
    from openrelay_async.poll_source import Source
    from openrelay_async.resource import Calls
    from openrelay_async.waiting import OnUpdate, WaitOutcome
    from openrelay_async.watching import Change


def _batch_source(calls: Calls, org_id: str | None) -> Source[BatchObject]:
    from openrelay_async.lifecycles import BATCHES
    from openrelay_async.poll_source import Source

    batches = GeneratedBatches(calls)
    return Source(
        BATCHES,
        operations.LIST_BATCHES,
        pages=lambda size: batches.list(page_size=size),
        read=batches.get,
        largest_page=100,
    )


class Batches(GeneratedBatches):
    """Batches of inference requests."""

    __slots__ = ()

    def _fleet(self) -> Fleet[BatchObject]:
        from openrelay_async.fleets import get_fleet
        from openrelay_async.lifecycles import BATCHES

        return get_fleet(self._calls, BATCHES, _batch_source)

    async def wait(
        self,
        id: str,
        *,
        until: Literal["completed", "cancelled", "ended"] | str = "completed",
        timeout: float = DEFAULT_TIMEOUT,
        interval: float | None = None,
        max_failures: int = DEFAULT_FAILURES,
        on_update: OnUpdate[BatchObject] | None = None,
    ) -> BatchObject:
        """Wait until a batch is `completed`, `cancelled` or, in whatever way, `ended`.

        All waits of a client share their polls. Cancelling a wait changes nothing at the batch.

        Args:
            id: batch id.
            until: what to wait for.
            timeout: seconds of wall clock to wait; `math.inf` for no limit.
            interval: longest pause between two polls in seconds; by default they back off to 60 s.
            max_failures: polls in a row that may fail for reasons that pass.
            on_update: told when it is first seen and whenever it has changed, with a `WaitProgress`.

        Raises:
            WaitTimeout: the time is up; it carries the batch as last seen and a token for `resume_wait`.
            WaitFailed: the batch is in a state from which the goal cannot be reached; it says why.
            WaitError: more than `max_failures` polls failed in a row.
            NotFound: no such batch.
        """
        fleet = self._fleet()
        options = fleet.options(timeout, interval, max_failures)
        return cast(
            "BatchObject",
            await fleet.wait(id, until, options, on_update),
        )

    async def resume_wait(
        self,
        token: str,
        *,
        timeout: float = DEFAULT_TIMEOUT,
        interval: float | None = None,
        max_failures: int = DEFAULT_FAILURES,
        on_update: OnUpdate[BatchObject] | None = None,
    ) -> BatchObject:
        """Go on with a wait whose `WaitError` has this token, for another `timeout` seconds.

        Raises:
            ValueError: not the token of a wait on a batch.
        """
        from openrelay_async.waiting import WaitToken

        resumed = WaitToken.decode(token, "batches")
        fleet = self._fleet()
        options = fleet.options(timeout, interval, max_failures)
        return cast(
            "BatchObject",
            await fleet.wait(resumed.id, resumed.until, options, on_update, resumed),
        )

    async def wait_all(
        self,
        ids: Iterable[str],
        *,
        until: Literal["completed", "cancelled", "ended"] | str = "completed",
        timeout: float = DEFAULT_TIMEOUT,
        interval: float | None = None,
        max_failures: int = DEFAULT_FAILURES,
        on_update: OnUpdate[BatchObject] | None = None,
    ) -> builtins.list[BatchObject]:
        """Wait until all batches have reached the goal; return them in the order of their ids.

        The first error ends it; `as_completed` gives results and errors apart. Arguments and errors are
        those of `wait`.
        """
        fleet = self._fleet()
        options = fleet.options(timeout, interval, max_failures)
        return await fleet.wait_all(ids, until, options, on_update)

    async def wait_any(
        self,
        ids: Iterable[str],
        *,
        until: Literal["completed", "cancelled", "ended"] | str = "completed",
        timeout: float = DEFAULT_TIMEOUT,
        interval: float | None = None,
        max_failures: int = DEFAULT_FAILURES,
        on_update: OnUpdate[BatchObject] | None = None,
    ) -> BatchObject:
        """Wait until one of the batches has reached the goal; return it.

        One that fails does not end it: if none reaches the goal, the last error is raised. Arguments are
        those of `wait`.
        """
        fleet = self._fleet()
        options = fleet.options(timeout, interval, max_failures)
        return await fleet.wait_any(ids, until, options, on_update)

    async def as_completed(
        self,
        ids: Iterable[str],
        *,
        until: Literal["completed", "cancelled", "ended"] | str = "completed",
        timeout: float = DEFAULT_TIMEOUT,
        interval: float | None = None,
        max_failures: int = DEFAULT_FAILURES,
        on_update: OnUpdate[BatchObject] | None = None,
    ) -> AsyncGenerator[WaitOutcome[BatchObject], None]:
        """Yield a `WaitOutcome` for each batch as its wait ends: with it, or with the error."""
        fleet = self._fleet()
        options = fleet.options(timeout, interval, max_failures)
        outcomes = fleet.as_completed(ids, until, options, on_update)
        try:
            async for outcome in outcomes:
                yield outcome
        finally:
            await outcomes.aclose()

    async def watch(
        self, *, existing: bool = True, interval: float | None = None
    ) -> AsyncGenerator[Change[BatchObject], None]:
        """Yield each change of the organization's batches once: `appeared`, `changed`, `gone`.

        A slow reader is told the latest of each, and never misses a final state. Errors that pass are polled
        through; a key that is refused ends it.

        Args:
            existing: whether those that are there at the start are told as `appeared`; those that had ended
                by then never are.
            interval: longest pause between two polls in seconds; by default they back off to 60 s.
        """
        fleet = self._fleet()
        changes = fleet.watch(existing=existing, interval=interval)
        try:
            async for change in changes:
                yield change
        finally:
            await changes.aclose()

    async def look_now(self) -> None:
        """Let waits and watches on batches in this event loop poll now: what a webhook receiver does."""
        self._fleet().look_now()
