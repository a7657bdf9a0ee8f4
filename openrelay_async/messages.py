"""What travels between the layers: a request, and the answer or the failure of one attempt."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Literal, NamedTuple

from attrs import define, field

from openrelay_async.redaction import Payload, Secret

if TYPE_CHECKING:
    from openrelay_async.download import BodyStream
    from openrelay_async.operation import Operation
    from openrelay_async.upload import Upload

NO_HEADERS: Mapping[str, str] = {}

SHORTEST_SCRUBBED = 6
"""Characters from which on a secret argument is taken out of the texts of an error."""

_PLAIN_HEADERS = frozenset(
    {
        *("accept", "accept-encoding", "accept-language", "content-encoding", "content-length"),
        *("content-type", "user-agent", "idempotency-key", "cache-control", "prefer", "range"),
        *("if-match", "if-none-match"),
        *("x-request-id", "x-correlation-id", "traceparent", "tracestate"),
    }
)
"""Headers whose values are no secrets, and are wanted in an error that names them."""
_PLAIN_VALUES = ("application/", "text/", "multipart/")


def find_header_secrets(headers: Mapping[str, str]) -> list[Secret]:
    """Return the values that may be secrets: what a caller adds to requests is often a token."""
    return [
        Secret(value)
        for name, value in headers.items()
        if len(value) >= SHORTEST_SCRUBBED
        and name.lower() not in _PLAIN_HEADERS
        and not value.lower().startswith(_PLAIN_VALUES)
    ]


# Not frozen, though nobody changes them: a frozen instance costs three times as much to make, and these two
# are made for every request.
@define(eq=False)
class HttpRequest:
    """One call's request, the same for each of its attempts."""

    operation: Operation
    path: str
    """Percent-encoded, from `/`."""
    query: tuple[tuple[str, str | Secret], ...] = field(default=(), repr=False)
    """What a caller gives a raw request may be a key."""
    body: Payload | None = None
    """JSON text."""
    upload: Upload | None = None
    """A file to stream, in place of a body."""
    headers: Mapping[str, str] = field(default=NO_HEADERS, repr=False)
    """What this call adds: never the credential."""
    idempotency_key: str | None = None
    streamed: bool = False
    """Whether the answer's body is handed on as it comes."""

    @property
    def has_body(self) -> bool:
        return self.body is not None or self.upload is not None

    def secrets(self) -> list[Secret]:
        """Return the secrets among what is sent: an error that echoes them must not show them.

        The shortest are left out: taking each `a` out of a message would leave none.
        """
        given = [value for _, value in self.query if isinstance(value, Secret)]
        given += () if self.body is None else self.body.secrets
        given += find_header_secrets(self.headers)
        return [secret for secret in given if len(secret.reveal()) >= SHORTEST_SCRUBBED]

    def can_repeat(self) -> bool:
        """Return whether it can be sent again at all: a stream that cannot be rewound cannot."""
        return self.upload is None or self.upload.is_replayable

    def may_resend(self) -> bool:
        """Return whether sending it again cannot do its work twice."""
        return self.can_repeat() and (self.operation.idempotent or self.idempotency_key is not None)

    def changes_nothing(self) -> bool:
        return self.operation.http_method in {"GET", "HEAD"} and self.operation.idempotent


@define(eq=False)
class HttpResponse:
    """The answer to one attempt, read to its end (or to its headers, if it is streamed)."""

    status: int
    headers: Mapping[str, str] = field(repr=False)
    """Case-insensitive."""
    body: Payload
    stream: BodyStream | None = field(default=None, repr=False)
    attempts: int = 0
    """Number of the attempt that this answers, from 1."""


class AttemptFailure(NamedTuple):
    """Why an attempt has no answer."""

    phase: Literal["connect", "exchange"]
    """`connect`: no byte of the request was sent. `exchange`: the service may have acted on it."""
    kind: Literal["connection", "timeout", "tls", "proxy", "too_large", "malformed", "closed"]
    message: str
    """Names no secret: made here, not taken from an exception."""

    @property
    def is_permanent(self) -> bool:
        """Whether the next attempt is bound to fail the same way."""
        return self.kind in {"tls", "proxy", "too_large", "closed"}


Outcome = HttpResponse | AttemptFailure
