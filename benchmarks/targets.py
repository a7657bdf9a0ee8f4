"""What is asked of a figure: a bound, on itself or on its distance from a contender of the same run.

These are the bounds:

    at_most(45)                                   no more than 45 of the figure's unit
    at_least(1000)                                no less
    at_most(1.05, times="aiohttp, by hand")       at most 1.05 times as much as that contender, round by round
    at_most(10, over="bare Python")               at most 10 of the unit more than that contender
"""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence

from attrs import field, frozen

Samples = Mapping[str, Sequence[float]]
"""What each contender needed, round by round."""


@frozen
class Verdict:
    """A target, and how far a contender got."""

    target: str
    value: float
    is_met: bool
    is_stretch_met: bool
    """Whether even the more ambitious bound is kept, where there is one."""


@frozen
class Target:
    """A bound that a contender's figure must keep."""

    bound: float
    is_floor: bool = False
    """Whether more is better."""
    times: str | None = field(default=None, kw_only=True)
    """The bound is on the ratio to this contender."""
    over: str | None = field(default=None, kw_only=True)
    """The bound is on the difference from this contender."""
    stretch: float | None = field(default=None, kw_only=True)
    """A more ambitious bound; missing it is no failure."""

    def judge(self, contender: str, samples: Samples) -> Verdict:
        """Return how a contender did, by the median over the rounds that both took part in."""
        own = samples[contender]
        if self.times is not None:
            value = median_ratio(own, samples[self.times])
        elif self.over is not None:
            value = statistics.median(a - b for a, b in zip(own, samples[self.over], strict=False))
        else:
            value = statistics.median(own)
        return Verdict(str(self), value, self._keeps(value, self.bound), self._keeps(value, self.stretch))

    def _keeps(self, value: float, bound: float | None) -> bool:
        if bound is None:
            return False
        return value >= bound if self.is_floor else value <= bound

    def __str__(self) -> str:
        sign = "≥" if self.is_floor else "≤"
        stretch = "" if self.stretch is None else f" (stretch {self.stretch:.3g})"
        if self.times is not None:
            return f"{sign} {self.bound:.3g} × {self.times}{stretch}"
        if self.over is not None:
            return f"{sign} {self.bound:g} over {self.over}{stretch}"
        return f"{sign} {self.bound:g}{stretch}"


def at_most(
    bound: float, *, times: str | None = None, over: str | None = None, stretch: float | None = None
) -> Target:
    """Return the target of needing no more than this."""
    return Target(bound, times=times, over=over, stretch=stretch)


def at_least(bound: float, *, times: str | None = None, stretch: float | None = None) -> Target:
    """Return the target of reaching this or more."""
    return Target(bound, is_floor=True, times=times, stretch=stretch)


def median_ratio(own: Sequence[float], other: Sequence[float]) -> float:
    """Return the median of the rounds' ratios: the figure that travels between machines.

    A contender that is too slow for every round has fewer of them: the first ones are compared.
    """
    return statistics.median(a / b if b else float("inf") for a, b in zip(own, other, strict=False))
