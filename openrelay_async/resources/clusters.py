"""`client.clusters`: clusters of GPU replicas, and waiting for them."""

from __future__ import annotations

import builtins
from collections.abc import AsyncGenerator, Iterable, Mapping, Sequence
from os import PathLike
from typing import TYPE_CHECKING, Literal, Unpack, cast

from openrelay_async.generated import operations
from openrelay_async.generated.models.clusters import ClusterSummary
from openrelay_async.generated.resources.clusters import Clusters as GeneratedClusters
from openrelay_async.redaction import Secret, conceal
from openrelay_async.unset import UNSET, Unset
from openrelay_async.wait_limits import DEFAULT_FAILURES, DEFAULT_TIMEOUT

if TYPE_CHECKING:
    # Waiting and leasing load what they need when they are used: most programs that read a VM never do.
    from openrelay_async.fleets import Fleet
    from openrelay_async.lease import Lease
    from openrelay_async.orders import ClusterOrder
    from openrelay_async.poll_source import Source
    from openrelay_async.resource import Calls
    from openrelay_async.waiting import OnUpdate, WaitOutcome
    from openrelay_async.watching import Change


def _cluster_source(calls: Calls, org_id: str | None) -> Source[ClusterSummary]:
    from openrelay_async.lifecycles import CLUSTERS
    from openrelay_async.poll_source import Source

    clusters = GeneratedClusters(calls)
    return Source(
        CLUSTERS,
        operations.LIST_ORG_CLUSTERS,
        pages=lambda size: clusters.list(page_size=size, org_id=org_id),
        read=clusters.get,
    )


