"""Raw answers for the caller who wants them: kept for the current context only."""

from __future__ import annotations

import contextvars
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from attrs import field, frozen

from openrelay_async.messages import HttpResponse


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


@frozen(eq=False)
class _Recorder:
    owner: object
    responses: list[RecordedResponse]


_recorders: contextvars.ContextVar[tuple[_Recorder, ...]] = contextvars.ContextVar(
    "openrelay_recorders", default=()
)


@contextmanager
def record(owner: object) -> Iterator[list[RecordedResponse]]:
    """Collect the answers to calls of `owner` that the current context makes until the block ends."""
    recorder = _Recorder(owner, [])
    token = _recorders.set((*_recorders.get(), recorder))
    try:
        yield recorder.responses
    finally:
        _recorders.reset(token)


def keep(owner: object, operation: str, response: HttpResponse, attempt: int) -> None:
    """Give an answer to the recorders of this context, if there are any."""
    for recorder in _recorders.get():
        if recorder.owner is owner:
            recorder.responses.append(
                RecordedResponse(
                    operation=operation,
                    status=response.status,
                    headers=response.headers,
                    request_id=response.headers.get("X-Request-Id"),
                    attempts=attempt,
                    body=response.body.data,
                )
            )
