"""What an observer is told while calls run: metrics, traces, progress. Nothing here changes a call.

A hook is any object with some of the methods `on_call`, `on_queue`, `on_attempt`, `on_response`, `on_retry`,
`on_done`, `on_wait_tick`, `on_key_expiring`. Each gets one event, in the task that makes the call, and
returns at once. What a hook raises is noted at DEBUG and breaks nothing.
"""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from attrs import frozen


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
    """The class of this look's error, `None` if all went well; of several, the one that asks for the longest
    pause, or else the first."""
    delay: float
    """Seconds until the next look."""


@frozen(kw_only=True)
class KeyExpiring:
    """The key in use expires within a week. Told once for a key, as soon as whoami says so."""

    key_id: str | None
    name: str | None
    expires_at: datetime
    seconds_left: float
