"""Kubernetes: node pools and nodes."""

from __future__ import annotations

from openrelay_async.emulator.answers import (
    Answer,
    bad_request,
    conflict,
    moment,
    not_found,
    page_answer,
    rfc3339,
    without_absent,
)
from openrelay_async.emulator.areas.kubernetes import rules
from openrelay_async.emulator.areas.kubernetes.pools import add_pool, delete_pool, grow, remove
from openrelay_async.emulator.areas.kubernetes.routes import find_cluster, pools_of
from openrelay_async.emulator.areas.kubernetes.rules import NodeRecord
from openrelay_async.emulator.areas.kubernetes.storage import NODE_POOLS, KubernetesCluster, NodePool
from openrelay_async.emulator.call import LARGEST_PAGE, PAGE_SIZE, Call
from openrelay_async.emulator.cursors import make_cursor, read_cursor
from openrelay_async.emulator.lifecycle import status_at


def create_pool(call: Call) -> Answer:
    cluster = find_cluster(call)
    body = call.body
    _check_usable(call, cluster)
    ready_at = max(call.now, cluster.created_at + rules.CREATING)
    return Answer(_render_pool(add_pool(call, cluster, body, "", starts=ready_at), call.now), status=202)


def list_pools(call: Call) -> Answer:
    cluster = find_cluster(call)
    pools, cursor = call.page(
        NODE_POOLS, keep=lambda pool: not rules.is_gone(pool, call.now), cluster_id=cluster.id
    )
    return page_answer([_render_pool(pool, call.now) for pool in pools], cursor)


def get_pool(call: Call) -> Answer:
    return Answer(_render_pool(_find_pool(call), call.now))


def scale_pool(call: Call) -> Answer:
    pool = _find_pool(call)
    body = call.body
    if status_at(pool.timeline, call.now) == "deleting":
        raise conflict("the pool is being deleted", "INVALID_POOL_STATE")
    wanted = rules.wanted_nodes(pool)
    rules.check_expected(body.optional_integer("expectedCount"), len(wanted))
    count = body.integer("count")
    if not 0 <= count <= rules.MOST_NODES:
        raise bad_request("count", f"must be from 0 to {rules.MOST_NODES}")
    if count < len(wanted):
        pool = remove(call.database, pool, {node.id for node in wanted[count:]}, call.now)
    else:
        pool = grow(call, pool, count - len(wanted), starts=call.now)
    return Answer(_render_pool(pool, call.now), status=202)


def delete(call: Call) -> Answer:
    pool = _find_pool(call)
    if status_at(pool.timeline, call.now) != "deleting":
        delete_pool(call, pool)
    return Answer({"id": pool.id, "status": "deleting"}, status=202)


def list_nodes(call: Call) -> Answer:
    cluster = find_cluster(call)
    pool_id = call.query.optional_text("nodePoolId")
    pools = [pool for pool in pools_of(call, cluster) if pool_id in (None, pool.id)]
    nodes = [
        (pool, node) for pool in pools for node in rules.list_node_records(pool) if node.is_there(call.now)
    ]
    limit = call.query.bounded("limit", PAGE_SIZE, least=1, most=LARGEST_PAGE)
    scope = f"{call.operation.id}\n{cluster.id}\n{pool_id}"
    given = call.query.text("cursor")
    # Nodes are few and inside their pools: the cursor counts how many were given already.
    start = read_cursor(call.database.vault, scope, given) if given else 0
    end = start + limit
    cursor = make_cursor(call.database.vault, scope, end) if end < len(nodes) else None
    return page_answer([_render_node(pool, node, call.now) for pool, node in nodes[start:end]], cursor)


def get_node(call: Call) -> Answer:
    pool, node = _find_node(call)
    body = _render_node(pool, node, call.now)
    kind = call.settings.fleet.kind(pool.gpu_model_id) if pool.gpu_model_id else None
    if kind is not None:
        body["gpu"] = {"model": kind.name, "count": kind.node_size, "memory": f"{kind.vram_gb}Gi"}
    return Answer(body)


def delete_node(call: Call) -> Answer:
    pool, node = _find_node(call)
    remove(call.database, pool, {node.id}, call.now)
    return Answer({"id": node.id, "status": "removing"}, status=202)


def _check_usable(call: Call, cluster: KubernetesCluster) -> None:
    if status_at(cluster.timeline, call.now) == "deleting":
        raise conflict("the cluster is being deleted", "INVALID_CLUSTER_STATE")


def _find_pool(call: Call) -> NodePool:
    cluster = find_cluster(call)
    pool = call.require(NODE_POOLS, call.path["poolId"], "node pool")
    if pool.cluster_id != cluster.id or rules.is_gone(pool, call.now):
        raise not_found("node pool")
    return pool


def _find_node(call: Call) -> tuple[NodePool, NodeRecord]:
    for pool in pools_of(call, find_cluster(call)):
        for node in rules.list_node_records(pool):
            if node.id == call.path["nodeId"] and node.is_there(call.now):
                return pool, node
    raise not_found("node")


def _render_pool(pool: NodePool, now: float) -> dict[str, object]:
    return {
        "id": pool.id,
        "clusterId": pool.cluster_id,
        "name": pool.name,
        "status": rules.pool_status(pool, now),
        "count": len(rules.wanted_nodes(pool)),
        "readyCount": rules.count_ready(pool, now),
        "sku": without_absent({"gpuModelId": pool.gpu_model_id, "cpuSku": pool.cpu_sku}),
        "createdAt": moment(pool.created_at),
    }


def _render_node(pool: NodePool, node: NodeRecord, now: float) -> dict[str, object]:
    has_joined = node.joined_at <= now
    return without_absent(
        {
            "id": node.id,
            "name": f"{pool.name}-{node.id[-6:]}",
            "nodePoolId": pool.id,
            "registrationStatus": "joined" if has_joined else "registered",
            "kubernetesStatus": "Ready" if node.is_ready(now) else "NotReady",
            "registeredAt": moment(node.registered_at),
            "joinedAt": rfc3339(node.joined_at) if has_joined else None,
            "publicIp": f"203.0.113.{int(node.id[-2:], 16)}",
        }
    )


HANDLERS = {
    "createKubernetesNodePool": create_pool,
    "listKubernetesNodePools": list_pools,
    "getKubernetesNodePool": get_pool,
    "scaleKubernetesNodePool": scale_pool,
    "deleteKubernetesNodePool": delete,
    "listKubernetesNodes": list_nodes,
    "getKubernetesNode": get_node,
    "deleteKubernetesNode": delete_node,
}
