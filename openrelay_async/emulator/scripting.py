"""What a test may let happen to a resource, that no operation of the service does."""

from __future__ import annotations

import attrs

from openrelay_async.emulator.areas.catalog.storage import release
from openrelay_async.emulator.areas.clusters import rules as cluster_rules
from openrelay_async.emulator.areas.clusters.saving import save_cluster
from openrelay_async.emulator.areas.clusters.storage import CLUSTERS
from openrelay_async.emulator.areas.provider import rules as provider_rules
from openrelay_async.emulator.areas.provider.storage import PROVIDER_NODES, PROVISIONING_TOKENS, ProviderNode
from openrelay_async.emulator.areas.runners import rules as runner_rules
from openrelay_async.emulator.areas.runners.storage import RUNNER_JOBS, RUNNER_POOLS, RunnerJob
from openrelay_async.emulator.areas.vms import rules as vm_rules
from openrelay_async.emulator.areas.vms.saving import save_vm
from openrelay_async.emulator.areas.vms.storage import VMS
from openrelay_async.emulator.arguments import (
    find_flag_problem,
    find_integer_problem,
    find_text_problem,
    find_time_problem,
    require,
)
from openrelay_async.emulator.storage import Database, EmulatorError
from openrelay_async.emulator.vault import hash_token

_MOST_GPUS = 1_000


def move_vm(
    database: Database, vm_id: str, status: str, reason: str | None, after: float, now: float
) -> None:
    """A VM or pod comes into `status` in `after` seconds. What was to come after that is dropped."""
    require("vm_id", find_text_problem(vm_id))
    require("status", find_text_problem(status))
    if reason is not None:
        require("reason", find_text_problem(reason, is_blank_allowed=True))
    require("after", find_time_problem(after))
    at = now + after
    vm = VMS.get(database, vm_id)
    if vm is None:
        raise EmulatorError(f"there is no VM {vm_id}")
    # A real service may say a status that nobody has heard of: any text is accepted, for tests of that.
    save_vm(database, vm_rules.move(vm, status, reason, at), now)
    if status in ("failed", "terminated", "stopped"):
        release(database, vm_id, at)


def add_runner_job(
    database: Database, pool_id: str, repository: str, size: str, lasting: float, now: float, *, fails: bool
) -> str:
    """A job comes in from GitHub; its id."""
    for name, value in (("pool_id", pool_id), ("repository", repository), ("size", size)):
        require(name, find_text_problem(value))
    require("lasting", find_time_problem(lasting))
    require("fails", find_flag_problem(fails))
    pool = RUNNER_POOLS.get(database, pool_id)
    if pool is None or size not in runner_rules.SIZES:
        raise EmulatorError(f"there is no runner pool {pool_id}, or no size {size}")
    cpus, ram = runner_rules.SIZES[size]
    timeline = runner_rules.job_timeline(now, lasting, fails=fails)
    job = RunnerJob(database.new_id("job_"), pool.org_id, pool.id, repository, size, cpus, ram, timeline)
    return RUNNER_JOBS.insert(database, job).id


def enroll_node(database: Database, token: str, gpu_model_id: str, gpus: int, now: float) -> str:
    """A machine comes with a provisioning token, as its bootstrap script would let it; the id of the node."""
    require("token", find_text_problem(token))
    require("gpu_model_id", find_text_problem(gpu_model_id))
    require("gpus", find_integer_problem(gpus, least=0, most=_MOST_GPUS))
    found = PROVISIONING_TOKENS.find(database, token_hash=hash_token(token))
    if not found or provider_rules.token_status(found[0], now) != "active":
        raise EmulatorError("that is no good provisioning token")
    record = found[0]
    node_id = database.new_id("node_")
    node = ProviderNode(
        node_id, record.org_id, f"{node_id}.example", gpu_model_id, gpus, record.node_type, now
    )
    PROVIDER_NODES.insert(database, node)
    used = attrs.evolve(record, used_at=now, used_by=[*record.used_by, node_id])
    PROVISIONING_TOKENS.update(database, used)
    return node_id


def sicken_replica(
    database: Database, cluster_id: str, index: int, after: float, lasting: float | None, now: float
) -> None:
    """A replica is unhealthy in `after` seconds."""
    require("cluster_id", find_text_problem(cluster_id))
    require("index", find_integer_problem(index))
    require("after", find_time_problem(after))
    if lasting is not None:
        require("lasting", find_time_problem(lasting))
    since = now + after
    cluster = CLUSTERS.get(database, cluster_id)
    if cluster is None or not 0 <= index < len(cluster.replicas):
        raise EmulatorError(f"there is no replica {index} of cluster {cluster_id}")
    until = None if lasting is None else since + lasting
    save_cluster(database, cluster_rules.sicken(cluster, index, since, until), now)
