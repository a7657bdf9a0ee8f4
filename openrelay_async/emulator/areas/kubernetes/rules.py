"""The lifecycle of Kubernetes clusters, pools and nodes. Pure rules."""

from __future__ import annotations

from collections.abc import Sequence

import attrs

from openrelay_async.emulator.answers import conflict
from openrelay_async.emulator.areas.kubernetes.storage import KubernetesCluster, NodePool
from openrelay_async.emulator.lifecycle import last_at, status_at

CREATING = 5.0
"""Seconds until a cluster is ready."""
DELETING = 2.0
"""Seconds until what is deleted is gone."""
REGISTERING = 2.0
"""Seconds until a node is registered; it has joined a second later."""
JOINING = 1.0
MOST_NODES = 100
VERSION = "v1.37.1"
TOKEN_SECONDS = 3600


@attrs.frozen
class NodeRecord:
    """A worker, as it is stored in its pool."""

    id: str
    host_id: str
    """The node of the fleet that it stands on. Unused: it stays because the pools in files have it."""
    created_at: float
    registered_at: float
    removed_at: float | None = None

    @property
    def joined_at(self) -> float:
        return self.registered_at + JOINING

    def is_there(self, now: float) -> bool:
        return self.registered_at <= now and (self.removed_at is None or now < self.removed_at)

    def is_ready(self, now: float) -> bool:
        return self.joined_at <= now and (self.removed_at is None or now < self.removed_at)


def list_node_records(pool: NodePool) -> list[NodeRecord]:
    return [NodeRecord(**node) for node in pool.nodes]  # type: ignore[arg-type] # as `pack_nodes` wrote them


def pack_nodes(nodes: Sequence[NodeRecord]) -> list[dict[str, object]]:
    return [attrs.asdict(node) for node in nodes]


def wanted_nodes(pool: NodePool) -> list[NodeRecord]:
    """Those that are not on their way out."""
    return [node for node in list_node_records(pool) if node.removed_at is None]


def is_gone(timeline_of: KubernetesCluster | NodePool, now: float) -> bool:
    """What is deleted stays visible as `deleting` for a moment, and then reads as absent."""
    if status_at(timeline_of.timeline, now) != "deleting":
        return False
    began = last_at(timeline_of.timeline, "deleting", now)
    return began is not None and now >= began + DELETING


def pool_status(pool: NodePool, now: float) -> str:
    """`creating` until its first nodes joined, `scaling` while the number changes, then `ready`."""
    if status_at(pool.timeline, now) == "deleting":
        return "deleting"
    wanted = wanted_nodes(pool)
    leaving = [
        node for node in list_node_records(pool) if node.removed_at is not None and now < node.removed_at
    ]
    if all(node.is_ready(now) for node in wanted) and not leaving:
        return "ready"
    return "scaling" if any(node.created_at > pool.created_at for node in wanted) or leaving else "creating"


def count_ready(pool: NodePool, now: float) -> int:
    return sum(node.is_ready(now) for node in list_node_records(pool))


def cluster_status(cluster: KubernetesCluster, pools: Sequence[NodePool], now: float) -> str:
    status = status_at(cluster.timeline, now)
    if status != "ready":
        return status
    return "updating" if any(pool_status(pool, now) != "ready" for pool in pools) else "ready"


def check_expected(expected: int | None, count: int) -> None:
    """Raise 409 if the caller thought of another number of nodes."""
    if expected is not None and expected != count:
        raise conflict(f"the pool has {count} nodes", "CONCURRENT_UPDATE")
