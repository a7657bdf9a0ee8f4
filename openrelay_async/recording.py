"""Raw answers for the caller who wants them: kept for the current context only."""

from __future__ import annotations

import contextvars
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from openrelay_async.fork_guard import import_module
from openrelay_async.messages import HttpResponse

if TYPE_CHECKING:
    from openrelay_async.recorded_response import RecordedResponse


class _Recorder:
    __slots__ = ("owner", "responses")

    def __init__(self, owner: object) -> None:
        self.owner = owner
        self.responses: list[RecordedResponse] = []


_recorders: contextvars.ContextVar[tuple[_Recorder, ...]] = contextvars.ContextVar(
    "openrelay_recorders", default=()
)


@contextmanager
def record(owner: object) -> Iterator[list[RecordedResponse]]:
    """Collect the answers to calls of `owner` that the current context makes until the block ends."""
    # Here, once: calls run in any thread, where a fork could come between.
    import_module("openrelay_async.recorded_response")
    recorder = _Recorder(owner)
    token = _recorders.set((*_recorders.get(), recorder))
    try:
        yield recorder.responses
    finally:
        _recorders.reset(token)


def keep(owner: object, operation: str, response: HttpResponse, attempt: int) -> None:
    """Give an answer to the recorders of this context, if there are any."""
    for recorder in _recorders.get():
        if recorder.owner is owner:
            from openrelay_async.recorded_response import RecordedResponse  # most programs record nothing

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
