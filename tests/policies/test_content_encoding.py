"""Undoing compression without ever making more than was asked for (R2.6)."""

from __future__ import annotations

import contextlib
import gzip
import zlib

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from openrelay_async.content_encoding import (
    BodyTooLargeError,
    ContentDecoder,
    MalformedBodyError,
    decompress,
)

COMPRESSORS = {
    "gzip": gzip.compress,
    "zlib": zlib.compress,
    "raw": lambda data: zlib.compress(data, wbits=-15),
}
HEADERS = {"gzip": "gzip", "zlib": "deflate", "raw": "deflate"}


@example(parts=[bytes.fromhex("00000000909090919090")], kind="raw", step=2, most=1)
@given(
    st.lists(st.binary(max_size=2000), min_size=1, max_size=3),
    st.sampled_from(sorted(COMPRESSORS)),
    st.integers(1, 500),
    st.integers(1, 300),
)
def test_any_division_of_a_body_gives_the_same(parts: list[bytes], kind: str, step: int, most: int):
    if kind != "gzip":
        parts = parts[:1]
    body = b"".join(COMPRESSORS[kind](part) for part in parts)
    plain = b"".join(parts)
    assert decompress(body, HEADERS[kind], limit=max(len(plain), len(body))) == plain
    decoder = ContentDecoder(HEADERS[kind])
    if kind == "raw":
        step = max(step, 2)  # the header is told from the first bytes
    pieces = [
        piece
        for start in range(0, len(body), step)
        for piece in decoder.feed(body[start : start + step], most)
    ]
    assert b"".join(pieces) == plain
    assert all(len(piece) <= most for piece in pieces)
    assert decoder.is_complete()


@given(st.binary(max_size=300), st.sampled_from(["gzip", "deflate", "x-gzip"]))
def test_no_bytes_whatsoever_break_it(body: bytes, encoding: str):
    with contextlib.suppress(MalformedBodyError, BodyTooLargeError):
        assert len(decompress(body, encoding, limit=1000)) <= 1000


@pytest.mark.parametrize("size", [1000, 1001])
def test_the_limit_is_exact(size: int):
    body = gzip.compress(b"x" * size)
    if size <= 1000:
        assert decompress(body, "gzip", limit=1000) == b"x" * size
    else:
        with pytest.raises(BodyTooLargeError):
            decompress(body, "gzip", limit=1000)


@pytest.mark.parametrize("encoding", ["br", "zstd", "gzip, gzip", "compress", "?"])
def test_an_encoding_that_was_not_asked_for_is_malformed(encoding: str):
    with pytest.raises(MalformedBodyError):
        decompress(b"x", encoding, limit=10)


@pytest.mark.parametrize("encoding", [None, "", "identity", "Identity"])
def test_no_encoding_is_none(encoding: str | None):
    assert decompress(b"abc", encoding, limit=3) == b"abc"
    with pytest.raises(BodyTooLargeError):
        decompress(b"abcd", encoding, limit=3)


@pytest.mark.parametrize("cut", [1, 4, 8, 9, 20])
def test_a_body_cut_off_is_malformed(cut: int):
    with pytest.raises(MalformedBodyError):
        decompress(gzip.compress(b"hello world" * 10)[:-cut], "gzip", limit=1000)
