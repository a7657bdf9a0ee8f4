"""What leases of crashed processes have left running: `sweep(client, "leases.jsonl")` ends it."""

from __future__ import annotations

import os

from openrelay_async import leases
from openrelay_async.leases import SweptLease as SweptLease
from openrelay_sync.client import Client


def sweep(client: Client, record: str | os.PathLike[str]) -> list[SweptLease]:
    """Terminate what leases of crashed processes have left running.

    Leases of processes that are alive on this machine, or that ran on another one, are let alone.

    Args:
        record: the file that the leases were given.

    Returns:
        One entry for each lease that was found open; those with an `error` still need attention.
    """
    return client._bridge.run(leases.sweep(client._async_client, record))
