"""What a wait tells while it runs, gives at its end, and raises without its goal: values, no I/O."""

from __future__ import annotations

import base64
import binascii
import math
from collections.abc import Callable
from typing import Generic, Protocol, TypeGuard, TypeVar

import orjson
from attrs import frozen

from openrelay_async.config import check_integer, check_seconds
from openrelay_async.errors import OpenRelayError, WaitError
from openrelay_async.off_loop import is_async
from openrelay_async.operation import Operation
from openrelay_async.wait_limits import DEFAULT_FAILURES, DEFAULT_TIMEOUT


class Living(Protocol):
    """A resource that changes over time."""

    @property
    def id(self) -> str: ...
    @property
    def status(self) -> str: ...


R_co = TypeVar("R_co", covariant=True)


@frozen
class WaitProgress(Generic[R_co]):
    """How far a wait has come; told when the resource was first seen, and whenever it has changed."""

    id: str
    until: str
    status: str
    status_reason: str | None
    elapsed: float
    """Seconds since the wait began."""
    polls: int
    """How often the resource has been read."""
    resource: R_co
    """The resource itself."""

    def __str__(self) -> str:
        reason = f" ({self.status_reason})" if self.status_reason else ""
        return f"{self.id}: {self.status}{reason} after {self.elapsed:.0f} s, waiting for {self.until}"


@frozen
class WaitOutcome(Generic[R_co]):
    """How one of many waits ended: with the resource, or with an error."""

    id: str
    resource: R_co | None = None
    error: Exception | None = None

    def get(self) -> R_co:
        """Return the resource.

        Raises:
            Exception: the wait's error, if it has one.
        """
        if self.error is not None or self.resource is None:
            raise self.error or LookupError(f"{self.id} is gone")
        return self.resource


OnUpdate = Callable[[WaitProgress[R_co]], object]
"""Is told of each change; what it raises ends that wait."""


def check_listener(on_update: object) -> None:
    """Refuse an `on_update` that cannot be told of changes.

    Raises:
        TypeError: it cannot be called, or is async.
    """
    if on_update is None:
        return
    if not callable(on_update):
        raise TypeError(f"on_update must be a function, not {type(on_update).__name__}")
    if is_async(on_update):
        raise TypeError(
            "on_update must not be async: it returns at once; let it put what it is told into a queue "
            "that a task of yours reads"
        )


@frozen
class WaitOptions:
    """What holds for a wait besides its goal."""

    timeout: float = DEFAULT_TIMEOUT
    """Seconds to wait; infinite for no limit."""
    interval: float | None = None
    """Longest pause between two polls in seconds; `None` lets them back off to 60 s."""
    max_failures: int = DEFAULT_FAILURES
    """Polls in a row that may fail for reasons that pass; one more ends the wait."""
    spent: float = 0.0
    """Seconds of the timeout that had passed before there was somebody to poll."""

    @classmethod
    def check(
        cls, timeout: float, interval: float | None, max_failures: int, spent: float = 0.0
    ) -> WaitOptions:
        """Return the checked options.

        Raises:
            ConfigurationError: seconds that are not above zero, or a `max_failures` that is not 0 or more.
        """
        return cls(
            check_seconds("timeout", timeout),
            None if interval is None else check_seconds("interval", interval),
            check_integer("max_failures", max_failures, minimum=0),
            spent,
        )


@frozen
class WaitToken:
    """What must be known to go on with a wait elsewhere; as text it is opaque, and holds no secret."""

    kind: str
    id: str
    until: str
    org_id: str | None = None
    parent: str | None = None
    """The Kubernetes cluster of a node pool."""
    elapsed: float = 0.0
    """Seconds that were waited so far."""
    polls: int = 0
    """How often the resource was read so far."""

    def encode(self) -> str:
        row = [self.kind, self.id, self.until, self.org_id, self.parent, round(self.elapsed, 3), self.polls]
        return base64.urlsafe_b64encode(orjson.dumps(row)).decode().rstrip("=")

    @classmethod
    def decode(cls, text: str, kind: str) -> WaitToken:
        """Return what the token of a `WaitError` holds.

        Raises:
            ValueError: not such a token, or one of another kind of resource.
        """
        row: object = None
        try:
            row = orjson.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
        except (binascii.Error, orjson.JSONDecodeError, TypeError, ValueError):
            row = None
        if not _is_row(row):
            raise ValueError("not the token of a wait")
        token = cls(*row)
        if token.kind != kind:
            raise ValueError(f"this token is of a wait on {token.kind}, not {kind}")
        return token


def _is_row(row: object) -> TypeGuard[tuple[str, str, str, str | None, str | None, float, int]]:
    if not isinstance(row, list) or len(row) != 7:
        return False
    names, optional, (elapsed, polls) = row[:3], row[3:5], row[5:]
    return (
        all(isinstance(name, str) and name for name in names)
        and all(name is None or isinstance(name, str) for name in optional)
        and isinstance(elapsed, int | float)
        and math.isfinite(elapsed)
        and isinstance(polls, int)
    )


E = TypeVar("E", bound=WaitError)


def complete_wait_error(
    error: E,
    token: WaitToken,
    *,
    operation: Operation,
    resource: Living | None,
    state: str | None,
    reason: str | None,
    cause: OpenRelayError | None = None,
) -> E:
    """Complete an error with what was last known, and with the facts of the request that failed; return it.

    Args:
        error: what ended the wait; it has its message.
        token: what goes on with the wait, if somebody wants to.
        operation: what stands for the polls where no request failed.
        resource: as it was last seen, `None` if it was not.
        state: the resource's, fit to be shown.
        reason: why it is in this state, fit to be shown.
        cause: the error of the request that failed, if one did.
    """
    error._with(**operation.facts())
    if cause is not None:
        error._with_facts_of(cause)
        error.__cause__ = cause
    return error._with(
        resource_id=token.id,
        until=token.until,
        state=state,
        status_reason=reason,
        resource=resource,
        elapsed=token.elapsed,
        polls=token.polls,
        token=token.encode(),
    )
