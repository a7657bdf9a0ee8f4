"""Making and changing node pools: room in the fleet, usage, records."""

from __future__ import annotations

import attrs

from openrelay_async.emulator.answers import bad_request
from openrelay_async.emulator.areas.billing.ledger import require_credit
from openrelay_async.emulator.areas.catalog.rules import CPU_SIZES
from openrelay_async.emulator.areas.catalog.storage import release
from openrelay_async.emulator.areas.kubernetes import rules
from openrelay_async.emulator.areas.kubernetes.rules import NodeRecord
from openrelay_async.emulator.areas.kubernetes.storage import NODE_POOLS, KubernetesCluster, NodePool
from openrelay_async.emulator.areas.vms.ordering import Hardware, read_hardware, take_room
from openrelay_async.emulator.call import Call
from openrelay_async.emulator.fields import Fields, check_label
from openrelay_async.emulator.lifecycle import begin, then
from openrelay_async.emulator.metering import end_span, write_spans
from openrelay_async.emulator.storage import Database


def add_pool(call: Call, cluster: KubernetesCluster, order: Fields, field: str, *, starts: float) -> NodePool:
    """A new pool whose nodes come from `starts` on.

    Raises:
        Refusal: 400 naming the field under `field`, 503 without room.
    """
    name = check_label(order.text("name"), f"{field}name")
    pools = NODE_POOLS.find(call.database, cluster_id=cluster.id)
    if any(pool.name == name and not rules.is_gone(pool, call.now) for pool in pools):
        raise bad_request(f"{field}name", "is taken in this cluster", "NAME_TAKEN")
    count = order.integer("count")
    if not 0 <= count <= rules.MOST_NODES:
        raise bad_request(f"{field}count", f"must be from 0 to {rules.MOST_NODES}")
    sku = order.fields("sku") or Fields({})
    gpu_model_id, cpu_sku = sku.optional_text("gpuModelId"), sku.optional_text("cpuSku")
    if (gpu_model_id is None) == (cpu_sku is None):
        raise bad_request(f"{field}sku", "must have either gpuModelId or cpuSku")
    pool = NodePool(
        id=call.new_id("np_"),
        org_id=cluster.org_id,
        cluster_id=cluster.id,
        name=name,
        created_at=call.now,
        timeline=begin(call.now, "creating"),
        nodes=[],
        gpu_model_id=gpu_model_id,
        cpu_sku=cpu_sku,
    )
    NODE_POOLS.insert(call.database, pool)
    return grow(call, pool, count, starts=starts)


def _hardware(call: Call, pool: NodePool) -> Hardware:
    if pool.cpu_sku is not None:
        if pool.cpu_sku not in CPU_SIZES:
            raise bad_request("sku.cpuSku", f"must be one of {', '.join(CPU_SIZES)}")
        return read_hardware(call, Fields({"resourceSize": pool.cpu_sku}), "verified")
    kind = call.settings.fleet.kind(pool.gpu_model_id or "")
    if kind is None:
        raise bad_request("sku.gpuModelId", "is not in the catalog", "UNKNOWN_GPU_MODEL")
    # A worker is a whole machine of its model.
    order = {"gpuModelId": kind.id, "gpuCount": kind.node_size}
    return read_hardware(call, Fields(order), "verified")


def grow(call: Call, pool: NodePool, count: int, *, starts: float) -> NodePool:
    """Add `count` nodes, one a second.

    Raises:
        Refusal: 402 without money, 503 without room.
    """
    hardware = _hardware(call, pool)
    if count:
        require_credit(call.database, pool.org_id, call.now)
    nodes = rules.list_node_records(pool)
    for number in range(count):
        node_id = call.new_id("node_")
        host = take_room(call, node_id, hardware)
        registered = starts + rules.REGISTERING + number
        node = NodeRecord(node_id, host.id, call.now, registered)
        nodes.append(node)
        item = pool.gpu_model_id or f"cpu-{pool.cpu_sku}"
        price = hardware.price_per_hour_cents
        write_spans(call.database, pool.org_id, node_id, item, price, [(node.joined_at, None)])
    return NODE_POOLS.update(call.database, attrs.evolve(pool, nodes=rules.pack_nodes(nodes)))


def remove(database: Database, pool: NodePool, node_ids: set[str], now: float) -> NodePool:
    """Take nodes away: they cost nothing from now on, and are gone in a moment."""
    gone_at = now + rules.DELETING
    nodes = [
        attrs.evolve(node, removed_at=gone_at) if node.id in node_ids and node.removed_at is None else node
        for node in rules.list_node_records(pool)
    ]
    for node_id in node_ids:
        release(database, node_id)
        end_span(database, node_id, now)
    return NODE_POOLS.update(database, attrs.evolve(pool, nodes=rules.pack_nodes(nodes)))


def delete_pool(call: Call, pool: NodePool) -> NodePool:
    pool = remove(call.database, pool, {node.id for node in rules.wanted_nodes(pool)}, call.now)
    return NODE_POOLS.update(
        call.database, attrs.evolve(pool, timeline=then(pool.timeline, call.now, "deleting"))
    )
