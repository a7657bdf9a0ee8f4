"""Every error that the library raises, and what each one knows.

An error is a value: it pickles, holds no secret, no client and no response, and prints as one line of at
most 500 characters that names the operation. Texts from the service are scrubbed before they get here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import ClassVar, Self

LONGEST_LINE = 500
"""Characters of an error's line."""


_LONGEST_PATH = 120
"""Characters of a path in that line; the longest template has 66."""


class OpenRelayError(Exception):
    """Root of all errors of this library.

    Attributes:
        status: HTTP status of the answer, `None` where there was none.
        code: the service's error code, such as `NAME_TAKEN`; a hint, the status comes first.
        message: what went wrong, scrubbed of everything that looks like a key.
        request_id: from the header `X-Request-Id` or the body's `requestId`; quote it to support.
        operation: operation id, such as `createVm`.
        method: HTTP method.
        path: path template, such as `/v1/vms/{id}`.
        retry_after: seconds after which the service asks to come back.
        maybe_applied: whether the change may have taken effect although the call failed.
        idempotency_key: the key that was sent; repeat the call with it and nothing happens twice.
        attempts: number of requests that were sent or tried.
        details: the other fields of the error body, scrubbed.
    """

    FIELDS: ClassVar[tuple[str, ...]] = (
        "status",
        "code",
        "request_id",
        "operation",
        "method",
        "path",
        "retry_after",
        "maybe_applied",
        "idempotency_key",
        "attempts",
        "details",
    )
    _again_after: float | None = None
    """Seconds after which a call with more time would have been sent again; `None`: not for lack of time."""

    def __init__(
        self,
        message: str = "",
        *,
        status: int | None = None,
        code: str | None = None,
        request_id: str | None = None,
        operation: str | None = None,
        method: str | None = None,
        path: str | None = None,
        retry_after: float | None = None,
        maybe_applied: bool = False,
        idempotency_key: str | None = None,
        attempts: int = 0,
        details: Mapping[str, object] | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.status = status
        self.code = code
        self.request_id = request_id
        self.operation = operation
        self.method = method
        self.path = path
        self.retry_after = retry_after
        self.maybe_applied = maybe_applied
        self.idempotency_key = idempotency_key
        self.attempts = attempts
        self.details = dict(details or {})

    def __str__(self) -> str:
        answer = " ".join(str(part) for part in (self.status, self.code) if part is not None)
        facts = [
            f"request id {self.request_id}" if self.request_id else "",
            f"attempts {self.attempts}" if self.attempts else "",
            f"retry after {self.retry_after:g} s" if self.retry_after is not None else "",
            "may have been applied" if self.maybe_applied else "",
        ]
        # A raw request's path is its caller's: however long, the facts after it have their place.
        path = _cut(self.path or "", _LONGEST_PATH)
        where = " ".join(part for part in (self.operation, self.method, path) if part)
        head = ": ".join(part for part in (where, answer) if part)
        tail = "; ".join(fact for fact in facts if fact)
        tail = f" ({tail})" if tail else ""
        said = self._say(LONGEST_LINE - len(head) - len(tail) - 2)
        return (": ".join(part for part in (head, said) if part) + tail)[:LONGEST_LINE]

    def _say(self, room: int = LONGEST_LINE) -> str:
        """Return what went wrong, in one line of so many characters."""
        return _cut(" ".join(self.message.split()), room)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({str(self)!r})"

    def __reduce__(self) -> tuple[Callable[..., OpenRelayError], tuple[object, ...]]:
        fields = {name: getattr(self, name) for name in self.FIELDS}
        return _rebuild, (type(self), self.message, fields)

    def _with_facts_of(self, cause: OpenRelayError) -> Self:
        """Set what another error knows of its request: this one is raised because of it."""
        return self._with(**{name: getattr(cause, name) for name in OpenRelayError.FIELDS})

    def _with(self, **fields: object) -> Self:
        """Set fields that were not known where the error was made."""
        for name, value in fields.items():
            setattr(self, name, value)
        return self


def _cut(text: str, room: int) -> str:
    return text if len(text) <= room else f"{text[: max(room - 1, 0)]}…"


def _rebuild(kind: type[OpenRelayError], message: str, fields: dict[str, object]) -> OpenRelayError:
    return kind(message)._with(**fields)


class ConfigurationError(OpenRelayError, ValueError):
    """The client was set up with something that cannot work: a blank key, `http://` to a remote host."""


class ConnectionFailed(OpenRelayError):
    """No answer: connecting failed, or the connection broke before the whole answer was there."""


class RequestTimeout(ConnectionFailed, TimeoutError):
    """The call's `timeout` or the attempt's limit passed before the answer came."""


class LocalQueueTimeout(ConnectionFailed, TimeoutError):
    """All of the client's connections stayed busy for the whole queue limit; nothing was sent."""


class ApiError(OpenRelayError):
    """The service answered with an error; `message` has the service's words.

    Attributes:
        explanation: what the library adds to them, such as which key was refused, or which scope it lacks.
    """

    FIELDS: ClassVar[tuple[str, ...]] = (*OpenRelayError.FIELDS, "explanation")
    explanation: str = ""

    def _say(self, room: int = LONGEST_LINE) -> str:
        if not self.explanation:
            return super()._say(room)
        # The service's words give way: they may be any, and the explanation is what a reader needs.
        said = super()._say(room - len(self.explanation) - 2)
        return _cut("; ".join(part for part in (said, self.explanation) if part), room)


class BadRequest(ApiError):
    """400: the request is malformed."""


class Unauthenticated(ApiError):
    """401: no valid credential."""


class PaymentRequired(ApiError):
    """402: the balance does not cover this."""


class PermissionDenied(ApiError):
    """403: a valid credential without the scope, the permission or the organization.

    Attributes:
        permission: the permission that the operation needs.
        denied_by: `role`, `key`, `org_policy` or `platform`.
        policies: ids of the policies that denied.
        scope: the scope that the operation needs.
        granted: the scopes that the key has, from whoami; empty if that could not be asked.
    """

    FIELDS: ClassVar[tuple[str, ...]] = (
        *ApiError.FIELDS,
        "permission",
        "denied_by",
        "policies",
        "scope",
        "granted",
    )
    permission: str | None = None
    denied_by: str | None = None
    policies: Sequence[str] = ()
    scope: str | None = None
    granted: tuple[str, ...] = ()


class NotFound(ApiError):
    """404: absent, or of another organization."""


class Conflict(ApiError):
    """409: against the current state, such as a name that is taken."""


class Gone(ApiError):
    """410: it was there, and is no more; also an expired code or cursor."""


class PayloadTooLarge(ApiError):
    """413: the request's body is too large."""


class Unprocessable(ApiError):
    """422: understood, but not possible as asked."""


class RateLimited(ApiError):
    """429: too many requests; `retry_after` says when to come back."""


class ServerError(ApiError):
    """5xx: the service failed."""


class Unavailable(ServerError):
    """503: the service cannot answer now."""


class CapacityUnavailable(Unavailable):
    """503 with a capacity code: no room for this GPU, CPU or host now. Never retried by the transport."""


class InvalidResponse(OpenRelayError):
    """An answer that does not keep to the API description, a redirect (3xx), or a body over the limit."""


class PaginationError(OpenRelayError):
    """A list that cannot go on: its cursor came twice, or has expired.

    Attributes:
        yielded: number of items given before.
        cursor: the cursor that failed.
    """

    FIELDS: ClassVar[tuple[str, ...]] = (*OpenRelayError.FIELDS, "yielded", "cursor")
    yielded: int = 0
    cursor: str | None = None


class WaitError(OpenRelayError):
    """A wait that ended without its goal, also when too many polls in a row failed.

    Attributes:
        resource_id: what was waited for.
        until: the goal, such as `running`.
        state: the status last seen, `None` if it was never seen.
        status_reason: why it is in that state, in the service's words.
        resource: the model last seen, with its status and reason scrubbed as here.
        elapsed: seconds waited.
        polls: how often its state was read.
        token: goes on with the same wait, also in another process: `client.vms.resume_wait(token)`.
    """

    FIELDS: ClassVar[tuple[str, ...]] = (
        *OpenRelayError.FIELDS,
        "resource_id",
        "until",
        "state",
        "status_reason",
        "resource",
        "elapsed",
        "polls",
        "token",
    )
    resource_id: str = ""
    until: str = ""
    state: str | None = None
    status_reason: str | None = None
    resource: object = None
    elapsed: float = 0.0
    polls: int = 0
    token: str = ""


class WaitTimeout(WaitError, TimeoutError):
    """The time for a wait ran out. The resource is as it was: waiting changes nothing."""


class WaitFailed(WaitError):
    """The resource reached a state from which the goal cannot be reached."""


class LeaseError(OpenRelayError):
    """A lease that could not be ended: what it created may still run, and cost.

    Attributes:
        resource_id: what to terminate by hand; empty if it is not known.
        resource_name: its name.
    """

    FIELDS: ClassVar[tuple[str, ...]] = (*OpenRelayError.FIELDS, "resource_id", "resource_name")
    resource_id: str = ""
    resource_name: str = ""


class LeaseExpired(OpenRelayError, TimeoutError):
    """A lease ended by its own limit (`max_duration`, `max_cost_cents`); what it had is terminated."""


class WebhookError(OpenRelayError):
    """A webhook delivery that is not authentic, not fresh, or malformed."""


class BridgeError(OpenRelayError):
    """The sync package's event loop cannot run the call."""


BY_STATUS: Mapping[int, type[ApiError]] = {
    400: BadRequest,
    401: Unauthenticated,
    402: PaymentRequired,
    403: PermissionDenied,
    404: NotFound,
    409: Conflict,
    410: Gone,
    413: PayloadTooLarge,
    422: Unprocessable,
    429: RateLimited,
    503: Unavailable,
}


def error_class_for(status: int) -> type[ApiError]:
    """Return the class of the errors with this HTTP status (4xx or 5xx)."""
    return BY_STATUS.get(status) or (ServerError if status >= 500 else ApiError)
