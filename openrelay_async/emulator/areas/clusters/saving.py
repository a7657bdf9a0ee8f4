"""Writing a cluster down, with everything that follows from its replicas: events, usage."""

from __future__ import annotations

from collections.abc import Iterator

from openrelay_async.emulator.areas.catalog.storage import release
from openrelay_async.emulator.areas.clusters.rules import Replica, list_replicas
from openrelay_async.emulator.areas.clusters.storage import CLUSTERS, Cluster
from openrelay_async.emulator.events import Planned, plan_events
from openrelay_async.emulator.lifecycle import entries, status_at
from openrelay_async.emulator.metering import end_span, write_spans
from openrelay_async.emulator.storage import Database


def save_cluster(database: Database, cluster: Cluster, now: float, *, is_new: bool = False) -> Cluster:
    """Insert or update a cluster."""
    if is_new:
        CLUSTERS.insert(database, cluster)
    else:
        CLUSTERS.update(database, cluster)
    plan_events(database, cluster.org_id, cluster.id, _plan(cluster, now), now)
    return cluster


def meter_replicas(
    database: Database, cluster: Cluster, replicas: list[Replica], *, since: float = 0.0
) -> None:
    """Replicas are billed from the moment they are healthy, and not before `since`."""
    item = cluster.gpu_model_id or f"cpu-{cluster.resource_size}"
    for replica in replicas:
        times = [(max(replica.healthy_at, since), None)]
        write_spans(database, cluster.org_id, replica.id, item, cluster.price_per_hour_cents, times)


def end_replicas(database: Database, cluster: Cluster, replicas: list[Replica], now: float) -> None:
    """Replicas go: they give their room back, cost nothing more, and their end is announced."""
    for replica in replicas:
        release(database, replica.id)
        end_span(database, replica.id, now)
        gone = Planned("terminated", "replica.terminated", now, _about(cluster, replica))
        plan_events(database, cluster.org_id, replica.id, [gone], now)


def _plan(cluster: Cluster, now: float) -> Iterator[Planned]:
    for index, (at, status) in enumerate(entries(cluster.timeline)):
        if status == "failed":
            yield Planned(f"{index}:failed", "cluster.failed", at, {"clusterId": cluster.id})
    if status_at(cluster.timeline, now) != "deploying":
        return
    about = {"clusterId": cluster.id}
    yield Planned(f"full:{cluster.full_from}", "cluster.running", cluster.full_from, about)
    for replica in list_replicas(cluster):
        mine = _about(cluster, replica)
        yield Planned(f"{replica.id}:healthy", "replica.healthy", replica.healthy_at, mine)
        if replica.unhealthy_from is not None:
            since = replica.unhealthy_from
            yield Planned(f"{replica.id}:sick:{since}", "replica.unhealthy", since, mine)
            yield Planned(f"{replica.id}:degraded:{since}", "cluster.degraded", since, about)
        if replica.unhealthy_until is not None:
            until = replica.unhealthy_until
            yield Planned(f"{replica.id}:cured:{until}", "replica.healthy", until, mine)
            yield Planned(f"{replica.id}:restored:{until}", "cluster.running", until, about)


def _about(cluster: Cluster, replica: Replica) -> dict[str, object]:
    return {"clusterId": cluster.id, "replicaId": replica.id}
