"""Lists that come in pages: one call object, awaited for everything or iterated in constant memory."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Generator
from contextlib import AbstractContextManager, aclosing, nullcontext
from typing import TYPE_CHECKING, Generic, TypeVar

from attrs import frozen

from openrelay_async.errors import ApiError, BadRequest, Gone, PaginationError, Unprocessable

if TYPE_CHECKING:
    from pandas import DataFrame

    from openrelay_async.operation import Operation

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)


@frozen
class Page(Generic[T]):
    """Some items of a list, and where it goes on."""

    items: list[T]
    next_cursor: str | None
    """Asks for the page after this one (`cursor=`); `None` on the last."""

    def _repr_html_(self) -> str:
        """Return the page as a table, for notebooks."""
        from openrelay_async.display import show_page  # only notebooks need it

        return show_page(self.items, self.next_cursor)

    def to_pandas(self) -> DataFrame:
        """Return the items as a pandas `DataFrame`, see `list_to_frame`."""
        from openrelay_async.frames import list_to_frame  # pandas is an extra

        return list_to_frame(self.items)


FetchPage = Callable[[str | None], Awaitable[Page[T]]]
"""Reads the page that a cursor asks for; `None` is the first."""


def _admit_all(_: Operation) -> AbstractContextManager[None]:
    return nullcontext()


class PagedCall(Generic[T_co]):
    """A list call that has not been sent yet.

    `await` gives every item as a list, `async for` streams them in constant memory, `pages()` gives one
    `Page` after the other, `first()` the first item or `None`. Each use starts from the beginning (or the
    `cursor` that the call was made with).

    `next_cursor` follows the use that runs, page by page, so that a list that broke off can be resumed: it
    asks for the first page that was not read. Who leaves in the middle of a page has had it as a whole:
    `pages()` lets a list be left between two of them.
    """

    __slots__ = ("_admit", "_cursor", "_fetch", "_max_items", "_operation", "_prefetch", "next_cursor")

    def __init__(
        self,
        fetch: FetchPage[T_co],
        *,
        operation: Operation,
        cursor: str | None = None,
        max_items: int | None = None,
        prefetch: bool = False,
        admit: Callable[[Operation], AbstractContextManager[None]] = _admit_all,
    ) -> None:
        """Take how pages are read.

        Args:
            admit: keeps a list that is awaited one call, for a client that drains meanwhile.

        Raises:
            TypeError, ValueError: `max_items` or `prefetch` is none.
        """
        if max_items is not None and (isinstance(max_items, bool) or not isinstance(max_items, int)):
            raise TypeError(f"max_items must be int or None, not {type(max_items).__name__}")
        if max_items is not None and max_items < 0:
            raise ValueError("max_items must not be negative")
        if not isinstance(prefetch, bool):
            raise TypeError(f"prefetch must be bool, not {type(prefetch).__name__}")
        self._admit = admit
        self._fetch = fetch
        self._operation = operation
        self._cursor = cursor
        self._max_items = max_items
        self._prefetch = prefetch
        self.next_cursor = cursor

    def __repr__(self) -> str:
        return f"<PagedCall {self._operation.id}: await it for a list, or iterate with `async for`>"

    def __await__(self) -> Generator[object, None, list[T_co]]:
        return self._collect().__await__()

    def __aiter__(self) -> AsyncIterator[T_co]:
        return self._items()

    async def first(self) -> T_co | None:
        """Return the first item, or `None` of an empty list; no page after the one that has it is read."""
        async with aclosing(self._items()) as items:
            async for item in items:
                return item
        return None

    async def to_pandas(self) -> DataFrame:
        """Return every item in a pandas `DataFrame`, see `list_to_frame`."""
        from openrelay_async.frames import list_to_frame  # pandas is an extra

        return list_to_frame(await self._collect())

    async def _collect(self) -> list[T_co]:
        collected: list[T_co] = []
        with self._admit(self._operation):
            async with aclosing(self.pages()) as pages:
                async for page in pages:
                    collected += page.items
        return collected

    async def _items(self) -> AsyncGenerator[T_co, None]:
        async with aclosing(self.pages()) as pages:
            async for page in pages:
                for item in page.items:
                    yield item
                del page  # before the next is read: memory for one page, which is still in the cache

    async def pages(self) -> AsyncGenerator[Page[T_co], None]:
        """Yield one page after the other; with `max_items`, the last one is cut to size.

        Raises:
            PaginationError: a cursor came a second time, or is no longer valid; `yielded` counts the items
                given before.
        """
        if self._max_items == 0:
            return
        cursor, yielded = self._cursor, 0
        seen: set[int] = set()  # hashes: a cursor may be long, and a list may have thousands
        upcoming: asyncio.Task[Page[T_co]] | None = None
        try:
            while True:
                self.next_cursor = cursor
                if cursor is not None:
                    seen.add(hash(cursor))
                page = await self._read(cursor, yielded) if upcoming is None else await upcoming
                upcoming = None
                following = page.next_cursor
                if following is not None and hash(following) in seen:
                    raise self._broken("the service gave the same cursor twice", following, yielded)
                if self._max_items is not None and yielded + len(page.items) >= self._max_items:
                    items = page.items[: self._max_items - yielded]
                    # Where the page was cut, its own cursor: from it nothing is lost.
                    self.next_cursor = following if len(items) == len(page.items) else cursor
                    yield Page(items, self.next_cursor)
                    return
                if following is not None and self._prefetch:
                    upcoming = asyncio.ensure_future(self._read(following, yielded + len(page.items)))
                self.next_cursor = following
                yielded += len(page.items)
                yield page
                del page  # the caller's now
                if following is None:
                    return
                cursor = following
        finally:
            if upcoming is not None:
                upcoming.cancel()
                await asyncio.gather(upcoming, return_exceptions=True)

    async def _read(self, cursor: str | None, yielded: int) -> Page[T_co]:
        try:
            return await self._fetch(cursor)
        except (BadRequest, Gone, Unprocessable) as error:
            if cursor is None or not _blames_cursor(error, resumed=yielded == 0):
                raise
            refusal = error
        # Ours, so it may be chained: it holds no secret and no response.
        raise self._broken("the cursor is no longer valid", cursor, yielded, refusal) from refusal

    def _broken(
        self, message: str, cursor: str, yielded: int, cause: ApiError | None = None
    ) -> PaginationError:
        operation = self._operation
        error = PaginationError(
            f"{message} (after {yielded} items)",
            **operation.facts(),
        )
        if cause is not None:
            error._with_facts_of(cause)
        return error._with(yielded=yielded, cursor=cursor)


def _blames_cursor(error: ApiError, *, resumed: bool) -> bool:
    """Return whether a refused page is the cursor's fault.

    In the middle of a list nothing but the cursor differs from the request that worked before. A list
    that is resumed may also be refused for another argument: there the answer must say so.
    """
    if isinstance(error, Gone) or not resumed:
        return True
    return "cursor" in f"{error.code} {error.message}".lower()