class Clusters(GeneratedClusters):
    """Clusters of GPU replicas behind one endpoint."""

    __slots__ = ()

    async def _fleet(self, org_id: str | None) -> Fleet[ClusterSummary]:
        from openrelay_async.fleets import find_fleet
        from openrelay_async.lifecycles import CLUSTERS

        return await find_fleet(self._calls, CLUSTERS, _cluster_source, org_id)

    async def create(
        self,
        *,
        name: str,
        allow_fallback: bool | Unset = UNSET,
        container_command: Sequence[str] | Unset = UNSET,
        container_port: int | Unset = UNSET,
        disk_size_gb: int | Unset = UNSET,
        env_vars: Mapping[str, str | Secret] | Unset = UNSET,
        gpu_model_id: str | Unset = UNSET,
        gpus_per_replica: int | Unset = UNSET,
        health_check_path: str | Unset = UNSET,
        health_check_port: int | Unset = UNSET,
        health_checks: Sequence[str] | Unset = UNSET,
        image_url: str | Unset = UNSET,
        kernel_modules: Sequence[str] | Unset = UNSET,
        preferred_regions: Sequence[str] | Unset = UNSET,
        privileged: bool | Unset = UNSET,
        registry_credential_id: str | Unset = UNSET,
        replica_count: int | Unset = UNSET,
        resource_size: str | Unset = UNSET,
        template_id: str | Unset = UNSET,
        tier: str | Unset = UNSET,
        org_id: str | None = None,
        timeout: float | None = None,
        wait_for_capacity: float | None = None,
    ) -> ClusterSummary:
        """Create as the API's operation does, and if wanted wait until there is room for it.

        Args:
            wait_for_capacity: seconds to wait when there is no room: availability is watched, and only
                `CapacityUnavailable` has it tried again, with the same idempotency key where there is one.
                Without it, `CapacityUnavailable` is raised at once.

        The other arguments, the result and the errors are those of the generated method.
        """
        env_vars = conceal(env_vars)

        async def create() -> ClusterSummary:
            return await GeneratedClusters.create(
                self,
                name=name,
                allow_fallback=allow_fallback,
                container_command=container_command,
                container_port=container_port,
                disk_size_gb=disk_size_gb,
                env_vars=env_vars,
                gpu_model_id=gpu_model_id,
                gpus_per_replica=gpus_per_replica,
                health_check_path=health_check_path,
                health_check_port=health_check_port,
                health_checks=health_checks,
                image_url=image_url,
                kernel_modules=kernel_modules,
                preferred_regions=preferred_regions,
                privileged=privileged,
                registry_credential_id=registry_credential_id,
                replica_count=replica_count,
                resource_size=resource_size,
                template_id=template_id,
                tier=tier,
                org_id=org_id,
                timeout=timeout,
            )

        if wait_for_capacity is None:
            return await create()
        from openrelay_async.availability import given_count, has_free_gpus
        from openrelay_async.capacity import create_when_possible

        async def has_room() -> bool:
            each, replicas = given_count(gpus_per_replica), given_count(replica_count)
            return await has_free_gpus(self._calls, gpu_model_id, each, in_all=each * replicas, of="cluster")

        return await create_when_possible(
            create,
            has_room,
            shared=self._calls.transport.shared,
            wanted=("clusters", org_id, gpu_model_id, gpus_per_replica, replica_count),
            patience=wait_for_capacity,
        )

    async def wait(
        self,
        id: str,
        *,
        until: Literal["running", "stopped", "terminated"] | str = "running",
        timeout: float = DEFAULT_TIMEOUT,
        interval: float | None = None,
        max_failures: int = DEFAULT_FAILURES,
        on_update: OnUpdate[ClusterSummary] | None = None,
        org_id: str | None = None,
    ) -> ClusterSummary:
        """Wait until a cluster is `running`, `stopped` or `terminated`; `degraded` is no end.

        All waits of a client share their polls. Cancelling a wait changes nothing at the cluster.

        Args:
            id: cluster id.
            until: what to wait for.
            timeout: seconds of wall clock to wait; `math.inf` for no limit.
            interval: longest pause between two polls in seconds; by default they back off to 60 s.
            max_failures: polls in a row that may fail for reasons that pass.
            on_update: told when it is first seen and whenever it has changed, with a `WaitProgress`.
            org_id: organization id; by default the client's organization.

        Raises:
            WaitTimeout: the time is up; it carries the cluster as last seen and a token for `resume_wait`.
            WaitFailed: the cluster is in a state from which the goal cannot be reached; it says why.
            WaitError: more than `max_failures` polls failed in a row.
            NotFound: no such cluster.
        """
        fleet = await self._fleet(org_id)
        options = fleet.options(timeout, interval, max_failures)
        return cast(
            "ClusterSummary",
            await fleet.wait(id, until, options, on_update),
        )

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
            return await find_named(GeneratedClusters.list(self, page_size=1000, org_id=org_id), name, since)

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

    async def resume_wait(
        self,
        token: str,
        *,
        timeout: float = DEFAULT_TIMEOUT,
        interval: float | None = None,
        max_failures: int = DEFAULT_FAILURES,
        on_update: OnUpdate[ClusterSummary] | None = None,
    ) -> ClusterSummary:
        """Go on with a wait whose `WaitError` has this token, for another `timeout` seconds.

        Raises:
            ValueError: not the token of a wait on a cluster.
        """
        from openrelay_async.waiting import WaitToken

        resumed = WaitToken.decode(token, "clusters")
        fleet = await self._fleet(resumed.org_id)
        options = fleet.options(timeout, interval, max_failures)
        return cast(
            "ClusterSummary",
            await fleet.wait(resumed.id, resumed.until, options, on_update, resumed),
        )

    async def wait_all(
        self,
        ids: Iterable[str],
        *,
        until: Literal["running", "stopped", "terminated"] | str = "running",
        timeout: float = DEFAULT_TIMEOUT,
        interval: float | None = None,
        max_failures: int = DEFAULT_FAILURES,
        on_update: OnUpdate[ClusterSummary] | None = None,
        org_id: str | None = None,
    ) -> builtins.list[ClusterSummary]:
        """Wait until all clusters have reached the goal; return them in the order of their ids.

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
        until: Literal["running", "stopped", "terminated"] | str = "running",
        timeout: float = DEFAULT_TIMEOUT,
        interval: float | None = None,
        max_failures: int = DEFAULT_FAILURES,
        on_update: OnUpdate[ClusterSummary] | None = None,
        org_id: str | None = None,
    ) -> ClusterSummary:
        """Wait until one of the clusters has reached the goal; return it.

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
        until: Literal["running", "stopped", "terminated"] | str = "running",
        timeout: float = DEFAULT_TIMEOUT,
        interval: float | None = None,
        max_failures: int = DEFAULT_FAILURES,
        on_update: OnUpdate[ClusterSummary] | None = None,
        org_id: str | None = None,
    ) -> AsyncGenerator[WaitOutcome[ClusterSummary], None]:
        """Yield a `WaitOutcome` for each cluster as its wait ends: with it, or with the error."""
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
    ) -> AsyncGenerator[Change[ClusterSummary], None]:
        """Yield each change of the organization's clusters once: `appeared`, `changed`, `gone`.

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
        """Let waits and watches on clusters in this event loop poll now: what a webhook receiver does."""
        (await self._fleet(org_id)).look_now()
