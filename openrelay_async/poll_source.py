"""How the resources of a kind are read, which errors of reading may pass, and what mistakes become."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

from attrs import frozen

from openrelay_async.errors import (
    ConnectionFailed,
    InvalidResponse,
    NotFound,
    OpenRelayError,
    PaginationError,
    RateLimited,
    ServerError,
)
from openrelay_async.lifecycles import Lifecycle
from openrelay_async.operation import Operation
from openrelay_async.pagination import Page, PagedCall
from openrelay_async.waiting import Living

R = TypeVar("R", bound=Living)


@frozen(eq=False)
class Reading(Generic[R]):
    """How one resource is read."""

    operation: Operation
    read: Callable[[str], Awaitable[R]]


@frozen(eq=False)
class Source(Generic[R]):
    """How the resources of a kind are read."""

    lifecycle: Lifecycle
    operation: Operation
    """The list's; stands for all of it in events."""
    pages: Callable[[int], PagedCall[R]]
    """The list, with so many items a page."""
    read: Reading[R] | None = None
    """One resource, as lists show it."""
    read_full: Reading[R] | None = None
    """One resource with everything."""
    read_reason: Reading[Living] | None = None
    """One resource with the reason of its state, where what waits give does not have it."""
    largest_page: int = 1000

    def reads_singly(self) -> bool:
        return self.read is not None or self.read_full is not None

    def reading(self, *, full: bool) -> Reading[R] | None:
        """Return how one resource is read, as far as possible in the wanted shape."""
        wanted = self.read_full if full else self.read
        return wanted or self.read or self.read_full

    def absent(self, id: str) -> NotFound:
        """Return the error of an id that a complete list does not have."""
        operation = self.operation
        return NotFound(
            f"no {self.lifecycle.noun} {id} is listed",
            status=404,
            **operation.facts(),
        )


def one_page(operation: Operation, read: Callable[[], Awaitable[list[R]]]) -> Callable[[int], PagedCall[R]]:
    """Return a list that the service gives whole, for `Source.pages`."""

    async def fetch(_: str | None) -> Page[R]:
        return Page(await read(), None)

    return lambda _: PagedCall(fetch, operation=operation)


def may_pass(error: OpenRelayError) -> bool:
    """Return whether the next poll may well succeed."""
    if isinstance(error, ServerError):
        return error.status != 501
    return isinstance(error, ConnectionFailed | RateLimited | InvalidResponse | PaginationError)


def make_polling_error(error: Exception) -> OpenRelayError:
    """Return the error of waits that end by a mistake, of the library or of the caller: that is its cause."""
    ended = OpenRelayError(f"polling failed: {type(error).__name__}")
    ended.__cause__ = error
    return ended
