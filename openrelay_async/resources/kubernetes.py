"""`client.kubernetes`: managed Kubernetes clusters and their node pools, and waiting for them."""

from __future__ import annotations

import builtins
from collections.abc import AsyncGenerator, Iterable
from typing import TYPE_CHECKING, Literal, cast, overload

from openrelay_async.generated import operations
from openrelay_async.generated.models.kubernetes import (
    KubernetesCluster,
    KubernetesClusterSummary,
    KubernetesNodePool,
)
from openrelay_async.generated.resources.kubernetes import Kubernetes as GeneratedKubernetes
from openrelay_async.wait_limits import DEFAULT_FAILURES, DEFAULT_TIMEOUT

if TYPE_CHECKING:
    # Waiting and leasing load what they need when they are used: most programs that read a VM never do.
    from openrelay_async.fleets import Fleet
    from openrelay_async.poll_source import Source
    from openrelay_async.resource import Calls
    from openrelay_async.waiting import OnUpdate, WaitOutcome
    from openrelay_async.watching import Change

AnyCluster = KubernetesCluster | KubernetesClusterSummary


def _kubernetes_source(calls: Calls, org_id: str | None) -> Source[AnyCluster]:
    from openrelay_async.lifecycles import KUBERNETES
    from openrelay_async.poll_source import Source

    kubernetes = GeneratedKubernetes(calls)
    return Source(
        KUBERNETES,
        operations.LIST_KUBERNETES_CLUSTERS,
        pages=lambda size: kubernetes.list(page_size=size),
        read_full=kubernetes.get,
    )


def _node_pool_source(calls: Calls, cluster_id: str) -> Source[KubernetesNodePool]:
    from openrelay_async.lifecycles import NODE_POOLS
    from openrelay_async.poll_source import Source

    kubernetes = GeneratedKubernetes(calls)

    async def read(pool_id: str) -> KubernetesNodePool:
        return await kubernetes.get_node_pool(cluster_id, pool_id)

    return Source(
        NODE_POOLS,
        operations.LIST_KUBERNETES_NODE_POOLS,
        pages=lambda size: kubernetes.list_node_pools(cluster_id, page_size=size),
        read=read,
    )


