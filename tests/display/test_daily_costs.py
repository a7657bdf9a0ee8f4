"""`usage.get_daily().plot()`."""

from __future__ import annotations

from collections.abc import Iterator

import matplotlib
import pytest

matplotlib.use("agg")

from matplotlib import pyplot

from openrelay_async.models import DailyUsage


@pytest.fixture(autouse=True)
def close_figures() -> Iterator[None]:
    yield
    pyplot.close("all")


def usage(*days: dict[str, int]) -> DailyUsage:
    points = [
        {
            "date": f"2026-11-{number:02}",
            "cents": sum(day.values()),
            "segments": [{"key": key, "cents": cents} for key, cents in day.items()],
        }
        for number, day in enumerate(days, 1)
    ]
    return DailyUsage.from_wire({"daily": points, "previousCents": 0, "previousSegments": []})


def heights(of: DailyUsage) -> float:
    return round(sum(bar.get_height() for bar in of.plot().patches), 2)  # type: ignore[attr-defined]


def test_all_that_was_paid_is_in_the_bars() -> None:
    assert heights(usage({"h100": 1234, "storage": 6}, {"h100": 100})) == 13.40


def test_more_kinds_than_colours_are_put_together() -> None:
    ax = usage({f"kind-{n}": 100 + n for n in range(20)}).plot()
    assert [text.get_text() for text in ax.get_legend().get_texts()][-1] == "other"  # type: ignore[union-attr]
    assert round(sum(bar.get_height() for bar in ax.patches), 2) == 21.90  # type: ignore[attr-defined]


def test_no_days_are_told() -> None:
    assert usage().plot().get_title(loc="left") == "$0.00 in 0 days"


def test_it_draws_into_axes_that_are_given() -> None:
    _, ax = pyplot.subplots()
    assert usage({"h100": 1}).plot(ax=ax) is ax
