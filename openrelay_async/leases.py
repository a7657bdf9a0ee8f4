"""Leases: what is created for a time and always terminated, and what is left of crashed processes.

async with client.vms.lease(name="job", gpu_model_id="rtx-4090", record="leases.jsonl") as vm:
    ...
await leases.sweep(client, "leases.jsonl")   # on another day: ends what a crash has left
"""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable

from attrs import frozen

from openrelay_async.client import AsyncClient
from openrelay_async.errors import NotFound, OpenRelayError
from openrelay_async.lease import Lease as Lease
from openrelay_async.lease import find_named
from openrelay_async.lease_record import LeaseLine, LeaseRecord, ended


@frozen
class SweptLease:
    """What became of a lease that was found open."""

    kind: str
    name: str
    id: str | None
    """`None` if nothing of it exists."""
    error: OpenRelayError | None = None
    """Why it could not be ended; it stays in the record, for the next sweep."""


async def sweep(client: AsyncClient, record: str | os.PathLike[str]) -> list[SweptLease]:
    """Terminate what leases of crashed processes have left running.

    Leases of processes that are alive on this machine, or that ran on another one, are let alone.

    Args:
        record: the file that the leases were given.

    Returns:
        One entry for each lease that was found open; those with an `error` still need attention.
    """
    leases = LeaseRecord(record)
    swept: list[SweptLease] = []
    for line in leases.read_open():
        if line.is_running():
            continue
        resource_id, error = line.id, None
        try:
            resource_id = line.id or await _find(client, line)
            if resource_id is not None:
                await _terminator(client, line.kind)(resource_id)
        except NotFound:
            pass
        except OpenRelayError as failure:
            error = failure
        if error is None:
            leases.write(ended(line))
        swept.append(SweptLease(line.kind, line.name, resource_id, error))
    return swept


def _terminator(client: AsyncClient, kind: str) -> Callable[[str], Awaitable[object]]:
    return client.clusters.terminate if kind == "clusters" else client.vms.terminate


async def _find(client: AsyncClient, line: LeaseLine) -> str | None:
    since = line.began_at - 5.0
    if line.kind == "clusters":
        cluster = await find_named(client.clusters.list(org_id=line.org_id), line.name, since)
        return cluster.id if cluster else None
    if line.kind == "pods":
        pod = await find_named(client.pods.list(), line.name, since)
        return pod.id if pod else None
    vm = await find_named(client.vms.list(org_id=line.org_id), line.name, since)
    return vm.id if vm else None
