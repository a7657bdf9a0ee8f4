"""`client.snapshots`: snapshots of VMs' disks, and waiting for them."""

from __future__ import annotations

import builtins
from collections.abc import AsyncGenerator, Iterable
from typing import TYPE_CHECKING, Literal, cast

from openrelay_async.generated import operations
from openrelay_async.generated.models.snapshots import Snapshot
from openrelay_async.generated.resources.snapshots import Snapshots as GeneratedSnapshots
from openrelay_async.wait_limits import DEFAULT_FAILURES, DEFAULT_TIMEOUT

if TYPE_CHECKING:
    # Waiting and leasing load what they need when they are used: most programs that read a VM never do.
    from openrelay_async.fleets import Fleet
    from openrelay_async.poll_source import Source
    from openrelay_async.resource import Calls
    from openrelay_async.waiting import OnUpdate, WaitOutcome
    from openrelay_async.watching import Change


def _snapshot_source(calls: Calls, org_id: str | None) -> Source[Snapshot]:
    from openrelay_async.lifecycles import SNAPSHOTS
    from openrelay_async.pagination import Page, PagedCall
    from openrelay_async.poll_source import Source

    snapshots = GeneratedSnapshots(calls)

    async def fetch(_: str | None) -> Page[Snapshot]:
        return Page(await snapshots.list(org_id=org_id), None)

    operation = operations.LIST_ORG_SNAPSHOTS
    return Source(SNAPSHOTS, operation, pages=lambda _: PagedCall(fetch, operation=operation.id))


class Snapshots(GeneratedSnapshots):
    """Snapshots of VMs' disks."""

    __slots__ = ()

    async def _fleet(self, org_id: str | None) -> Fleet[Snapshot]:
        from openrelay_async.fleets import find_fleet
        from openrelay_async.lifecycles import SNAPSHOTS

        return await find_fleet(self._calls, SNAPSHOTS, _snapshot_source, org_id)

    async def wait(
        self,
        id: str,
        *,
        until: Literal["ready"] | str = "ready",
        timeout: float = DEFAULT_TIMEOUT,
        interval: float | None = None,
        max_failures: int = DEFAULT_FAILURES,
        on_update: OnUpdate[Snapshot] | None = None,
        org_id: str | None = None,
    ) -> Snapshot:
        """Wait until a snapshot is `ready`.

        All waits of a client share their polls. Cancelling a wait changes nothing at the snapshot.

        Args:
            id: snapshot id.
            until: what to wait for.
            timeout: seconds of wall clock to wait; `math.inf` for no limit.
            interval: longest pause between two polls in seconds; by default they back off to 60 s.
            max_failures: polls in a row that may fail for reasons that pass.
            on_update: told when it is first seen and whenever it has changed, with a `WaitProgress`.
            org_id: organization id; by default the client's organization.

        Raises:
            WaitTimeout: the time is up; it carries the snapshot as last seen and a token for `resume_wait`.
            WaitFailed: the snapshot is in a state from which the goal cannot be reached; it says why.
            WaitError: more than `max_failures` polls failed in a row.
            NotFound: no such snapshot.
        """
        fleet = await self._fleet(org_id)
        options = fleet.options(timeout, interval, max_failures)
        return cast("Snapshot", await fleet.wait(id, until, options, on_update))

    async def resume_wait(
        self,
        token: str,
        *,
        timeout: float = DEFAULT_TIMEOUT,
        interval: float | None = None,
        max_failures: int = DEFAULT_FAILURES,
        on_update: OnUpdate[Snapshot] | None = None,
    ) -> Snapshot:
        """Go on with a wait whose `WaitError` has this token, for another `timeout` seconds.

        Raises:
            ValueError: not the token of a wait on a snapshot.
        """
        from openrelay_async.waiting import WaitToken

        resumed = WaitToken.decode(token, "snapshots")
        fleet = await self._fleet(resumed.org_id)
        options = fleet.options(timeout, interval, max_failures)
        return cast(
            "Snapshot",
            await fleet.wait(resumed.id, resumed.until, options, on_update, resumed),
        )

    async def wait_all(
        self,
        ids: Iterable[str],
        *,
        until: Literal["ready"] | str = "ready",
        timeout: float = DEFAULT_TIMEOUT,
        interval: float | None = None,
        max_failures: int = DEFAULT_FAILURES,
        on_update: OnUpdate[Snapshot] | None = None,
        org_id: str | None = None,
    ) -> builtins.list[Snapshot]:
        """Wait until all snapshots have reached the goal; return them in the order of their ids.

        The first error ends it; `as_completed` gives results and errors apart. Arguments and errors are
        those of `wait`.
        """
        fleet = await self._fleet(org_id)
        options = fleet.options(timeout, interval, max_failures)
        return await fleet.wait_all(ids, until, options, on_update)

    async def wait_any(
        self,
        ids: Iterable[str],
        *,
        until: Literal["ready"] | str = "ready",
        timeout: float = DEFAULT_TIMEOUT,
        interval: float | None = None,
        max_failures: int = DEFAULT_FAILURES,
        on_update: OnUpdate[Snapshot] | None = None,
        org_id: str | None = None,
    ) -> Snapshot:
        """Wait until one of the snapshots has reached the goal; return it.

        One that fails does not end it: if none reaches the goal, the last error is raised. Arguments are
        those of `wait`.
        """
        fleet = await self._fleet(org_id)
        options = fleet.options(timeout, interval, max_failures)
        return await fleet.wait_any(ids, until, options, on_update)

    async def as_completed(
        self,
        ids: Iterable[str],
        *,
        until: Literal["ready"] | str = "ready",
        timeout: float = DEFAULT_TIMEOUT,
        interval: float | None = None,
        max_failures: int = DEFAULT_FAILURES,
        on_update: OnUpdate[Snapshot] | None = None,
        org_id: str | None = None,
    ) -> AsyncGenerator[WaitOutcome[Snapshot], None]:
        """Yield a `WaitOutcome` for each snapshot as its wait ends: with it, or with the error."""
        fleet = await self._fleet(org_id)
        options = fleet.options(timeout, interval, max_failures)
        outcomes = fleet.as_completed(ids, until, options, on_update)
        try:
            async for outcome in outcomes:
                yield outcome
        finally:
            await outcomes.aclose()

    async def watch(
        self, *, existing: bool = True, interval: float | None = None, org_id: str | None = None
    ) -> AsyncGenerator[Change[Snapshot], None]:
        """Yield each change of the organization's snapshots once: `appeared`, `changed`, `gone`.

        A slow reader is told the latest of each, and never misses a final state. Errors that pass are polled
        through; a key that is refused ends it.

        Args:
            existing: whether those that are there at the start are told as `appeared`; those that had ended
                by then never are.
            interval: longest pause between two polls in seconds; by default they back off to 60 s.
            org_id: organization id; by default the client's organization.
        """
        fleet = await self._fleet(org_id)
        changes = fleet.watch(existing=existing, interval=interval)
        try:
            async for change in changes:
                yield change
        finally:
            await changes.aclose()

    async def look_now(self, *, org_id: str | None = None) -> None:
        """Let waits and watches on snapshots in this event loop poll now: what a webhook receiver does."""
        (await self._fleet(org_id)).look_now()
