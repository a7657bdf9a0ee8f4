"""The lifecycle of a cluster and its replicas. Pure rules."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import attrs

from openrelay_async.emulator.answers import conflict
from openrelay_async.emulator.areas.clusters.storage import Cluster
from openrelay_async.emulator.lifecycle import status_at, then

DEPLOYING = 2.0
"""Seconds until the first replica starts its health checks."""
REPLICA_HEALTHY = 1.0
"""Seconds between one replica becoming healthy and the next."""
LARGEST = 64
HOLDING = ("deploying",)

_ALLOWED: Mapping[str, tuple[str, ...]] = {
    "scale": ("deploying", "running", "degraded"),
    "stop": ("deploying", "running", "degraded"),
    "restart": ("running", "degraded", "stopped", "failed"),
}


@attrs.frozen
class Replica:
    """One copy of the workload, as it is stored in its cluster."""

    id: str
    node_id: str
    location_id: str
    created_at: float
    healthy_at: float
    unhealthy_from: float | None = None
    unhealthy_until: float | None = None

    def is_healthy(self, now: float) -> bool:
        sick = self.unhealthy_from is not None and self.unhealthy_from <= now
        cured = self.unhealthy_until is not None and self.unhealthy_until <= now
        return self.healthy_at <= now and (not sick or cured)

    def status_at(self, now: float) -> str:
        if self.healthy_at > now:
            return "deploying"
        return "running" if self.is_healthy(now) else "unhealthy"


def list_replicas(cluster: Cluster) -> list[Replica]:
    return [Replica(**replica) for replica in cluster.replicas]  # type: ignore[arg-type] # as `pack` wrote them


def pack(replicas: Sequence[Replica]) -> list[dict[str, object]]:
    return [attrs.asdict(replica) for replica in replicas]


def cluster_status(cluster: Cluster, now: float) -> str:
    """`deploying` until all replicas were healthy once, then `running`, or `degraded` while one is not.

    Replicas that are added later do not degrade the ones that serve.
    """
    asked = status_at(cluster.timeline, now)
    if asked != "deploying":
        return asked
    if now < cluster.full_from:
        return "deploying"
    sick = any(replica.status_at(now) == "unhealthy" for replica in list_replicas(cluster))
    return "degraded" if sick else "running"


def count_healthy(cluster: Cluster, now: float) -> int:
    if status_at(cluster.timeline, now) != "deploying":
        return 0
    return sum(replica.is_healthy(now) for replica in list_replicas(cluster))


def check_allowed(operation: str, cluster: Cluster, now: float) -> None:
    """Raise 409 `INVALID_CLUSTER_STATE` unless `operation` may be asked for now."""
    status = cluster_status(cluster, now)
    if status not in _ALLOWED[operation]:
        raise conflict(f"cannot {operation} a cluster that is {status}", "INVALID_CLUSTER_STATE")


def healthy_times(now: float, count: int) -> list[float]:
    """When `count` replicas that are ordered now become healthy, one by one."""
    return [now + DEPLOYING + REPLICA_HEALTHY * (index + 1) for index in range(count)]


def redeploy(cluster: Cluster, replicas: list[Replica], now: float) -> Cluster:
    """All replicas anew."""
    times = healthy_times(now, len(replicas))
    fresh = [
        attrs.evolve(replica, healthy_at=at, unhealthy_from=None, unhealthy_until=None)
        for replica, at in zip(replicas, times, strict=True)
    ]
    return attrs.evolve(
        cluster,
        timeline=then(cluster.timeline, now, "deploying"),
        full_from=times[-1],
        replicas=pack(fresh),
        updated_at=now,
    )


def end(cluster: Cluster, status: str, now: float) -> Cluster:
    """Stopped or terminated: nothing runs any more; a stopped one remembers how many replicas it had."""
    return attrs.evolve(
        cluster, timeline=then(cluster.timeline, now, status, f"{status} by user"), updated_at=now
    )


def sicken(cluster: Cluster, index: int, since: float, until: float | None) -> Cluster:
    """Replica number `index` is unhealthy from `since` to `until`."""
    replicas = list_replicas(cluster)
    replicas[index] = attrs.evolve(replicas[index], unhealthy_from=since, unhealthy_until=until)
    return attrs.evolve(cluster, replicas=pack(replicas))
