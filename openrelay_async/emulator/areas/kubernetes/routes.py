"""Kubernetes: clusters and their credentials."""

from __future__ import annotations

import uuid

import attrs

from openrelay_async.emulator.answers import Answer, bad_request, conflict, moment, not_found, page_answer
from openrelay_async.emulator.areas.catalog.rules import PLACES
from openrelay_async.emulator.areas.kubernetes import rules
from openrelay_async.emulator.areas.kubernetes.pools import add_pool, delete_pool
from openrelay_async.emulator.areas.kubernetes.storage import (
    KUBERNETES_CLUSTERS,
    NODE_POOLS,
    KubernetesCluster,
    NodePool,
)
from openrelay_async.emulator.call import Call
from openrelay_async.emulator.fields import check_label
from openrelay_async.emulator.lifecycle import begin, changed_at, status_at, then


def create_cluster(call: Call) -> Answer:
    body = call.body
    name = check_label(body.text("name"), "name")
    location = body.text("locationId")
    if location not in [place.id for place in PLACES]:
        raise bad_request("locationId", "is no location of the catalog")
    others = KUBERNETES_CLUSTERS.find(call.database, org_id=call.org_id)
    if any(other.name == name and not rules.is_gone(other, call.now) for other in others):
        raise conflict("the organization has a cluster of this name", "NAME_TAKEN")
    ready = call.now + rules.CREATING
    cluster = KubernetesCluster(
        # The description wants a UUID here.
        id=str(uuid.UUID(bytes=call.database.vault.digest("uuid", call.new_id(""))[:16], version=4)),
        org_id=call.org_id,
        name=name,
        location_id=location,
        version=body.text("kubernetesVersion") or rules.VERSION,
        created_at=call.now,
        updated_at=call.now,
        timeline=then(begin(call.now, "creating"), ready, "ready"),
    )
    KUBERNETES_CLUSTERS.insert(call.database, cluster)
    for index, order in enumerate(body.every("nodePools")):
        add_pool(call, cluster, order, f"nodePools[{index}].", starts=ready)
    return Answer({"id": cluster.id, "status": "creating"}, status=202)


def list_clusters(call: Call) -> Answer:
    clusters, cursor = call.page(
        KUBERNETES_CLUSTERS, keep=lambda item: not rules.is_gone(item, call.now), org_id=call.org_id
    )
    return page_answer([_render_summary(call, cluster) for cluster in clusters], cursor)


def get_cluster(call: Call) -> Answer:
    cluster = find_cluster(call)
    pools = pools_of(call, cluster)
    nodes = [node for pool in pools for node in rules.list_node_records(pool)]
    there = [node for node in nodes if node.is_there(call.now)]
    ready = sum(node.is_ready(call.now) for node in there)
    wanted = sum(len(rules.wanted_nodes(pool)) for pool in pools)
    status = rules.cluster_status(cluster, pools, call.now)
    is_up = status in ("ready", "updating")
    return Answer(
        {
            "id": cluster.id,
            "orgId": cluster.org_id,
            "name": cluster.name,
            "locationId": cluster.location_id,
            "kubernetesVersion": cluster.version,
            "status": status,
            "conditions": [
                {
                    "type": "Ready",
                    "status": "True" if is_up else "False",
                    "reason": "ControlPlaneReady" if is_up else "ControlPlaneNotReady",
                    "lastTransitionTime": moment(changed_at(cluster.timeline, call.now)),
                }
            ],
            "controlPlane": {"replicas": 3, "readyReplicas": 3 if is_up else 0},
            "network": {
                "apiEndpoint": _endpoint(cluster),
                "podCidr": "10.244.0.0/16",
                "serviceCidr": "10.96.0.0/12",
            },
            "nodeCounts": {
                "total": len(there),
                "ready": ready,
                "notReady": len(there) - ready,
                "pending": max(0, wanted - len(there)),
            },
            "createdAt": moment(cluster.created_at),
            "updatedAt": moment(max(cluster.updated_at, changed_at(cluster.timeline, call.now))),
        }
    )


