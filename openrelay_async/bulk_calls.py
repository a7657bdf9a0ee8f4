"""Many calls at once, with results and errors apart: one failure does not lose the others."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Coroutine, Iterable, Iterator
from operator import itemgetter, length_hint
from typing import Generic, NamedTuple, TypeVar

from openrelay_async.config import check_integer
from openrelay_async.errors import OpenRelayError

T = TypeVar("T")
V = TypeVar("V")


class BulkResult(NamedTuple, Generic[T]):
    """What became of each call, by its position in what was given, and in that order."""

    results: dict[int, T]
    errors: dict[int, Exception]

    def raise_first(self) -> None:
        """Raise the error of the first call that failed, if one did."""
        if self.errors:
            raise self.errors[min(self.errors)]


async def bulk(calls: Iterable[Awaitable[T]], *, limit: int = 100) -> BulkResult[T]:
    """Run calls, no more than `limit` at a time, and return what became of each.

    `calls` is read as calls end, so a generator of a million takes no more memory than its results:

        results, errors = await bulk((client.vms.get(id) for id in ids), limit=200)

    Cancelling it cancels the calls that run; those not begun are not sent.

    Args:
        calls: calls that have not been awaited.
        limit: most calls at a time.

    Returns:
        The results and the errors of the calls, by their position.

    Raises:
        ConfigurationError: `limit` is no integer above zero.
        Exception: what reading `calls` raises; what a call raises is in `errors`.
    """
    check_integer("limit", limit, minimum=1)
    outcome: BulkResult[T] = BulkResult({}, {})
    upcoming = enumerate(calls)
    count = min(limit, length_hint(calls, limit))
    workers = [asyncio.ensure_future(_work(upcoming, outcome)) for _ in range(count)]
    try:
        await asyncio.gather(*workers)
    finally:
        for worker in workers:
            worker.cancel()
        await asyncio.gather(*workers, return_exceptions=True)
        if not isinstance(calls, Iterator):
            # They exist already: closed, they do not complain that nobody awaited them.
            for _, call in upcoming:
                if isinstance(call, Coroutine):
                    call.close()
    return BulkResult(_by_position(outcome.results), _by_position(outcome.errors))


def _by_position(found: dict[int, V]) -> dict[int, V]:
    """Return the same in the order of the calls, not in that of their ends."""
    return dict(sorted(found.items(), key=itemgetter(0)))


async def _work(upcoming: Iterator[tuple[int, Awaitable[T]]], outcome: BulkResult[T]) -> None:
    for position, call in upcoming:
        try:
            outcome.results[position] = await call
        except asyncio.CancelledError:
            worker = asyncio.current_task()
            if worker is None or worker.cancelling():
                raise
            # Not this bulk was cancelled, but what the call was waiting for.
            outcome.errors[position] = OpenRelayError("the call was cancelled")
        except Exception as error:  # whatever it is belongs to this call alone
            outcome.errors[position] = error