class Kubernetes(GeneratedKubernetes):
    """Managed Kubernetes clusters, their node pools, nodes and credentials."""

    __slots__ = ()

    def _fleet(self) -> Fleet[AnyCluster]:
        from openrelay_async.fleets import get_fleet
        from openrelay_async.lifecycles import KUBERNETES

        return get_fleet(self._calls, KUBERNETES, _kubernetes_source)

    @overload
    async def wait(
        self,
        id: str,
        *,
        until: Literal["ready"] = ...,
        timeout: float = ...,
        interval: float | None = ...,
        max_failures: int = ...,
        on_update: OnUpdate[AnyCluster] | None = ...,
    ) -> KubernetesCluster: ...
    @overload
    async def wait(
        self,
        id: str,
        *,
        until: Literal["deleted"],
        timeout: float = ...,
        interval: float | None = ...,
        max_failures: int = ...,
        on_update: OnUpdate[AnyCluster] | None = ...,
    ) -> None: ...
    async def wait(
        self,
        id: str,
        *,
        until: Literal["ready", "deleted"] = "ready",
        timeout: float = DEFAULT_TIMEOUT,
        interval: float | None = None,
        max_failures: int = DEFAULT_FAILURES,
        on_update: OnUpdate[AnyCluster] | None = None,
    ) -> KubernetesCluster | None:
        """Wait until a Kubernetes cluster is `ready` (then it is returned in full) or `deleted`.

        All waits of a client share their polls. Cancelling a wait changes nothing at the Kubernetes cluster.

        Args:
            id: Kubernetes cluster id.
            until: what to wait for.
            timeout: seconds of wall clock to wait; `math.inf` for no limit.
            interval: longest pause between two polls in seconds; by default they back off to 60 s.
            max_failures: polls in a row that may fail for reasons that pass.
            on_update: told when it is first seen and whenever it has changed, with a `WaitProgress`.

        Raises:
            WaitTimeout: the time is up; it carries the cluster as last seen and a token for `resume_wait`.
            WaitFailed: the cluster is in a state from which the goal cannot be reached; it says why.
            WaitError: more than `max_failures` polls failed in a row.
            NotFound: no such Kubernetes cluster.
        """
        fleet = self._fleet()
        options = fleet.options(timeout, interval, max_failures)
        return cast(
            "KubernetesCluster | None",
            await fleet.wait(id, until, options, on_update),
        )

    async def resume_wait(
        self,
        token: str,
        *,
        timeout: float = DEFAULT_TIMEOUT,
        interval: float | None = None,
        max_failures: int = DEFAULT_FAILURES,
        on_update: OnUpdate[AnyCluster] | None = None,
    ) -> AnyCluster | None:
        """Go on with a wait whose `WaitError` has this token, for another `timeout` seconds.

        Raises:
            ValueError: not the token of a wait on a Kubernetes cluster.
        """
        from openrelay_async.waiting import WaitToken

        resumed = WaitToken.decode(token, "kubernetes")
        fleet = self._fleet()
        options = fleet.options(timeout, interval, max_failures)
        return await fleet.wait(resumed.id, resumed.until, options, on_update, resumed)

    async def wait_all(
        self,
        ids: Iterable[str],
        *,
        until: Literal["ready"] = "ready",
        timeout: float = DEFAULT_TIMEOUT,
        interval: float | None = None,
        max_failures: int = DEFAULT_FAILURES,
        on_update: OnUpdate[AnyCluster] | None = None,
    ) -> builtins.list[AnyCluster]:
        """Wait until all Kubernetes clusters have reached the goal; return them in the order of their ids.

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
        until: Literal["ready"] = "ready",
        timeout: float = DEFAULT_TIMEOUT,
        interval: float | None = None,
        max_failures: int = DEFAULT_FAILURES,
        on_update: OnUpdate[AnyCluster] | None = None,
    ) -> AnyCluster:
        """Wait until one of the Kubernetes clusters has reached the goal; return it.

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
        until: Literal["ready", "deleted"] = "ready",
        timeout: float = DEFAULT_TIMEOUT,
        interval: float | None = None,
        max_failures: int = DEFAULT_FAILURES,
        on_update: OnUpdate[AnyCluster] | None = None,
    ) -> AsyncGenerator[WaitOutcome[AnyCluster], None]:
        """Yield a `WaitOutcome` for each Kubernetes cluster as its wait ends: with it, or with the error."""
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
    ) -> AsyncGenerator[Change[AnyCluster], None]:
        """Yield each change of the organization's Kubernetes clusters once: `appeared`, `changed`, `gone`.

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
        """Let waits and watches in this event loop poll now: what a webhook receiver does."""
        self._fleet().look_now()

    @overload
    async def wait_node_pool(
        self,
        id: str,
        node_pool_id: str,
        *,
        until: Literal["ready"] = ...,
        timeout: float = ...,
        interval: float | None = ...,
        max_failures: int = ...,
        on_update: OnUpdate[KubernetesNodePool] | None = ...,
    ) -> KubernetesNodePool: ...
    @overload
    async def wait_node_pool(
        self,
        id: str,
        node_pool_id: str,
        *,
        until: Literal["deleted"],
        timeout: float = ...,
        interval: float | None = ...,
        max_failures: int = ...,
        on_update: OnUpdate[KubernetesNodePool] | None = ...,
    ) -> None: ...
    async def wait_node_pool(
        self,
        id: str,
        node_pool_id: str,
        *,
        until: Literal["ready", "deleted"] = "ready",
        timeout: float = DEFAULT_TIMEOUT,
        interval: float | None = None,
        max_failures: int = DEFAULT_FAILURES,
        on_update: OnUpdate[KubernetesNodePool] | None = None,
    ) -> KubernetesNodePool | None:
        """Wait until a node pool of a Kubernetes cluster is `ready` or `deleted`.

        Args:
            id: Kubernetes cluster id.
            node_pool_id: node pool id.
            until: what to wait for.

        The other arguments and the errors are those of `wait`.
        """
        from openrelay_async.fleets import get_fleet
        from openrelay_async.lifecycles import NODE_POOLS

        def make_source(calls: Calls, _: str | None) -> Source[KubernetesNodePool]:
            return _node_pool_source(calls, id)

        fleet = get_fleet(self._calls, NODE_POOLS, make_source, parent=id)
        options = fleet.options(timeout, interval, max_failures)
        return await fleet.wait(node_pool_id, until, options, on_update)
