"""What an observer is told while calls run: metrics, traces, progress. Nothing here changes a call.

A hook is any object with some of the methods `on_call`, `on_queue`, `on_attempt`, `on_response`, `on_retry`,
`on_done`, `on_wait_tick`, `on_key_expiring`. Each gets one event, in the task that makes the call, and
returns at once. What a hook raises is noted at DEBUG and breaks nothing.
"""

from __future__ import annotations

import inspect
import logging
from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Literal, TypeVar

from attrs import frozen

from openrelay_async.errors import ConfigurationError

logger = logging.getLogger("openrelay_async")

E = TypeVar("E")

EVENTS = (
    "on_call",
    "on_queue",
    "on_attempt",
    "on_response",
    "on_retry",
    "on_done",
    "on_wait_tick",
    "on_key_expiring",
)


@frozen(kw_only=True)
class CallEvent:
    """What all events of a call have: which operation it is. No ids, no bodies, no credentials."""

    operation: str
    method: str
    path: str
    """The path template, such as `/v1/vms/{id}`."""


@frozen(kw_only=True)
class CallStarted(CallEvent):
    """A call begins: what follows it up to `CallEnded`, in the same task, belongs to it."""


@frozen(kw_only=True)
class CallEnded(CallEvent):
    """A call has its result."""

    status: int | None
    """HTTP status of the answer that decided."""
    error: str | None
    """The class of the error that the caller gets, `None` for a success."""
    elapsed: float
    """Seconds of the whole call."""


@frozen(kw_only=True)
class Queued(CallEvent):
    """The call waits for a free connection, or for its turn while the service limits the rate."""

    waiting: int
    """Calls that wait already."""
    reason: Literal["connections", "pacing"] = "connections"


@frozen(kw_only=True)
class AttemptStarted(CallEvent):
    """A request is about to be sent."""

    attempt: int
    """Number of this request within the call, from 1."""
    idempotency_key: str | None
    base_url: str
    """Where it goes to: scheme, host, port and the path in front of all templates."""


@frozen(kw_only=True)
class AttemptEnded(CallEvent):
    """A request has its answer, or will have none."""

    attempt: int
    status: int | None
    failure: str | None
    """Why there is no answer, in a few words; also when the caller cancelled it."""
    failure_kind: str | None = None
    """The same as one word: `connection`, `timeout`, `tls`, `proxy`, `too_large`, `malformed`, `closed` or
    `cancelled`."""
    elapsed: float
    """Seconds since the request was started."""
    request_id: str | None


@frozen(kw_only=True)
class RetryPlanned(CallEvent):
    """The request will be sent again. Told before the wait."""

    attempt: int
    """Number of the request that failed."""
    delay: float
    """Seconds until the next one."""
    reason: str


@frozen(kw_only=True)
class WaitTick(CallEvent):
    """The poller of one kind of resource has looked. Told before the pause."""

    resource: str
    """The client's attribute, such as `vms`."""
    waiting: int
    """Resources that somebody waits for."""
    watching: int
    """Iterators of `watch()` that are open."""
    requests: int
    """Requests of this look."""
    failure: str | None
    """The first error of this look by its class, `None` if all went well."""
    delay: float
    """Seconds until the next look."""


@frozen(kw_only=True)
class KeyExpiring:
    """The key in use expires within a week. Told once for a key, as soon as whoami says so."""

    key_id: str | None
    name: str | None
    expires_at: datetime
    seconds_left: float


class Hooks:
    """The methods of the caller's hooks, found once."""

    __slots__ = EVENTS

    on_call: tuple[Callable[[CallStarted], object], ...]
    on_queue: tuple[Callable[[Queued], object], ...]
    on_attempt: tuple[Callable[[AttemptStarted], object], ...]
    on_response: tuple[Callable[[AttemptEnded], object], ...]
    on_retry: tuple[Callable[[RetryPlanned], object], ...]
    on_done: tuple[Callable[[CallEnded], object], ...]
    on_wait_tick: tuple[Callable[[WaitTick], object], ...]
    on_key_expiring: tuple[Callable[[KeyExpiring], object], ...]

    def __init__(self, hooks: Iterable[object] = ()) -> None:
        if not isinstance(hooks, Iterable):
            raise ConfigurationError(f"hooks must be a list of hooks, not {type(hooks).__name__}")
        hooks = tuple(hooks)
        for hook in hooks:
            if not any(callable(getattr(hook, event, None)) for event in EVENTS):
                raise ConfigurationError(
                    f"a hook has at least one of the methods {', '.join(EVENTS)}; "
                    f"{type(hook).__name__} has none"
                )
            for event in EVENTS:
                if inspect.iscoroutinefunction(getattr(hook, event, None)):
                    raise ConfigurationError(
                        f"{type(hook).__name__}.{event} must not be async: a hook returns at once; "
                        "let it put the event into a queue that a task of yours reads"
                    )
        for event in EVENTS:
            methods = tuple(method for hook in hooks if callable(method := getattr(hook, event, None)))
            setattr(self, event, methods)


def tell(methods: Iterable[Callable[[E], object]], event: E) -> None:
    """Call each method with the event; what one raises is the observer's problem, not the call's."""
    for method in methods:
        try:
            method(event)
        except Exception as error:  # any kind: an observer must not break a call
            # Not the error's text: it may quote the event or more.
            logger.debug("a hook raised %s", type(error).__name__)
