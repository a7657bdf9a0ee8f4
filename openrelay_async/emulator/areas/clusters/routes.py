"""Clusters: create, look, scale, stop, restart, terminate."""

from __future__ import annotations

import attrs

from openrelay_async.emulator.answers import Answer, bad_request, moment, page_answer, rfc3339, without_absent
from openrelay_async.emulator.areas.billing.ledger import require_credit
from openrelay_async.emulator.areas.catalog.routes import render_model
from openrelay_async.emulator.areas.catalog.rules import LARGEST_DISK, PLACES, SMALLEST_DISK, TIERS
from openrelay_async.emulator.areas.clusters import rules
from openrelay_async.emulator.areas.clusters.rules import Replica, list_replicas
from openrelay_async.emulator.areas.clusters.saving import end_replicas, meter_replicas, save_cluster
from openrelay_async.emulator.areas.clusters.storage import CLUSTERS, Cluster
from openrelay_async.emulator.areas.registry.storage import check_registry_credential
from openrelay_async.emulator.areas.vms.ordering import Hardware, read_hardware, seal_secrets, take_room
from openrelay_async.emulator.call import Call
from openrelay_async.emulator.fields import Fields
from openrelay_async.emulator.fleet import Fleet
from openrelay_async.emulator.lifecycle import begin, reason_at


def create_cluster(call: Call) -> Answer:
    body = call.body
    tier = body.text("tier") or "verified"
    if tier not in TIERS:
        raise bad_request("tier", f"must be one of {', '.join(TIERS)}")
    count = body.bounded("replicaCount", 1, least=1, most=rules.LARGEST)
    check_registry_credential(call.database, body.optional_text("registryCredentialId"), call.org_id)
    hardware = read_hardware(call, _as_vm_order(body), tier)
    draft = Cluster(
        id=call.new_id("cl_"),
        org_id=call.org_id,
        name=body.name(),
        created_at=call.now,
        updated_at=call.now,
        timeline=begin(call.now, "deploying"),
        full_from=call.now,
        replicas=[],
        price_per_hour_cents=hardware.price_per_hour_cents,
        gpu_model_id=hardware.gpu.id if hardware.gpu else None,
        gpus_per_replica=hardware.gpu_count,
        resource_size=hardware.resource_size,
        disk_size_gb=body.bounded("diskSizeGb", 100, least=SMALLEST_DISK, most=LARGEST_DISK),
        tier=tier,
        allow_fallback=body.boolean("allowFallback"),
        privileged=body.boolean("privileged"),
        image_url=body.optional_text("imageUrl"),
        container_port=body.optional_integer("containerPort"),
        health_check_path=body.optional_text("healthCheckPath"),
        health_check_port=body.optional_integer("healthCheckPort"),
        health_checks=body.texts("healthChecks"),
        preferred_regions=body.texts("preferredRegions"),
        sealed=seal_secrets(call, body),
    )
    cluster = rules.redeploy(draft, _order_replicas(call, draft, count), call.now)
    cluster = attrs.evolve(cluster, timeline=begin(call.now, "deploying"))
    save_cluster(call.database, cluster, call.now, is_new=True)
    return Answer(_render(cluster, call.now))


def _as_vm_order(body: Fields) -> Fields:
    """A replica is ordered like a VM; its GPUs have another name."""
    return Fields(
        {("gpuCount" if name == "gpusPerReplica" else name): value for name, value in body.raw.items()}
    )


def _order_replicas(call: Call, cluster: Cluster, count: int) -> list[Replica]:
    if count:
        require_credit(call.database, cluster.org_id, call.now)
    fleet = call.settings.fleet
    gpu = fleet.kind(cluster.gpu_model_id) if cluster.gpu_model_id else None
    hardware = Hardware(gpu, cluster.gpus_per_replica, cluster.resource_size, cluster.price_per_hour_cents)
    replicas: list[Replica] = []
    for healthy_at in rules.healthy_times(call.now, count):
        replica_id = call.new_id("rep_")
        node = take_room(call, replica_id, hardware)
        replicas.append(Replica(replica_id, node.id, node.location_id, call.now, healthy_at))
    meter_replicas(call.database, cluster, replicas)
    return replicas


def list_clusters(call: Call) -> Answer:
    clusters, cursor = call.page(CLUSTERS, org_id=call.org_id)
    return page_answer([_render(cluster, call.now) for cluster in clusters], cursor)


def get_cluster(call: Call) -> Answer:
    return Answer(_render(_find(call), call.now))


