"""Paged lists and downloads for `for` loops: one crossing for a page, or for a chunk."""

from __future__ import annotations

import os
from collections.abc import AsyncGenerator, Awaitable, Generator, Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Generic, TypeVar

from openrelay_async.errors import BridgeError
from openrelay_async.pagination import Page, PagedCall
from openrelay_sync.resource import Bridge

if TYPE_CHECKING:
    from pandas import DataFrame

    from openrelay_async.download import DownloadCall

T = TypeVar("T")


def iterate(bridge: Bridge, steps: AsyncGenerator[T, None]) -> Generator[T, None, None]:
    """Yield what an async generator yields. It is closed when the loop is left, early or not."""
    is_over = False
    try:
        while True:
            try:
                item = bridge.run(_advance(steps))
            except StopAsyncIteration:
                is_over = True
                return
            yield item
    finally:
        if not is_over:
            # BridgeError: the loop is gone, and the generator with it. RuntimeError: a step that was
            # interrupted is still cleaning up. Neither may hide why the iteration ends.
            with suppress(BridgeError, RuntimeError):
                bridge.run(_close(steps))


async def _advance(steps: AsyncGenerator[T, None]) -> T:
    # `__anext__` must be called in the loop's thread: it tells the running loop of the generator.
    return await steps.__anext__()


async def _close(steps: AsyncGenerator[object, None]) -> None:
    await steps.aclose()


class SyncPagedCall(Generic[T]):
    """A list call that has not been sent yet.

    `for` streams the items in constant memory, `all()` gives every item as a list, `pages()` one `Page`
    after the other, `first()` the first item or `None`. Each use starts from the beginning (or the `cursor`
    that the call was made with).
    """

    __slots__ = ("_bridge", "_call")

    def __init__(self, bridge: Bridge, call: PagedCall[T]) -> None:
        self._bridge = bridge
        self._call = call

    def __repr__(self) -> str:
        return f"<Sync{repr(self._call)[1:].partition(':')[0]}: iterate with `for`, or all() for a list>"

    @property
    def next_cursor(self) -> str | None:
        """Where the use that runs goes on: a list that broke off can be resumed from it (`cursor=`)."""
        return self._call.next_cursor

    def __iter__(self) -> Iterator[T]:
        with closing(iterate(self._bridge, self._call.pages())) as pages:
            for page in pages:
                yield from page.items

    def all(self) -> list[T]:
        """Return every item."""
        return self._bridge.run(_await(self._call))

    def pages(self) -> Generator[Page[T], None, None]:
        """Yield one page after the other; with `max_items`, the last one is cut to size.

        Raises:
            PaginationError: a cursor came a second time, or is no longer valid; `yielded` counts the items
                given before.
        """
        return iterate(self._bridge, self._call.pages())

    def to_pandas(self) -> DataFrame:
        """Return every item in a pandas `DataFrame`, see `list_to_frame`."""
        from openrelay_async.frames import list_to_frame  # pandas is an extra

        return list_to_frame(self.all())

    def first(self) -> T | None:
        """Return the first item, or `None` of an empty list; no page after the one that has it is read."""
        return self._bridge.run(self._call.first())


class SyncDownload:
    """A download that has not been started yet.

    `read()` or `bytes(…)` gives the whole content (up to the client's `PoolLimits.max_body`), `for` its
    chunks in constant memory, `save(path)` writes them to a file.
    """

    __slots__ = ("_bridge", "_call")

    def __init__(self, bridge: Bridge, call: DownloadCall) -> None:
        self._bridge = bridge
        self._call = call

    def __repr__(self) -> str:
        return f"<SyncDownload of {self._call!r}>"

    def __iter__(self) -> Iterator[bytes]:
        return iterate(self._bridge, aiter(self._call))

    def read(self) -> bytes:
        """Return the whole content.

        Raises:
            InvalidResponse: it is larger than `PoolLimits.max_body`.
        """
        return self._bridge.run(_await(self._call))

    def __bytes__(self) -> bytes:
        """Return the whole content, as `read()` does."""
        return self.read()

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write the content to `path` and return it; what was there stays until the content is complete."""
        return self._bridge.run(self._call.save(path))


async def _await(call: Awaitable[T]) -> T:
    return await call
