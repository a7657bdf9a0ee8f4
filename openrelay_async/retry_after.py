"""The Retry-After header: a number of seconds or a date (RFC 9110, section 10.2.3)."""

from __future__ import annotations

import math
import re
from datetime import UTC, datetime

_DECIMAL = r"[0-9]+(?:\.[0-9]+)?"
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_TIME = r"(?P<hour>\d\d):(?P<minute>\d\d):(?P<second>\d\d)"
_DATES = (
    # The three forms of RFC 9110, section 5.6.7: today's, that of RFC 850, and that of C's asctime.
    rf"[a-z]{{3}}, (?P<day>\d\d) (?P<month>[a-z]{{3}}) (?P<year>\d{{4}}) {_TIME} (?:GMT|UTC|\+0000)",
    rf"[a-z]{{6,9}}, (?P<day>\d\d)-(?P<month>[a-z]{{3}})-(?P<year>\d\d) {_TIME} (?:GMT|UTC)",
    rf"[a-z]{{3}} (?P<month>[a-z]{{3}}) (?P<day>[ \d]\d) {_TIME} (?P<year>\d{{4}})",
)


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
    if re.fullmatch(_DECIMAL, text):
        seconds = float(text)
        return seconds if math.isfinite(seconds) else None
    until = _parse_http_date(text, now)
    if until is None:
        return None
    sent = _parse_http_date((date or "").strip(" \t"), now)
    return max(0.0, until - (now if sent is None else sent))


def _parse_http_date(text: str, now: float) -> float | None:
    # Not `email.utils`: it takes dates of mails too, with any zone or none, and refuses a leap second.
    for form in _DATES:
        # Compiled only when a service first sends a date.
        found = re.fullmatch(form, text, re.ASCII | re.IGNORECASE)
        if found is not None:
            break
    else:
        return None
    month = found["month"].lower()
    if month not in _MONTHS:
        return None
    year = int(found["year"])
    if len(found["year"]) == 2:
        # A year of two digits that seems more than 50 years ahead is the past one with these digits.
        this_year = datetime.fromtimestamp(now, UTC).year
        year += this_year - this_year % 100
        year -= 100 if year > this_year + 50 else 0
    # 60 is a leap second, which Unix time does not have.
    second = min(int(found["second"]), 59)
    try:
        moment = datetime(
            year,
            _MONTHS.index(month) + 1,
            int(found["day"]),
            int(found["hour"]),
            int(found["minute"]),
            second,
            tzinfo=UTC,
        )
    except ValueError:
        return None
    return moment.timestamp()
