"""Spans of calls and attempts for OpenTelemetry: `pip install 'openrelay-async[otel]'`.

    from openrelay_async.opentelemetry_hooks import OpenTelemetryHooks

    client = AsyncClient(hooks=[OpenTelemetryHooks()])

A call is a span named after its operation, such as `createVm`, with an event for each wait. Every request of
it is a client span below, by the semantic conventions for HTTP clients (version 1.23 and later): a resent one
has `http.request.resend_count`. Addresses appear as templates, so no span has an id of a resource, and none
has a header, a body, a query or a text from the service.
"""

from __future__ import annotations

from contextvars import ContextVar
from urllib.parse import urlsplit

from attrs import define

from openrelay_async.hooks import (
    AttemptEnded,
    AttemptStarted,
    CallEnded,
    CallStarted,
    Queued,
    RetryPlanned,
)
from openrelay_async.version import __version__

try:
    from opentelemetry import trace
    from opentelemetry.trace import Span, SpanKind, Status, StatusCode, TracerProvider
except ImportError as error:
    raise ImportError(
        "openrelay_async.opentelemetry_hooks needs OpenTelemetry: pip install 'openrelay-async[otel]'"
    ) from error

_DEFAULT_PORTS = {"http": 80, "https": 443}


@define(eq=False)
class _OpenCall:
    """The spans of the call that the current task makes."""

    owner: OpenTelemetryHooks
    span: Span
    attempt: Span | None = None


_open_calls: ContextVar[tuple[_OpenCall, ...]] = ContextVar("openrelay_open_calls", default=())


class OpenTelemetryHooks:
    """A hook that makes spans of what a client does.

    Args:
        tracer_provider: where spans go; by default the process's.
    """

    def __init__(self, tracer_provider: TracerProvider | None = None) -> None:
        self._tracer = trace.get_tracer("openrelay_async", __version__, tracer_provider)

    def on_call(self, event: CallStarted) -> None:
        span = self._tracer.start_span(
            event.operation,
            kind=SpanKind.INTERNAL,
            attributes={"openrelay.operation": event.operation},
        )
        _open_calls.set((*_open_calls.get(), _OpenCall(self, span)))

    def on_queue(self, event: Queued) -> None:
        call = self._find_call()
        if call is not None:
            call.span.add_event("queued", {"reason": event.reason, "waiting": event.waiting})

    def on_attempt(self, event: AttemptStarted) -> None:
        call = self._find_call()
        if call is None:
            return
        address = urlsplit(event.base_url)
        attributes: dict[str, str | int] = {
            "http.request.method": event.method,
            "server.address": address.hostname or "",
            "server.port": address.port or _DEFAULT_PORTS.get(address.scheme, 443),
            "url.scheme": address.scheme,
            "url.template": address.path + event.path,
            "openrelay.operation": event.operation,
        }
        if event.attempt > 1:
            attributes["http.request.resend_count"] = event.attempt - 1
        call.attempt = self._tracer.start_span(
            f"{event.method} {event.path}",
            context=trace.set_span_in_context(call.span),
            kind=SpanKind.CLIENT,
            attributes=attributes,
        )

    def on_response(self, event: AttemptEnded) -> None:
        call = self._find_call()
        if call is None or call.attempt is None:
            return
        span, call.attempt = call.attempt, None
        problem = event.failure_kind
        if event.status is not None:
            span.set_attribute("http.response.status_code", event.status)
            problem = str(event.status) if event.status >= 400 else None
        _end(span, problem)

    def on_retry(self, event: RetryPlanned) -> None:
        call = self._find_call()
        if call is not None:
            call.span.add_event("retry", {"attempt": event.attempt, "delay": event.delay})

    def on_done(self, event: CallEnded) -> None:
        call = self._find_call()
        if call is None:
            return
        _open_calls.set(tuple(other for other in _open_calls.get() if other is not call))
        _end(call.span, event.error)

    def _find_call(self) -> _OpenCall | None:
        return next((call for call in reversed(_open_calls.get()) if call.owner is self), None)


def _end(span: Span, problem: str | None) -> None:
    if problem is not None:
        span.set_attribute("error.type", problem)
        # Without a description: the message of an error may quote what the service said.
        span.set_status(Status(StatusCode.ERROR))
    span.end()