def get_detail(call: Call) -> Answer:
    cluster = _find(call)
    kind = call.settings.fleet.kind(cluster.gpu_model_id) if cluster.gpu_model_id else None
    secrets = call.database.vault.unseal(cluster.sealed)
    summary = _render(cluster, call.now)
    summary.pop("activeReplicas", None)
    detail = {
        **summary,
        "updatedAt": moment(cluster.updated_at),
        "statusReason": reason_at(cluster.timeline, call.now),
        "gpuModel": render_model(kind) if kind else None,
        "gpusPerReplica": cluster.gpus_per_replica,
        "resourceSize": cluster.resource_size,
        "diskSizeGb": cluster.disk_size_gb,
        "tier": cluster.tier,
        "allowFallback": cluster.allow_fallback,
        "privileged": cluster.privileged,
        "imageUrl": cluster.image_url,
        "containerPort": cluster.container_port,
        "healthCheckPath": cluster.health_check_path,
        "healthCheckPort": cluster.health_check_port,
        "healthChecks": cluster.health_checks or None,
        "preferredRegions": cluster.preferred_regions or None,
        "envVars": secrets.get("envVars"),
        "deployToken": call.database.vault.derive("dpl_", "deploy", cluster.id),
        "replicas": [
            _render_replica(cluster, replica, call.settings.fleet, call.now)
            for replica in _running(cluster, call.now)
        ],
    }
    return Answer(without_absent(detail))


def scale_cluster(call: Call) -> Answer:
    cluster = _find(call)
    count = call.body.bounded("replicaCount", 1, least=1, most=rules.LARGEST)
    rules.check_allowed("scale", cluster, call.now)
    replicas = list_replicas(cluster)
    end_replicas(call.database, cluster, replicas[count:], call.now)
    replicas = replicas[:count]
    replicas += _order_replicas(call, cluster, count - len(replicas))
    changed = attrs.evolve(cluster, replicas=rules.pack(replicas), updated_at=call.now)
    if rules.cluster_status(cluster, call.now) == "deploying":
        changed = attrs.evolve(changed, full_from=max(replica.healthy_at for replica in replicas))
    return _save(call, changed)


def stop_cluster(call: Call) -> Answer:
    cluster = _find(call)
    rules.check_allowed("stop", cluster, call.now)
    return _end(call, cluster, "stopped")


def restart_cluster(call: Call) -> Answer:
    cluster = _find(call)
    rules.check_allowed("restart", cluster, call.now)
    end_replicas(call.database, cluster, _running(cluster, call.now), call.now)
    replicas = _order_replicas(call, cluster, len(cluster.replicas))
    return _save(call, rules.redeploy(cluster, replicas, call.now))


def terminate_cluster(call: Call) -> Answer:
    cluster = _find(call)
    if rules.cluster_status(cluster, call.now) == "terminated":
        return Answer(_render(cluster, call.now))  # again is as good as once
    return _end(call, cluster, "terminated")


def _end(call: Call, cluster: Cluster, status: str) -> Answer:
    end_replicas(call.database, cluster, _running(cluster, call.now), call.now)
    return _save(call, rules.end(cluster, status, call.now))


def _save(call: Call, cluster: Cluster) -> Answer:
    save_cluster(call.database, cluster, call.now)
    return Answer(_render(cluster, call.now))


def _running(cluster: Cluster, now: float) -> list[Replica]:
    return (
        list_replicas(cluster) if rules.cluster_status(cluster, now) not in ("stopped", "terminated") else []
    )


def _find(call: Call) -> Cluster:
    return call.require(CLUSTERS, call.path["id"], "cluster")


def _render(cluster: Cluster, now: float) -> dict[str, object]:
    return without_absent(
        {
            "id": cluster.id,
            "name": cluster.name,
            "organizationId": cluster.org_id,
            "status": rules.cluster_status(cluster, now),
            "gpuModelId": cluster.gpu_model_id,
            "replicaCount": len(cluster.replicas),
            "activeReplicas": rules.count_healthy(cluster, now),
            "endpointUrl": f"https://{cluster.id.replace('_', '-')}.clusters.openrelay.example",
            "createdAt": moment(cluster.created_at),
        }
    )


def _render_replica(cluster: Cluster, replica: Replica, fleet: Fleet, now: float) -> dict[str, object]:
    node = fleet.node(replica.node_id)
    place = next((place for place in PLACES if place.id == replica.location_id), None)
    healthy = replica.is_healthy(now)
    return without_absent(
        {
            "id": replica.id,
            "status": replica.status_at(now),
            "healthy": healthy,
            "consecutiveFailures": 0 if healthy or replica.healthy_at > now else 3,
            "gpuCount": cluster.gpus_per_replica,
            "nvlinkEnabled": cluster.gpus_per_replica > 1 and cluster.gpu_model_id != "rtx-4090",
            "nodeId": replica.node_id,
            "nodeHostname": node.hostname if node else None,
            "nodeLocation": place.city if place else None,
            "nodeRegion": place.region if place else None,
            "createdAt": moment(replica.created_at),
            "startedAt": rfc3339(replica.healthy_at) if replica.healthy_at <= now else None,
            "lastHealthCheckAt": moment(now),
        }
    )


HANDLERS = {
    "createCluster": create_cluster,
    "listOrgClusters": list_clusters,
    "getCluster": get_cluster,
    "getClusterDetail": get_detail,
    "scaleCluster": scale_cluster,
    "stopCluster": stop_cluster,
    "restartCluster": restart_cluster,
    "terminateCluster": terminate_cluster,
}
