"""What tests may look at afterwards: the requests that came in, without anything secret."""

from __future__ import annotations

from collections.abc import Mapping

import attrs

from openrelay_async.emulator.faults import Fault

# Named one by one: a header that nobody thought of may carry a credential.
_SHOWN = frozenset(
    {
        "accept",
        "accept-encoding",
        "connection",
        "content-encoding",
        "content-length",
        "content-type",
        "idempotency-key",
        "traceparent",
        "transfer-encoding",
        "user-agent",
    }
)
_SHOWN_PREFIXES = ("x-openrelay-", "x-stainless-", "x-retry-", "x-attempt")


@attrs.frozen
class SeenRequest:
    """One request as it arrived, and how it was answered."""

    method: str
    path: str
    """Percent-encoded as it came, without the query (it may hold tokens)."""
    operation: str | None
    """Operation id; None if no operation has this path."""
    status: int | None
    """None if the connection was reset instead of an answer."""
    headers: Mapping[str, str]
    """Those that describe the attempt, names in lower case; credentials are left out."""
    request_id: str
    at: float
    """On the emulator's clock, seconds since 1970."""
    fault: Fault | None = None


def safe_headers(headers: Mapping[str, str]) -> dict[str, str]:
    """The headers that cannot be credentials."""
    return {
        name.lower(): value
        for name, value in headers.items()
        if name.lower() in _SHOWN or name.lower().startswith(_SHOWN_PREFIXES)
    }
