"""Many calls at once, with results and errors apart: one failure does not lose the others."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Coroutine, Iterable, Iterator
from typing import Generic, TypeVar

from attrs import field, frozen

from openrelay_async.config import check_integer

T = TypeVar("T")


@frozen
class BulkResult(Generic[T]):
    """What became of each call, by its position in what was given."""

    results: dict[int, T] = field(factory=dict[int, T])
    errors: dict[int, Exception] = field(factory=dict[int, Exception])

    def raise_first(self) -> None:
        """Raise the error of the first call that failed, if one did."""
        if self.errors:
            raise self.errors[min(self.errors)]


async def bulk(calls: Iterable[Awaitable[T]], *, limit: int = 100) -> BulkResult[T]:
    """Run calls, no more than `limit` at a time, and return what became of each.

    `calls` is read as calls end, so a generator of a million takes no more memory than its results:

        await bulk((client.vms.get(id) for id in ids), limit=200)

    Cancelling it cancels the calls that run; those not begun are not sent.
    """
    check_integer("limit", limit, minimum=1)
    outcome: BulkResult[T] = BulkResult()
    upcoming = enumerate(calls)
    workers = [asyncio.ensure_future(_work(upcoming, outcome)) for _ in range(limit)]
    try:
        await asyncio.gather(*workers)
    finally:
        for worker in workers:
            worker.cancel()
        await asyncio.gather(*workers, return_exceptions=True)
        if isinstance(calls, list | tuple):
            for _, call in upcoming:
                if isinstance(call, Coroutine):
                    call.close()
    return outcome


async def _work(upcoming: Iterator[tuple[int, Awaitable[T]]], outcome: BulkResult[T]) -> None:
    for position, call in upcoming:
        try:
            outcome.results[position] = await call
        except Exception as error:  # whatever it is belongs to this call alone
            outcome.errors[position] = error
