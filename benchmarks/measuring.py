"""Measuring by turns: every contender once a round, so that a slow moment strikes all alike."""

from __future__ import annotations

import gc
import statistics
from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

from attrs import frozen

from benchmarks.targets import Samples, Target, Verdict, median_ratio

T = TypeVar("T")


@frozen
class Point:
    """Where a figure stands on a curve, for the plots."""

    curve: str
    """Such as `concurrency`."""
    x: float
    series: str | None = None
    """The line that it belongs to, where that is not the contender's name."""


@frozen
class Figure:
    """What a contender needed, set against the baseline of the same rounds and against targets."""

    benchmark: str
    contender: str
    unit: str
    median: float
    low: float
    high: float
    rounds: int
    ratio: float | None
    """Median of the rounds' ratios to the baseline; `None` where nobody is compared."""
    baseline: str | None
    verdicts: tuple[Verdict, ...] = ()
    point: Point | None = None


def take_turns(
    contenders: Mapping[str, Callable[[], T]],
    *,
    rounds: int,
    fewer: Mapping[str, int] | None = None,
    is_warm: bool = False,
) -> dict[str, list[T]]:
    """Run every contender `rounds` times by turns and return what each run gave.

    Args:
        contenders: what to run, by name.
        rounds: how often.
        fewer: contenders that are too slow for so many rounds, and how many they take part in.
        is_warm: whether the first round counts already; else one that does not is run before it.
    """
    runs: dict[str, list[T]] = {name: [] for name in contenders}
    for turn in range(0 if is_warm else -1, rounds):
        for name, run in contenders.items():
            if turn >= (fewer or {}).get(name, rounds) or (turn < 0 and name in (fewer or {})):
                continue
            gc.collect()
            value = run()
            if turn >= 0:
                runs[name].append(value)
    return runs


def compare(
    benchmark: str,
    samples: Samples,
    *,
    unit: str,
    baseline: str | None = None,
    targets: Mapping[str, Sequence[Target]] | None = None,
    point: Point | None = None,
) -> list[Figure]:
    """Return a figure for each contender from what it needed round by round."""
    return [
        Figure(
            benchmark=benchmark,
            contender=name,
            unit=unit,
            median=statistics.median(values),
            low=min(values),
            high=max(values),
            rounds=len(values),
            ratio=None if baseline is None else median_ratio(values, samples[baseline]),
            baseline=baseline,
            verdicts=tuple(target.judge(name, samples) for target in (targets or {}).get(name, ())),
            point=point,
        )
        for name, values in samples.items()
    ]


def pick(runs: Mapping[str, Sequence[Mapping[str, float]]], what: str) -> dict[str, list[float]]:
    """Return the samples of one of several quantities that each run told."""
    return {name: [run[what] for run in rounds] for name, rounds in runs.items()}
