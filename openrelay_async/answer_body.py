"""Reading an answer's body to its end, within a limit."""

from __future__ import annotations

from collections.abc import Mapping

from aiohttp import ClientError, StreamReader

from openrelay_async.content_encoding import BodyTooLargeError, MalformedBodyError, decompress

_UNREADABLE = (ClientError, OSError, MalformedBodyError)


async def read_refusal(content: StreamReader, headers: Mapping[str, str], limit: int) -> bytes | None:
    """Return the body of an answer that refuses, `None` if it breaks off: the status says enough.

    Raises:
        BodyTooLargeError: it has more bytes than `limit`.
    """
    try:
        return await read_body(content, headers, limit)
    except _UNREADABLE:
        return None


async def read_body(content: StreamReader, headers: Mapping[str, str], limit: int) -> bytes:
    """Return an answer's whole body, decompressed.

    Args:
        content: the body as it comes.
        headers: the answer's.
        limit: bytes that it may have, before and after decompression.

    Raises:
        BodyTooLargeError: it has more.
        MalformedBodyError: it is not compressed as its header says.
    """
    if content.is_eof():
        # Most answers are small, and came whole with their heads.
        body = content.read_nowait()
    elif (length := headers.get("Content-Length")) is not None and length.isdecimal():
        if int(length) > limit:
            raise BodyTooLargeError
        body = await content.read()
    else:
        received = bytearray()
        while piece := await content.readany():
            received += piece
            if len(received) > limit:
                raise BodyTooLargeError
        body = bytes(received)
    encoding = headers.get("Content-Encoding")
    return body if encoding is None and len(body) <= limit else decompress(body, encoding, limit=limit)
