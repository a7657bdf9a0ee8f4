"""A raw answer, as `client.record_responses()` collects them."""

from __future__ import annotations

from collections.abc import Mapping

from attrs import field, frozen


@frozen
class RecordedResponse:
    """One answer of the service, as it came: body and headers may hold secrets, so repr leaves them out."""

    operation: str
    status: int
    headers: Mapping[str, str] = field(repr=False)
    """Case-insensitive."""
    request_id: str | None = field(repr=False)
    attempts: int
    """Number of the attempt that this answers, from 1."""
    body: bytes = field(repr=False)
    """Decompressed; empty for a download, which is streamed."""
