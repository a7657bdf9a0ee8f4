"""Is a delivery from the service, and fresh? Pure, but for asking the time where none is given."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from datetime import datetime

from openrelay_async.errors import ConfigurationError, WebhookError
from openrelay_async.events import AnyWebhookEvent, parse_event, time_of
from openrelay_async.redaction import Payload, Secret
from openrelay_async.signatures import (
    MALFORMED,
    NO_SECRET,
    SIGNATURE_HEADER,
    HeadersInput,
    check_signature,
)
from openrelay_async.webhook_secrets import SecretsInput, WebhookSecrets, conceal_secrets, read_secrets

STALE = "STALE"
TOLERANCE = 300.0


def verify(
    raw: bytes,
    headers: HeadersInput,
    secrets: SecretsInput,
    tolerance: float | None = TOLERANCE,
    now: float | datetime | None = None,
    signature_header: str = SIGNATURE_HEADER,
) -> AnyWebhookEvent:
    """Return the event of a delivery that one of the secrets signed and that is fresh.

    The signature is checked before anything is parsed. Freshness comes from `created_at` in the signed body,
    which stays the same when the service tries again, for the third time 370 s after the event: give 600 to
    accept these too, and drop repeats by the event's id (the receivers do both).

    Args:
        raw: the body's bytes as received, before any decoding.
        headers: a mapping (any case), or pairs.
        secrets: the webhook's secret, several while one is rolled, or `WebhookSecrets`.
        tolerance: seconds that `created_at` may be from now, in either direction; `None` for any.
        now: Unix time in seconds or an aware `datetime`; by default this machine's clock.
        signature_header: name of the signature's header.

    Raises:
        WebhookError: the delivery is malformed, not signed with one of the secrets, or not fresh. `code` is
            `MALFORMED`, `SIGNATURE_MISSING`, `SIGNATURE_MALFORMED`, `SIGNATURE_MISMATCH`, `STALE` or
            `NO_SECRET`.
        ConfigurationError: `tolerance`, `now` or `signature_header` cannot be.
    """
    # First of all, so that no frame that can fail shows them.
    secrets = conceal_secrets(secrets)
    body = _conceal_body(raw)
    del raw
    at = _read_now(now)
    hidden = _read_secrets(secrets, at)
    check_tolerance(tolerance)
    check_header_name(signature_header)
    if hidden is None:
        raise WebhookError("a secret must be a text or a Secret", code=NO_SECRET)
    if isinstance(body, str):
        raise WebhookError(f"the body must be bytes as received, not {body}", code=MALFORMED)
    check_signature(body, headers, hidden, signature_header)
    event = parse_event(body.data)
    if tolerance is not None:
        age = at - time_of(event).timestamp()
        if abs(age) > tolerance:
            direction = "old" if age > 0 else "in the future"
            raise WebhookError(
                f"the event is {abs(age):.0f} s {direction}, the tolerance is {tolerance:g} s", code=STALE
            )
    return event


def _conceal_body(raw: object) -> Payload | str:
    """Return the body, or the name of its type if it is none."""
    return Payload(raw) if isinstance(raw, bytes) else type(raw).__name__


def check_tolerance(tolerance: float | None) -> None:
    """Raise `ConfigurationError` unless it is a number of seconds, zero or more, or `None`."""
    if tolerance is not None and not (_is_number(tolerance) and tolerance >= 0):
        raise ConfigurationError("tolerance must be seconds, zero or more, or None for any age")


def check_header_name(name: object) -> None:
    """Raise `ConfigurationError` unless it can be the signature's header."""
    if not isinstance(name, str) or not name.strip():
        raise ConfigurationError(f"signature_header must be a header's name, such as {SIGNATURE_HEADER}")


def _is_number(value: object) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    try:
        return not math.isnan(value)
    except OverflowError:
        return False  # an integer beyond all floats


def _read_now(now: float | datetime | None) -> float:
    if now is None:
        return time.time()
    if isinstance(now, datetime) and now.tzinfo is not None:
        return now.timestamp()
    if isinstance(now, datetime) or not _is_number(now):
        raise ConfigurationError("now must be seconds since 1970 or a datetime with a time zone")
    return now


def _read_secrets(given: WebhookSecrets | list[Secret], at: float) -> Sequence[Secret] | None:
    try:
        return read_secrets(given, at)
    except TypeError:
        return None
