"""`client.clusters`: clusters of GPU replicas, and leasing them."""

from __future__ import annotations

from os import PathLike
from typing import TYPE_CHECKING, Literal, Unpack

from openrelay_async.generated.models.clusters import ClusterSummary
from openrelay_async.generated.resources.clusters import Clusters as GeneratedClusters
from openrelay_async.redaction import conceal
from openrelay_async.wait_limits import DEFAULT_TIMEOUT

if TYPE_CHECKING:
    # Leasing loads what it needs when it is used: most programs that read a cluster never do.
    from openrelay_async.lease import Lease
    from openrelay_async.orders import ClusterOrder
    from openrelay_async.waiting import OnUpdate


class Clusters(GeneratedClusters):
    """Clusters of GPU replicas behind one endpoint."""

    __slots__ = ()

    def lease(
        self,
        *,
        until: Literal["running"] = "running",
        wait_timeout: float = DEFAULT_TIMEOUT,
        wait_for_capacity: float | None = None,
        max_duration: float | None = None,
        record: str | PathLike[str] | None = None,
        on_update: OnUpdate[ClusterSummary] | None = None,
        **order: Unpack[ClusterOrder],
    ) -> Lease[ClusterSummary, ClusterSummary]:
        """Return a context manager that creates a cluster, waits for it, and always terminates it.

        async with client.clusters.lease(name="job", gpu_model_id="rtx-4090") as cluster:
            ...

        It is terminated at the end of the block, after an error, a cancellation, Ctrl-C, and when waiting
        for it fails. After a create of which nobody knows whether it succeeded, it is looked for.

        Args:
            until: what to wait for before the block begins.
            wait_timeout: seconds for that.
            wait_for_capacity: seconds to wait if there is no room for it.
            max_duration: ends it after so many seconds from its creation.
            record: a file of leases, with which `leases.sweep` ends what a crash has left.
            on_update: told of its changes while it is waited for.
            order: the arguments of `create`.

        Raises:
            LeaseExpired: it came to its limit; the block was cancelled.
            LeaseError: it could not be terminated and may still run: its id is named.
            WaitError: it did not get ready; it is terminated.
        """
        if "env_vars" in order:
            order["env_vars"] = conceal(order["env_vars"])
        from openrelay_async.lease import Lease, LeaseLimits, LeaseSteps, find_named
        from openrelay_async.lease_record import LeaseRecord

        name, org_id = order["name"], order.get("org_id")

        async def create() -> ClusterSummary:
            return await self.create(wait_for_capacity=wait_for_capacity, **order)

        async def find(since: float) -> ClusterSummary | None:
            return await find_named(self.list(page_size=1000, org_id=org_id), name, since)

        async def wait(id: str, seconds: float) -> ClusterSummary:
            return await self.wait(id, until=until, timeout=seconds, on_update=on_update, org_id=org_id)

        steps = LeaseSteps(
            "cluster",
            "clusters",
            name,
            org_id,
            create,
            is_repeatable=False,
            find=find,
            wait=wait,
            terminate=self.terminate,
        )
        limits = LeaseLimits(wait_timeout, max_duration)
        clock = self._calls.transport.shared.clock
        return Lease(steps, limits, clock, None if record is None else LeaseRecord(record))
