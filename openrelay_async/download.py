"""Reading a file's content: into memory, chunk by chunk, or into a file."""

from __future__ import annotations

import asyncio
import errno
import os
import secrets
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator
from contextlib import aclosing
from pathlib import Path
from typing import Protocol

from openrelay_async.errors import InvalidResponse


class BodyStream(Protocol):
    """The body of an answer that is read as it comes."""

    def chunks(self) -> AsyncGenerator[bytes, None]:
        """Yield the body's bytes; closing the generator early closes the connection."""
        ...


class DownloadCall:
    """A download that has not been started yet.

    `await` gives the whole content as bytes (up to the client's `PoolLimits.max_body`), `async for` its
    chunks in constant memory, `save(path)` writes them to a file.
    """

    __slots__ = ("_largest", "_open", "_operation")

    def __init__(
        self, open_stream: Callable[[], Awaitable[BodyStream]], *, operation: str, largest: int
    ) -> None:
        self._open = open_stream
        self._operation = operation
        self._largest = largest

    def __repr__(self) -> str:
        return f"<DownloadCall {self._operation}: await it for bytes, iterate, or save(path)>"

    def __await__(self) -> Generator[object, None, bytes]:
        return self._read().__await__()

    def __aiter__(self) -> AsyncGenerator[bytes, None]:
        return self._chunks()

    async def _chunks(self) -> AsyncGenerator[bytes, None]:
        stream = await self._open()
        async with aclosing(stream.chunks()) as chunks:
            async for chunk in chunks:
                yield chunk

    async def _read(self) -> bytes:
        content = bytearray()
        async with aclosing(self._chunks()) as chunks:
            async for chunk in chunks:
                content += chunk
                if len(content) > self._largest:
                    raise InvalidResponse(
                        f"the content is larger than {self._largest} bytes: iterate over it, save it to a "
                        "file, or raise PoolLimits.max_body",
                        operation=self._operation,
                    )
        return bytes(content)

    async def save(self, path: str | os.PathLike[str]) -> Path:
        """Write the content to `path` and return it.

        The content goes to a file beside it first, which takes its name when it is complete: a download
        that breaks off leaves what was there before.

        Raises:
            OSError: the file cannot be written; what was there before stays.
        """
        target = Path(path)
        if await asyncio.to_thread(target.is_dir):
            # Now, not when everything has been loaded.
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(target))
        partial = target.with_name(f".{target.name[:100]}.{secrets.token_hex(8)}.partial")
        file = await asyncio.to_thread(partial.open, "wb")
        try:
            try:
                async with aclosing(self._chunks()) as chunks:
                    async for chunk in chunks:
                        await asyncio.to_thread(file.write, chunk)
            finally:
                await asyncio.to_thread(file.close)
            await asyncio.to_thread(os.replace, partial, target)
        except BaseException:
            partial.unlink(missing_ok=True)
            raise
        return target
