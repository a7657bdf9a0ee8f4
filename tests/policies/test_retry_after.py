"""The Retry-After header: what counts, what does not, and against which clock (R3.4)."""

from __future__ import annotations

import math
import string
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime, parsedate_to_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openrelay_async.retry_after import parse_retry_after

NOW = datetime(2026, 11, 23, 12, 0, 0, tzinfo=UTC)


def parse(value: str | None, *, date: str | None = None) -> float | None:
    return parse_retry_after(value, date=date, now=NOW.timestamp())


def http(moment: datetime) -> str:
    return format_datetime(moment, usegmt=True)


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("0", 0.0),
        ("1", 1.0),
        ("120", 120.0),
        ("1.5", 1.5),
        ("007", 7.0),
        (" 3\t", 3.0),
        ("Mon, 23 Nov 2026 12:00:30 GMT", 30.0),
        ("Monday, 23-Nov-26 12:00:30 GMT", 30.0),
        ("Mon Nov 23 12:00:30 2026", 30.0),
        ("Sun Nov  1 12:00:30 2026", 0.0),
        ("mon, 23 nov 2026 12:00:30 gmt", 30.0),
        ("Mon, 23 Nov 2026 11:00:00 GMT", 0.0),
        ("Thu, 01 Jan 1970 00:00:00 GMT", 0.0),
        ("Friday, 01-Jan-99 00:00:00 GMT", 0.0),
        ("Mon, 23 Nov 2026 12:00:60 GMT", 59.0),
    ],
)
def test_a_time_that_can_be_kept(value: str, seconds: float):
    """R3.4: what has passed is zero."""
    assert parse(value) == seconds


@pytest.mark.parametrize(
    "value",
    [
        None,
        "",
        " ",
        "-1",
        "+1",
        "nan",
        "inf",
        "1e3",
        "1e9999",
        "0x10",
        "1_000",
        "1,5",
        ".5",
        "5.",
        "9" * 400,
        "٣",
        "５",
        "soon",
        "1 second",
        "1;2",
        "Mon, 31 Feb 2026 12:00:00 GMT",
        "Mon, 23 Foo 2026 12:00:00 GMT",
        "Mon, 23 Nov 2026 25:00:00 GMT",
        "Mon, 23 Nov 2026 12:00:00 -0500",
        "Mon, 23 Nov 2026",
        "2026-11-23T12:00:30Z",
        "12:00:30",
        "Mon, 23 Nov 0000 12:00:00 GMT",
    ],
)
def test_anything_else_counts_as_absent(value: str | None):
    """R3.4"""
    assert parse(value) is None


def test_a_date_is_read_against_the_servers_clock():
    """R3.4: this machine's clock may be an hour wrong."""
    server = NOW + timedelta(hours=1)
    assert parse(http(server + timedelta(seconds=20)), date=http(server)) == 20.0


@pytest.mark.parametrize("date", ["", "yesterday", "Mon, 99 Nov 2026 12:00:00 GMT"])
def test_a_date_header_that_is_none_leaves_this_machines_clock(date: str):
    assert parse(http(NOW + timedelta(seconds=20)), date=date) == 20.0


@given(st.integers(min_value=0, max_value=10**9))
def test_every_whole_number_of_seconds_is_itself(seconds: int):
    assert parse(str(seconds)) == float(seconds)


@given(st.decimals(min_value=0, max_value=10**6, places=3, allow_nan=False))
def test_every_decimal_number_of_seconds_is_itself(seconds: object):
    assert parse(f"{seconds:f}") == float(f"{seconds:f}")


MOMENTS = st.datetimes(datetime(1, 1, 1), datetime(9999, 12, 31, 23, 59, 59)).map(  # noqa: DTZ001 - UTC follows
    lambda moment: moment.replace(microsecond=0, tzinfo=UTC)
)


@given(MOMENTS, MOMENTS)
def test_every_http_date_is_the_time_between_it_and_the_servers(until: datetime, sent: datetime):
    """R3.4"""
    seconds = parse(http(until), date=http(sent))
    assert seconds == max(0.0, (until - sent).total_seconds())


@given(MOMENTS.filter(lambda moment: moment.year >= 1000))  # it takes earlier years for short ones
def test_the_standard_library_reads_dates_alike(moment: datetime):
    text = http(moment)
    assert parsedate_to_datetime(text) == moment
    assert parse(text, date="Thu, 01 Jan 0001 00:00:00 GMT") == pytest.approx(
        (moment - datetime(1, 1, 1, tzinfo=UTC)).total_seconds()
    )


@given(st.one_of(st.text(), st.text(alphabet=string.digits + "+-.eE ,:GMTnaif")))
def test_no_text_whatsoever_breaks_it(text: str):
    """R3.4: the answer is absent, or a finite number that is not negative."""
    seconds = parse(text, date=text)
    assert seconds is None or (math.isfinite(seconds) and seconds >= 0)
