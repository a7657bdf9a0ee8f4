"""A file on its way to the service as multipart/form-data (RFC 7578), read while it is sent."""

from __future__ import annotations

import asyncio
import io
import os
import secrets
from collections.abc import AsyncGenerator, Mapping
from pathlib import Path
from typing import BinaryIO

from openrelay_async.redaction import Secret

FileSource = str | os.PathLike[str] | bytes | BinaryIO
"""A file to upload: a path, the bytes themselves, or a binary file object (read from where it stands)."""

_CHUNK = 64 * 1024
"""Bytes read at a time. An idle limit must not end an upload that moves, so a chunk has to be small enough to
get through a slow line in that time: at 20 s this one needs 3 KiB/s."""


class Upload:
    """A form with one file. Each attempt reads it anew; a stream that cannot be rewound is sent once."""

    __slots__ = ("_boundary", "_form", "_size", "_source", "_start", "filename")

    def __init__(
        self, source: FileSource, *, filename: str | None = None, form: Mapping[str, str | Secret]
    ) -> None:
        if isinstance(source, str | os.PathLike):
            source = Path(source)
            if not source.is_file():
                raise FileNotFoundError(f"no file to upload at {str(source)!r}")
        elif not isinstance(source, bytes) and not callable(getattr(source, "read", None)):
            raise TypeError(
                f"file must be a path, bytes or a binary file object, not {type(source).__name__}"
            )
        elif isinstance(source, io.TextIOBase):
            raise TypeError("file must be opened in binary mode: open(path, 'rb')")
        if filename is not None and not isinstance(filename, str):
            raise TypeError(f"filename must be str, not {type(filename).__name__}")
        self._source: Path | bytes | BinaryIO = source
        self._start = _position(source)
        self._size = _measure(source, self._start)
        self._form = dict(form)
        self._boundary = secrets.token_hex(16)
        self.filename = filename or _name_of(source)

    def __repr__(self) -> str:
        return f"<Upload of {self.filename!r}>"

    @property
    def is_replayable(self) -> bool:
        """Whether it can be sent a second time."""
        return self._start is not None

    @property
    def content_type(self) -> str:
        return f"multipart/form-data; boundary={self._boundary}"

    def content_length(self) -> int | None:
        """Return the bytes of the whole body, or `None` for a stream of unknown length."""
        return None if self._size is None else len(self._head()) + self._size + len(self._tail())

    async def chunks(self) -> AsyncGenerator[bytes, None]:
        """Yield the body; the file is read in a thread, piece by piece.

        Raises:
            OSError: reading failed, or the file has become shorter than it was.
            TypeError: what is read is not bytes.
        """
        yield self._head()
        if isinstance(self._source, Path):
            file: BinaryIO = await asyncio.to_thread(self._source.open, "rb")
        elif isinstance(self._source, bytes):
            file = io.BytesIO(self._source)
        else:
            file = self._source
            if self._start is not None:
                await asyncio.to_thread(file.seek, self._start)
        remaining = self._size
        try:
            # The length was announced: what has been added to the file since is not a part of it.
            while remaining != 0:
                most = _CHUNK if remaining is None else min(_CHUNK, remaining)
                chunk = await asyncio.to_thread(file.read, most)
                if not isinstance(chunk, bytes):
                    raise TypeError(f"file must give bytes when it is read, not {type(chunk).__name__}")
                if not chunk and remaining is None:
                    break
                if not chunk:
                    raise OSError(f"{self.filename!r} became shorter while it was uploaded")
                remaining = None if remaining is None else remaining - len(chunk)
                yield chunk
        finally:
            if file is not self._source:
                file.close()
        yield self._tail()

    def _head(self) -> bytes:
        parts = [
            f'--{self._boundary}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n'
            f"{value.reveal() if isinstance(value, Secret) else value}\r\n"
            for name, value in self._form.items()
        ]
        parts.append(
            f'--{self._boundary}\r\nContent-Disposition: form-data; name="file"; '
            f'filename="{_quote_filename(self.filename)}"\r\nContent-Type: application/octet-stream\r\n\r\n'
        )
        # A file's name may have bytes that are not UTF-8: they go as they are.
        return "".join(parts).encode(errors="surrogateescape")

    def _tail(self) -> bytes:
        return f"\r\n--{self._boundary}--\r\n".encode()


def _position(source: Path | bytes | BinaryIO) -> int | None:
    """Return where reading starts, `None` if a second reading could not start there again."""
    if isinstance(source, Path | bytes):
        return 0
    try:
        return source.tell() if source.seekable() else None
    except (AttributeError, OSError):
        return None


def _measure(source: Path | bytes | BinaryIO, start: int | None) -> int | None:
    """Return the bytes from where reading starts, `None` if that cannot be known."""
    if isinstance(source, bytes):
        return len(source)
    if isinstance(source, Path):
        return source.stat().st_size
    if start is None:
        return None
    end = source.seek(0, io.SEEK_END)
    source.seek(start)
    return max(end - start, 0)


def _name_of(source: Path | bytes | BinaryIO) -> str:
    name = source if isinstance(source, Path) else getattr(source, "name", None)
    return Path(name).name if isinstance(name, str | Path) else "upload"


def _quote_filename(name: str) -> str:
    # What browsers do (WHATWG HTML, multipart/form-data encoding): only these three could end the value.
    return name.replace('"', "%22").replace("\r", "%0D").replace("\n", "%0A")
