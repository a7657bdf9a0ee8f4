"""What observers are told of a call: its events, made from what the transport knows, only if one listens.

The events' classes are imported where one is made: most programs have no hooks, and each class takes a
millisecond to build.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterable
from typing import Literal

from openrelay_async.clock import Clock
from openrelay_async.messages import AttemptFailure, HttpRequest, HttpResponse, Outcome
from openrelay_async.observers import Hooks, tell
from openrelay_async.redaction import Secret, clean_word


async def watch_call(
    hooks: Hooks, clock: Clock, request: HttpRequest, call: Coroutine[object, object, HttpResponse]
) -> HttpResponse:
    """Return a call's answer; tell that it begins and how it ended."""
    from openrelay_async.hooks import CallEnded, CallStarted

    operation, began = request.operation, clock.monotonic()

    def end(status: int | None, error: str | None) -> None:
        ended = CallEnded(
            **operation.facts(),
            status=status,
            error=error,
            elapsed=clock.monotonic() - began,
        )
        tell(hooks.on_done, ended)

    started = CallStarted(**operation.facts())
    tell(hooks.on_call, started)
    try:
        response = await call
    except BaseException as error:
        status = getattr(error, "status", None)
        end(status if isinstance(status, int) else None, type(error).__name__)
        raise
    end(response.status, None)
    return response


def tell_queued(
    hooks: Hooks, request: HttpRequest, waiting: int, reason: Literal["connections", "pacing"]
) -> None:
    if hooks.on_queue:
        from openrelay_async.hooks import Queued

        queued = Queued(
            **request.operation.facts(),
            waiting=waiting,
            reason=reason,
        )
        tell(hooks.on_queue, queued)


def tell_attempt(hooks: Hooks, request: HttpRequest, attempt: int, base_url: str) -> None:
    if hooks.on_attempt:
        from openrelay_async.hooks import AttemptStarted

        started = AttemptStarted(
            **request.operation.facts(),
            attempt=attempt,
            idempotency_key=request.idempotency_key,
            base_url=base_url,
        )
        tell(hooks.on_attempt, started)


def tell_response(
    hooks: Hooks,
    request: HttpRequest,
    outcome: Outcome | None,
    *,
    attempt: int,
    elapsed: float,
    known: Callable[[HttpRequest], Iterable[Secret]],
) -> None:
    """Tell how an attempt ended; `None` is one that the caller gave up.

    Args:
        known: gives the secrets that no event may show.
    """
    from openrelay_async.hooks import AttemptEnded

    status: int | None = None
    request_id: str | None = None
    failure: str | None = None
    kind: str | None = None
    if isinstance(outcome, HttpResponse):
        status, request_id = outcome.status, outcome.headers.get("X-Request-Id")
    elif isinstance(outcome, AttemptFailure):
        failure, kind = outcome.message, outcome.kind
    else:
        failure, kind = "given up by the caller", "cancelled"
    ended = AttemptEnded(
        **request.operation.facts(),
        attempt=attempt,
        status=status,
        failure=failure,
        failure_kind=kind,
        elapsed=elapsed,
        # Even this could echo what was sent.
        request_id=None if request_id is None else clean_word(request_id, known(request)),
    )
    tell(hooks.on_response, ended)


def tell_retry(hooks: Hooks, request: HttpRequest, attempt: int, delay: float, reason: str) -> None:
    if hooks.on_retry:
        from openrelay_async.hooks import RetryPlanned

        planned = RetryPlanned(
            **request.operation.facts(),
            attempt=attempt,
            delay=delay,
            reason=reason,
        )
        tell(hooks.on_retry, planned)
