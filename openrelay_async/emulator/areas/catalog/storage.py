"""Which part of the fleet is taken, and by what."""

from __future__ import annotations

from openrelay_async.emulator.answers import Refusal
from openrelay_async.emulator.fleet import CPU_NODE, Fleet, Node, place
from openrelay_async.emulator.storage import Database

TABLES = (
    "CREATE TABLE allocations (resource_id TEXT NOT NULL, node_id TEXT NOT NULL, gpus INTEGER NOT NULL, "
    "vcpus INTEGER NOT NULL, until REAL)",
    "CREATE INDEX allocations_resource ON allocations (resource_id)",
)


def used_gpus(database: Database, now: float) -> dict[str, int]:
    """Node → GPUs that are taken."""
    return _used(database, "SELECT node_id, SUM(gpus) FROM allocations", now)


def used_vcpus(database: Database, now: float) -> dict[str, int]:
    """Node → CPUs that are taken."""
    return _used(database, "SELECT node_id, SUM(vcpus) FROM allocations", now)


def _used(database: Database, select: str, now: float) -> dict[str, int]:
    rows = database.execute(f"{select} WHERE until IS NULL OR until > ? GROUP BY node_id", (now,))
    return {str(node): int(count) for node, count in rows}


def allocate_gpus(
    database: Database, fleet: Fleet, resource_id: str, model_id: str, gpus: int, now: float
) -> Node:
    """Take `gpus` of a model on one node.

    Raises:
        Refusal: 503 `INSUFFICIENT_GPU_CAPACITY` when no node has that many left.
    """
    node = place(fleet.with_model(model_id), used_gpus(database, now), gpus)
    if node is None:
        raise Refusal(503, f"no node has {gpus} {model_id} free now", "INSUFFICIENT_GPU_CAPACITY")
    _insert(database, resource_id, node, gpus, gpus * 16)
    return node


def allocate_cpus(database: Database, fleet: Fleet, resource_id: str, vcpus: int, now: float) -> Node:
    """Take CPUs of the machine without GPUs.

    Raises:
        Refusal: 503 `INSUFFICIENT_CPU_CAPACITY`.
    """
    node = fleet.node(CPU_NODE)
    if node is None or node.vcpus - used_vcpus(database, now).get(CPU_NODE, 0) < vcpus:
        raise Refusal(503, f"no node has {vcpus} CPUs free now", "INSUFFICIENT_CPU_CAPACITY")
    _insert(database, resource_id, node, 0, vcpus)
    return node


def _insert(database: Database, resource_id: str, node: Node, gpus: int, vcpus: int) -> None:
    database.execute("INSERT INTO allocations VALUES (?, ?, ?, ?, NULL)", (resource_id, node.id, gpus, vcpus))


def release(database: Database, resource_id: str, at: float | None = None) -> None:
    """Give back what a resource holds: now, or from a time on."""
    if at is None:
        database.execute("DELETE FROM allocations WHERE resource_id = ?", (resource_id,))
    else:
        database.execute("UPDATE allocations SET until = ? WHERE resource_id = ?", (at, resource_id))
