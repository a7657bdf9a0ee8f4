"""Usage of the month, and day by day."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime

from openrelay_async.emulator.answers import Answer
from openrelay_async.emulator.areas.billing.ledger import AUTO_STOP_FLOOR, read_standing
from openrelay_async.emulator.areas.usage.rules import (
    break_down,
    day_start,
    month_start,
    runway_hours,
    summarize,
    total_cents,
)
from openrelay_async.emulator.call import Call
from openrelay_async.emulator.metering import burn_per_hour, read_spans

_DAY = 86400.0
_MOST_DAYS = 90


def get_current(call: Call) -> Answer:
    month = month_start(call.now)
    spans = read_spans(call.database, call.org_id, month, call.now)
    items = break_down(spans, month, call.now)
    burn = burn_per_hour(call.database, call.org_id, call.now)
    available = read_standing(call.database, call.org_id, call.now).available
    return Answer(
        {
            "usageCents": total_cents(spans, month, call.now),
            "usageHours": sum(item.hours for item in items),
            "breakdown": [{"key": item.key, "cents": item.cents, "hours": item.hours} for item in items],
            "burnPerHourCents": burn,
            "autoStopFloorCents": AUTO_STOP_FLOOR,
            "projectedRunwayHours": runway_hours(available, burn),
        }
    )


def get_daily(call: Call) -> Answer:
    days = call.query.bounded("days", 30, least=1, most=_MOST_DAYS)
    first = day_start(call.now) - (days - 1) * _DAY
    before = first - days * _DAY
    spans = read_spans(call.database, call.org_id, before, call.now)
    daily: list[dict[str, object]] = []
    for number in range(days):
        start = first + number * _DAY
        end = min(start + _DAY, call.now)
        daily.append(
            {
                "date": datetime.fromtimestamp(start, UTC).date().isoformat(),
                "cents": total_cents(spans, start, end),
                "segments": _segments(summarize(break_down(spans, start, end))),
            }
        )
    return Answer(
        {
            "daily": daily,
            "previousCents": total_cents(spans, before, first),
            "previousSegments": _segments(summarize(break_down(spans, before, first))),
        }
    )


def _segments(cents: Mapping[str, int]) -> list[dict[str, object]]:
    return [{"key": key, "cents": value} for key, value in cents.items()]


HANDLERS = {"getCurrentUsage": get_current, "getDailyUsage": get_daily}
