"""What a call waits for before it is sent, or sent again; and its end, if that does not come.

All of these waits end when the client is closed.
"""

from __future__ import annotations

import asyncio
import math
from typing import NamedTuple

from openrelay_async.call_events import tell_queued
from openrelay_async.client_state import Shared
from openrelay_async.clock import Clock
from openrelay_async.errors import ConnectionFailed, LocalQueueTimeout, RequestTimeout
from openrelay_async.loop_pool import LoopPool
from openrelay_async.messages import HttpRequest
from openrelay_async.pacing import Governor
from openrelay_async.retry import RetryPolicy


class Progress(NamedTuple):
    """How far a call has come when it is decided what follows."""

    attempt: int
    deadline: float
    maybe_applied: bool


async def await_turn(
    shared: Shared,
    pool: LoopPool,
    governor: Governor,
    request: HttpRequest,
    progress: Progress,
    policy: RetryPolicy,
) -> bool:
    """Wait until the service takes another request, as far as its refusals have shown.

    Returns:
        Whether its turn has come. Its time may be too short for that, or `policy` for a pause that the
        service has asked for: neither is waited for in vain.
    """
    tell_queued(shared.hooks, request, governor.waiting, "pacing")
    remaining = progress.deadline - shared.clock.monotonic()
    if governor.blocked_for() > min(remaining, policy.max_retry_after):
        return False
    limit = asyncio.timeout(None if remaining == math.inf else remaining)
    try:
        async with limit:
            pool.waits.add(limit)
            await governor.enter(again=progress.attempt > 1)
    except TimeoutError:
        return False
    finally:
        pool.waits.discard(limit)
    # It may have come together with the end of the client, or of the call's time.
    return not pool.connector.closed and shared.clock.monotonic() < progress.deadline


async def await_next_attempt(pool: LoopPool, governor: Governor, clock: Clock, delay: float) -> None:
    """Sleep for so many seconds, or until the client is closed."""
    until = governor.now() + delay
    limit = asyncio.timeout(None)
    try:
        async with limit:
            pool.waits.add(limit)
            await clock.sleep(delay)
    except TimeoutError:
        return
    finally:
        pool.waits.discard(limit)
    governor.note_sleep(until)


def miss_turn(
    pool: LoopPool, governor: Governor, request: HttpRequest, progress: Progress
) -> ConnectionFailed:
    """Return the error of a call whose turn does not come in its time."""
    message = (
        "the service limits the rate of requests, and this call's turn does not come within its time "
        f"({governor.waiting} calls wait)"
    )
    error = _unsent(pool, LocalQueueTimeout, message, request, progress)
    if isinstance(error, LocalQueueTimeout):
        error.retry_after = governor.blocked_for() or None
    return error


def miss_place(
    shared: Shared, pool: LoopPool, remaining: float, request: HttpRequest, progress: Progress
) -> ConnectionFailed:
    """Return the error of a call that stood in the queue for a connection for all of its `remaining` time."""
    return _unsent(pool, LocalQueueTimeout, shared.session.describe_queue(remaining), request, progress)


def cut_short(pool: LoopPool, request: HttpRequest, progress: Progress) -> ConnectionFailed:
    """Return the error of a call that slept too long to be sent again, or whose client ended meanwhile."""
    message = "the call's time was up before it could be sent again"
    return _unsent(pool, RequestTimeout, message, request, progress)


def _unsent(
    pool: LoopPool, kind: type[ConnectionFailed], message: str, request: HttpRequest, progress: Progress
) -> ConnectionFailed:
    is_closed = pool.connector.closed
    operation = request.operation
    return (ConnectionFailed if is_closed else kind)(
        "the client was closed" if is_closed else message,
        **operation.facts(),
        # Not this one; an earlier one may have acted.
        attempts=progress.attempt - 1,
        maybe_applied=progress.maybe_applied,
        idempotency_key=request.idempotency_key,
    )
