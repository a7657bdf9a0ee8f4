"""Measuring by turns: every contender once a round, so that a slow moment strikes all alike."""

from __future__ import annotations

import gc
import os
import shutil
import statistics
from collections.abc import Callable, Mapping
from pathlib import Path

from attrs import asdict, frozen

OURS = "openrelay_async"


@frozen
class Figure:
    """What a contender needed, and how that compares with the baseline of the same rounds."""

    benchmark: str
    contender: str
    unit: str
    median: float
    low: float
    high: float
    ratio: float
    """Median of the rounds' ratios to the baseline: the figure that travels between machines."""
    baseline: str
    target: float | None = None
    """Highest ratio that targets.md allows."""

    @property
    def is_met(self) -> bool | None:
        return None if self.target is None else self.ratio <= self.target


def compare(
    benchmark: str,
    contenders: Mapping[str, Callable[[], float]],
    *,
    baseline: str,
    unit: str,
    rounds: int,
    targets: Mapping[str, float] | None = None,
) -> list[Figure]:
    """Run every contender `rounds` times by turns and return a figure for each.

    A contender returns what it measured; the first round warms up and is not counted.
    """
    samples: dict[str, list[float]] = {name: [] for name in contenders}
    for turn in range(rounds + 1):
        for name, run in contenders.items():
            gc.collect()
            value = run()
            if turn:
                samples[name].append(value)
    return [
        Figure(
            benchmark=benchmark,
            contender=name,
            unit=unit,
            median=statistics.median(values),
            low=min(values),
            high=max(values),
            ratio=statistics.median(a / b for a, b in zip(values, samples[baseline], strict=True)),
            baseline=baseline,
            target=(targets or {}).get(name),
        )
        for name, values in samples.items()
    ]


def cores() -> tuple[int | None, int | None]:
    """Return a core for the client and one for the server; none of both where there is only one."""
    available = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []
    if len(available) < 2 or shutil.which("taskset") is None:
        return None, None
    return available[0], available[1]


def table(figures: list[Figure]) -> str:
    """Return the figures as text, ratios first."""
    lines = [f"{'':44} {'ratio':>8} {'target':>8}      {'median':>10}  {'low':>9}…{'high':<9}"]
    shown = None
    for figure in figures:
        if figure.benchmark != shown:
            shown = figure.benchmark
            lines.append(f"\n{shown}  ({figure.unit}; 1 = {figure.baseline})")
        target = "" if figure.target is None else f"≤ {figure.target:g}"
        verdict = {None: "", True: "✓", False: "✗"}[figure.is_met]
        lines.append(
            f"  {figure.contender:42} {figure.ratio:8.3f} {target:>8} {verdict:3}  {figure.median:10.2f}"
            f"  {figure.low:9.2f}…{figure.high:<9.2f}"
        )
    return "\n".join(lines)


def as_json(figures: list[Figure]) -> list[dict[str, object]]:
    return [{**asdict(figure), "is_met": figure.is_met} for figure in figures]


RESULTS = Path(__file__).parent / "results"
