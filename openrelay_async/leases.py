"""Leases: what is created for a time and always terminated, and what is left of crashed processes.

The record is a file that outlives the process:

    async with client.vms.lease(name="job", gpu_model_id="rtx-4090", record="leases.jsonl") as vm:
        ...
    await leases.sweep(client, "leases.jsonl")   # on another day: ends what a crash has left
"""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable

from attrs import frozen

from openrelay_async.client import AsyncClient
from openrelay_async.errors import LeaseError, NotFound, OpenRelayError
from openrelay_async.lease import Lease as Lease
from openrelay_async.lease_record import LeaseLine, LeaseRecord, ended
from openrelay_async.lease_search import (
    CLOCK_MARGIN,
    NamedLiving,
    describe_ids,
    list_by_name,
    was_created_within,
)
from openrelay_async.pagination import PagedCall


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
            resource_id = line.id or await _find(client, line, leases.read_ids())
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


async def _find(client: AsyncClient, line: LeaseLine, known: set[str]) -> str | None:
    """Return the id of what a lease has created that crashed before it knew the id, `None` if it did not.

    Args:
        known: ids of other leases, which it is not.

    Raises:
        LeaseError: it cannot be told which of several it is.
    """
    listed: PagedCall[NamedLiving]
    if line.kind == "clusters":
        listed = client.clusters.list(org_id=line.org_id)
    elif line.kind == "pods":
        listed = client.pods.list()
    else:
        listed = client.vms.list(org_id=line.org_id)
    # Without knowing what was there before, the time must tell; the service's has whole seconds at worst.
    margin, excluded = (5.0, known) if line.before is None else (CLOCK_MARGIN, {*known, *line.before})
    ids = [
        item.id
        for item in (await list_by_name(listed)).get(line.name, ())
        if item.id not in excluded and was_created_within(item, line.began_at - margin, line.latest)
    ]
    if len(ids) > 1:
        raise LeaseError(
            f"what the crashed lease {line.name!r} created cannot be told from what others did: none of "
            f"{describe_ids(ids)} was ended",
            details={"candidates": ids},
        )._with(resource_name=line.name)
    return ids[0] if ids else None
