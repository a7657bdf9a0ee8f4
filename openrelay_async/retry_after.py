"""The Retry-After header: a number of seconds or a date (RFC 9110, section 10.2.3)."""

from __future__ import annotations

import math
import re
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

_DECIMAL = re.compile(r"[0-9]+(?:\.[0-9]+)?")


def parse_retry_after(value: str | None, *, date: str | None, now: float) -> float | None:
    """Return the seconds to wait, or `None` if the header is absent or says nothing that can be kept.

    Args:
        value: the header's text. Only a plain decimal number or an HTTP-date counts: `nan`, `1e9999`, a
            negative number or words are as good as no header.
        date: the answer's `Date` header. A date to wait for is the server's time, so it is read against
            the server's clock, not this machine's.
        now: this machine's wall clock in Unix seconds, used if there is no `Date`.
    """
    text = (value or "").strip(" \t")
    if _DECIMAL.fullmatch(text):
        seconds = float(text)
        return seconds if math.isfinite(seconds) else None
    until = _parse_http_date(text)
    if until is None:
        return None
    sent = _parse_http_date((date or "").strip(" \t"))
    return max(0.0, until - (now if sent is None else sent))


def _parse_http_date(text: str) -> float | None:
    if "," not in text and not text.endswith(tuple("0123456789")):
        return None
    try:
        moment = parsedate_to_datetime(text)
        return _as_utc(moment).timestamp()
    except (ValueError, TypeError, IndexError, OverflowError):
        return None


def _as_utc(moment: datetime) -> datetime:
    # RFC 9110 dates are in UTC, the asctime form without saying so.
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment
