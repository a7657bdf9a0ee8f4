"""A plot of what each day cost, for those who have matplotlib: the extra `plot`."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_COLORS = ("#4269d0", "#efb118", "#ff725c", "#6cc5b0", "#a463f2", "#9c6b4e", "#97bbf5", "#9498a0")
"""Told apart also by those who see fewer colours; the last is for what is small."""


class _Segment(Protocol):
    @property
    def cents(self) -> int: ...
    @property
    def key(self) -> str: ...


class _Day(Protocol):
    @property
    def cents(self) -> int: ...
    @property
    def date(self) -> date | None: ...
    @property
    def segments(self) -> Sequence[_Segment]: ...


class HasDays(Protocol):
    """What there is to plot."""

    @property
    def daily(self) -> Sequence[_Day]: ...


class DailyCosts:
    """Gives the answer of `usage.get_daily()` its `plot()`."""

    __slots__ = ()

    def plot(self: HasDays, *, ax: Axes | None = None) -> Axes:
        """Draw the cost of each day as a bar, divided by kind of use, and return the axes.

        In a notebook it shows as the cell's output; elsewhere `ax.figure.savefig("costs.png")` keeps it.

        Args:
            ax: axes to draw into, instead of a new figure.

        Raises:
            ImportError: matplotlib is not installed.
        """
        return _draw(self.daily, ax)


def _draw(days: Sequence[_Day], ax: Axes | None) -> Axes:
    try:
        from matplotlib import pyplot  # an extra, and slow to import
    except ImportError:
        problem = "plot() needs matplotlib: pip install 'openrelay-async[plot]'"
    else:
        return _draw_with(
            pyplot.subplots(figsize=(9, 3.2), layout="constrained")[1] if ax is None else ax, days
        )
    raise ImportError(problem)


def _draw_with(ax: Axes, days: Sequence[_Day]) -> Axes:
    known = [(day.date, day) for day in days if day.date is not None]
    places = range(len(known))
    below = [0.0] * len(known)
    for color, (name, costs) in zip(_COLORS, _divide([day for _, day in known]), strict=False):
        ax.bar(places, costs, bottom=below, width=0.8, label=name, color=color)
        below = [low + cost for low, cost in zip(below, costs, strict=True)]
    total = sum(day.cents for day in days) / 100
    ax.set_title(f"${total:,.2f} in {len(days)} days", loc="left", fontsize=11)
    # Cents are the smallest step, also where next to nothing was used.
    ax.set_ylim(0, max(ax.get_ylim()[1], 0.05))
    ax.locator_params(axis="y", nbins=5)
    ax.yaxis.set_major_formatter(
        lambda value, _: f"${value:,.0f}" if value >= 10 or not value else f"${value:,.2f}"
    )
    ax.spines[["top", "right", "left"]].set_visible(False)
    ax.grid(axis="y", alpha=0.25)
    ax.set_axisbelow(True)
    ax.tick_params(length=0)
    if known:
        step = max(1, -(-len(known) // 10))
        labels = [f"{when.day} {when:%b}" for when, _ in known]
        ax.set_xticks(list(places)[::step], labels[::step])
        ax.legend(frameon=False, fontsize=9, loc="upper left", bbox_to_anchor=(1, 1))
    else:
        ax.text(0.5, 0.5, "no days", transform=ax.transAxes, ha="center", va="center", alpha=0.6)
    return ax


def _divide(days: Sequence[_Day]) -> list[tuple[str, list[float]]]:
    """Return the dollars of each day by kind of use, the dearest kinds first and the small ones together."""
    totals: dict[str, int] = {}
    for day in days:
        for segment in day.segments:
            totals[segment.key] = totals.get(segment.key, 0) + segment.cents
    names = sorted(totals, key=lambda name: -totals[name])
    named, small = names[: len(_COLORS) - 1], set(names[len(_COLORS) - 1 :])
    rows = [
        (name, [sum(part.cents for part in day.segments if part.key == name) / 100 for day in days])
        for name in named
    ]
    rest = [
        (day.cents - sum(part.cents for part in day.segments if part.key not in small)) / 100 for day in days
    ]
    return [*rows, ("other", rest)] if any(rest) else rows
