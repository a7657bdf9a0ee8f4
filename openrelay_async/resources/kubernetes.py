"""`client.kubernetes`: managed Kubernetes clusters and their node pools, and waiting for the latter."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, overload

from openrelay_async.generated.models.kubernetes import KubernetesNodePool
from openrelay_async.generated.operation_rows import kubernetes as operations
from openrelay_async.generated.resources.kubernetes import AnyCluster
from openrelay_async.generated.resources.kubernetes import Kubernetes as GeneratedKubernetes
from openrelay_async.wait_limits import DEFAULT_FAILURES, DEFAULT_TIMEOUT

if TYPE_CHECKING:
    # Waiting loads what it needs when it is used: most programs that read a cluster never do.
    from openrelay_async.poll_source import Source
    from openrelay_async.resource import Calls
    from openrelay_async.waiting import OnUpdate

__all__ = ["AnyCluster", "Kubernetes"]


class Kubernetes(GeneratedKubernetes):
    """Managed Kubernetes clusters, their node pools, nodes and credentials."""

    __slots__ = ()

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
        """Wait until a node pool of a Kubernetes cluster is `ready` or `deleted`; return it, or `None`.

        All waits on the pools of a cluster share their polls. Cancelling a wait changes nothing at the pool.

        Args:
            id: Kubernetes cluster id.
            node_pool_id: node pool id.
            until: what to wait for.
            timeout: seconds of wall clock to wait; `math.inf` for no limit.
            interval: longest pause between two polls in seconds; by default they back off to 60 s.
            max_failures: polls in a row that may fail for reasons that pass.
            on_update: told when it is first seen and whenever it has changed, with a `WaitProgress`.

        Raises:
            WaitTimeout: the time is up; it carries the node pool as last seen.
            WaitFailed: the node pool is in a state from which the goal cannot be reached; it says why.
            WaitError: more than `max_failures` polls failed in a row.
            NotFound: no such node pool, or no such cluster.
        """
        from openrelay_async.fleets import get_fleet
        from openrelay_async.lifecycles import NODE_POOLS
        from openrelay_async.poll_source import Reading, Source

        def make_source(calls: Calls, _: str | None) -> Source[KubernetesNodePool]:
            kubernetes = GeneratedKubernetes(calls)
            return Source(
                NODE_POOLS,
                operations.LIST_KUBERNETES_NODE_POOLS,
                pages=lambda size: kubernetes.list_node_pools(id, page_size=size),
                read=Reading(
                    operations.GET_KUBERNETES_NODE_POOL,
                    lambda pool_id: kubernetes.get_node_pool(id, pool_id),
                ),
            )

        fleet = get_fleet(self._calls, NODE_POOLS, make_source, parent=id)
        options = fleet.options(timeout, interval, max_failures)
        return await fleet.wait(node_pool_id, until, options, on_update)
