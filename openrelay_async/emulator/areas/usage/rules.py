"""Usage is Σ price × time, exact until it is rounded to cents, once. Pure rules."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime

import attrs

from openrelay_async.emulator.metering import HOUR, Span, ticks


@attrs.frozen
class UsageItem:
    """What one kind of thing cost."""

    key: str
    cents: int
    hours: float


def round_cents(amount: int) -> int:
    """Cent-microseconds-per-hour as whole cents, half a cent up."""
    return (amount + HOUR // 2) // HOUR


def total_cents(spans: Iterable[Span], since: float, until: float) -> int:
    start, end = ticks(since), ticks(until)
    return round_cents(sum(span.cents_per_hour * span.length(start, end) for span in spans))


def break_down(spans: Iterable[Span], since: float, until: float) -> list[UsageItem]:
    """Usage by item; cents add up to `total_cents`, the largest remainders taking what rounding leaves."""
    start, end = ticks(since), ticks(until)
    amounts: dict[str, int] = {}
    lengths: dict[str, int] = {}
    for span in spans:
        length = span.length(start, end)
        amounts[span.item] = amounts.get(span.item, 0) + span.cents_per_hour * length
        lengths[span.item] = lengths.get(span.item, 0) + length
    cents = {item: amount // HOUR for item, amount in amounts.items()}
    left = round_cents(sum(amounts.values())) - sum(cents.values())
    for item in sorted(amounts, key=lambda item: (-(amounts[item] % HOUR), item))[:left]:
        cents[item] += 1
    return [UsageItem(item, cents[item], lengths[item] / HOUR) for item in sorted(amounts) if lengths[item]]


def month_start(now: float) -> float:
    """The first moment of the month, in UTC."""
    at = datetime.fromtimestamp(now, UTC)
    return datetime(at.year, at.month, 1, tzinfo=UTC).timestamp()


def day_start(now: float) -> float:
    return now - now % 86400


def runway_hours(available_cents: float, burn_per_hour: int) -> float | None:
    """How long the money lasts; None while nothing burns it."""
    return None if burn_per_hour <= 0 else round(max(0.0, available_cents) / burn_per_hour, 2)


def summarize(items: Iterable[UsageItem]) -> Mapping[str, int]:
    return {item.key: item.cents for item in items}
