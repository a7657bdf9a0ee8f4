"""Bodies without their compression, never more of them at once than was asked for."""

from __future__ import annotations

import zlib
from collections.abc import Iterator

_DETECT = 32 + zlib.MAX_WBITS
"""zlib finds out by itself whether it is gzip or zlib."""


class BodyTooLargeError(Exception):
    """A body that is larger, decompressed, than the client takes."""


class MalformedBodyError(Exception):
    """A body that is not compressed as its header says, or in a way that was not asked for."""


class ContentDecoder:
    """Undoes a `Content-Encoding` piece by piece (RFC 9110, section 8.4)."""

    __slots__ = ("_encoding", "_has_begun", "_zlib")

    def __init__(self, encoding: str) -> None:
        """Take the header's value.

        Raises:
            MalformedBodyError: the encoding was not asked for.
        """
        self._encoding = encoding.strip().lower()
        if self._encoding not in {"gzip", "x-gzip", "deflate"}:
            raise MalformedBodyError
        self._zlib = zlib.decompressobj(_DETECT)
        self._has_begun = False

    def feed(self, data: bytes, most: int) -> Iterator[bytes]:
        """Yield what `data` stands for, at most `most` bytes at a time.

        Raises:
            MalformedBodyError: it is not what the header says.
        """
        has_more = bool(data)
        while has_more:
            if self._zlib.eof:
                # RFC 1952: a gzip file is any number of members, one after the other.
                self._zlib = zlib.decompressobj(_DETECT)
            piece = self._decompress(data, most)
            data = self._zlib.unused_data if self._zlib.eof else self._zlib.unconsumed_tail
            # A full piece may not have been all that zlib had to give for what it has read.
            has_more = bool(data) or (len(piece) == most and not self._zlib.eof)
            if piece:
                yield piece

    def _decompress(self, data: bytes, most: int) -> bytes:
        is_first, self._has_begun = not self._has_begun, True
        try:
            return self._zlib.decompress(data, most)
        except zlib.error:
            pass
        if is_first and self._encoding == "deflate":
            # Many servers leave out the zlib header that "deflate" stands for.
            self._zlib = zlib.decompressobj(-zlib.MAX_WBITS)
            try:
                return self._zlib.decompress(data, most)
            except zlib.error:
                pass
        raise MalformedBodyError

    def is_complete(self) -> bool:
        """Return whether the data ended where its own format says."""
        return self._zlib.eof or not self._has_begun


def decompress(body: bytes, encoding: str | None, *, limit: int) -> bytes:
    """Return a body without its content encoding, never making more than `limit` bytes of it.

    Raises:
        BodyTooLargeError: it would be more.
        MalformedBodyError: not in the encoding, cut off, or in one that was not asked for.
    """
    if len(body) > limit:
        raise BodyTooLargeError
    if encoding is None or encoding.strip().lower() in {"identity", ""} or not body:
        return body
    decoder = ContentDecoder(encoding)
    plain = bytearray()
    for piece in decoder.feed(body, limit + 1):
        plain += piece
        if len(plain) > limit:
            raise BodyTooLargeError
    if not decoder.is_complete():
        raise MalformedBodyError
    return bytes(plain)
