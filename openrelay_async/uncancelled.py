"""Work that must not be left half done, whatever happens to the one who waits for it."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import TypeVar

T = TypeVar("T")


async def carry_through(
    work: Coroutine[object, object, T],
) -> tuple[asyncio.Task[T], asyncio.CancelledError | None]:
    """Run to its end what no cancellation of the caller may stop.

    Returns:
        The task, which has ended, and the last cancellation that came meanwhile: the caller raises it when
        the rest is in order.
    """
    task = asyncio.ensure_future(work)
    cancelled: asyncio.CancelledError | None = None
    while not task.done():
        try:
            await asyncio.wait([task])
        except asyncio.CancelledError as error:
            cancelled = error
    return task, cancelled