def delete_cluster(call: Call) -> Answer:
    cluster = find_cluster(call)
    if status_at(cluster.timeline, call.now) != "deleting":
        for pool in pools_of(call, cluster):
            delete_pool(call, pool)
        timeline = then(cluster.timeline, call.now, "deleting")
        KUBERNETES_CLUSTERS.update(
            call.database, attrs.evolve(cluster, timeline=timeline, updated_at=call.now)
        )
        call.audit("kubernetes_cluster.deleted", "kubernetes_cluster", cluster.id)
    return Answer({"id": cluster.id, "status": "deleting"}, status=202)


def get_kubeconfig(call: Call) -> Answer:
    cluster, role = _find_ready(call), call.query.text("role", "view")
    token = _token(call, cluster, role)
    kubeconfig = (
        "apiVersion: v1\nkind: Config\n"
        f"clusters:\n- name: {cluster.name}\n  cluster:\n    server: {_endpoint(cluster)}\n"
        f"users:\n- name: {role}\n  user:\n    token: {token}\n"
        f"contexts:\n- name: {cluster.name}\n  context:\n    cluster: {cluster.name}\n    user: {role}\n"
        f"current-context: {cluster.name}\n"
    )
    return Answer(
        {
            "role": role,
            "kubeconfig": kubeconfig,
            "ttlSeconds": rules.TOKEN_SECONDS,
            "expiresAt": moment(call.now + rules.TOKEN_SECONDS),
        }
    )


def create_token(call: Call) -> Answer:
    cluster, role = _find_ready(call), call.query.text("role", "view")
    call.audit("kubernetes_cluster.token_created", "kubernetes_cluster", cluster.id, after=role)
    status = {
        "role": role,
        "token": _token(call, cluster, role),
        "expirationTimestamp": moment(call.now + rules.TOKEN_SECONDS),
    }
    return Answer(
        {"apiVersion": "client.authentication.k8s.io/v1", "kind": "ExecCredential", "status": status}
    )


def _token(call: Call, cluster: KubernetesCluster, role: str) -> str:
    """Another one for every request; nothing accepts it, so nothing of it has to be kept."""
    return call.database.vault.derive("k8s_", cluster.id, role, call.request_id)


def _find_ready(call: Call) -> KubernetesCluster:
    cluster = find_cluster(call)
    if status_at(cluster.timeline, call.now) != "ready":
        raise conflict("the cluster is not ready", "CLUSTER_NOT_READY")
    return cluster


def find_cluster(call: Call) -> KubernetesCluster:
    """Raises 404 also for one that was deleted a moment ago."""
    cluster = call.require(KUBERNETES_CLUSTERS, call.path["id"], "Kubernetes cluster")
    if rules.is_gone(cluster, call.now):
        raise not_found("Kubernetes cluster")
    return cluster


def pools_of(call: Call, cluster: KubernetesCluster) -> list[NodePool]:
    pools = NODE_POOLS.find(call.database, cluster_id=cluster.id)
    return [pool for pool in pools if not rules.is_gone(pool, call.now)]


def _endpoint(cluster: KubernetesCluster) -> str:
    return f"https://{cluster.id}.k8s.openrelay.example:6443"


def _render_summary(call: Call, cluster: KubernetesCluster) -> dict[str, object]:
    pools = pools_of(call, cluster)
    status = rules.cluster_status(cluster, pools, call.now)
    workers = sum(len(rules.wanted_nodes(pool)) for pool in pools)
    ready = sum(rules.count_ready(pool, call.now) for pool in pools)
    if status not in ("ready", "updating"):
        health = "unknown"
    else:
        health = "healthy" if ready >= workers else "degraded"
    return {
        "id": cluster.id,
        "name": cluster.name,
        "status": status,
        "health": health,
        "kubernetesVersion": cluster.version,
        "workerCount": workers,
        "healthyWorkerCount": min(ready, workers),
        "createdAt": moment(cluster.created_at),
    }


HANDLERS = {
    "createKubernetesCluster": create_cluster,
    "listKubernetesClusters": list_clusters,
    "getKubernetesCluster": get_cluster,
    "deleteKubernetesCluster": delete_cluster,
    "getKubernetesKubeconfig": get_kubeconfig,
    "createKubernetesClusterToken": create_token,
}
