"""What a client that closes does for its open leases: afterwards they could terminate nothing."""

from __future__ import annotations

import asyncio
from functools import partial

from openrelay_async.client_state import Shared, snapshot
from openrelay_async.uncancelled import carry_to_the_end


async def end_leases(shared: Shared, reason: str) -> None:
    """End what the leases of a client hold; no cancellation stops it. Their blocks go on without it.

    Args:
        reason: why further calls are refused.

    Raises:
        LeaseError: something could not be terminated and may still run. Notes name what else.
    """
    if shared.session.closed:
        return
    shared.refuse(reason)
    task, cancelled = await carry_to_the_end(partial(_end_all, shared))
    failures = task.result()
    if failures:
        for other in failures[1:]:
            failures[0].add_note(str(other))
        raise failures[0]
    if cancelled is not None:
        raise cancelled


async def _end_all(shared: Shared) -> list[Exception]:
    closings = (close() for close in snapshot(shared.leases.values()))
    results = await asyncio.gather(*closings, return_exceptions=True)
    return [result for result in results if isinstance(result, Exception)]
