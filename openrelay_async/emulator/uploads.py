"""Bodies that are files: received piece by piece, kept in a temporary file until the handler has them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from tempfile import SpooledTemporaryFile
from typing import IO, TYPE_CHECKING

import attrs

from openrelay_async.emulator.answers import Refusal, bad_request

if TYPE_CHECKING:
    from aiohttp import BodyPartReader, MultipartReader, web

LARGEST_FILE = 200 * 1024 * 1024
LARGEST_FIELD = 64 * 1024
PIECE = 256 * 1024


@attrs.frozen
class Upload:
    """What was uploaded. Closing it removes the temporary file."""

    fields: dict[str, str] = attrs.field(repr=False)
    file: IO[bytes] | None = None
    filename: str = ""
    size: int = 0

    def pieces(self) -> Iterator[bytes]:
        if self.file is not None:
            self.file.seek(0)
            while piece := self.file.read(PIECE):
                yield piece

    def close(self) -> None:
        if self.file is not None:
            self.file.close()


async def read_form(request: web.BaseRequest) -> Upload:
    """A multipart form with one file.

    Raises:
        Refusal: 400 if it is no such form, 413 if the file is too large.
    """
    if not (request.content_type or "").startswith("multipart/form-data"):
        raise bad_request("Content-Type", "must be multipart/form-data")
    try:
        reader = await request.multipart()
        return await _read_parts(reader)
    except (ValueError, KeyError, AssertionError, RuntimeError, LookupError):
        # aiohttp says in several ways that a form is not one.
        raise bad_request("body", "is not a valid multipart form") from None


async def _read_parts(reader: MultipartReader) -> Upload:
    fields: dict[str, str] = {}
    upload = Upload(fields)
    while (part := await reader.next()) is not None:
        name = getattr(part, "name", None)
        if not hasattr(part, "read_chunk"):
            raise ValueError("a form within a form")
        piece_source = _read_pieces(part)  # type: ignore[arg-type] # what has read_chunk is a BodyPartReader
        if name == "file" and upload.file is None:
            spool, size = await _spool(piece_source, LARGEST_FILE)
            filename = getattr(part, "filename", None) or "file"
            upload = Upload(fields, spool, str(filename), size)
        else:
            raw = b""
            async for piece in piece_source:
                raw += piece
                if len(raw) > LARGEST_FIELD:
                    raise Refusal(413, f"{name}: is larger than {LARGEST_FIELD} bytes", "PAYLOAD_TOO_LARGE")
            if name:
                fields[name] = raw.decode()
    return upload


async def _read_pieces(part: BodyPartReader) -> AsyncIterator[bytes]:
    while not part.at_eof():
        piece = await part.read_chunk(PIECE)
        if piece:
            yield bytes(piece)


async def read_file(request: web.BaseRequest) -> Upload:
    """A body that is the file itself.

    Raises:
        Refusal: 413.
    """
    spool, size = await _spool(request.content.iter_any(), LARGEST_FILE)
    return Upload({}, spool, "", size)


async def _spool(pieces: AsyncIterator[bytes], limit: int) -> tuple[IO[bytes], int]:
    spool: IO[bytes] = SpooledTemporaryFile(max_size=1024 * 1024)  # noqa: SIM115 - closed with its Upload
    size = 0
    try:
        async for piece in pieces:
            size += len(piece)
            if size > limit:
                raise Refusal(413, f"the file is larger than {limit} bytes", "PAYLOAD_TOO_LARGE")
            spool.write(piece)
    except BaseException:
        spool.close()
        raise
    return spool, size
