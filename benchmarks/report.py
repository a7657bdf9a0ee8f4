"""Figures as a table, ratios first, and as JSON."""

from __future__ import annotations

import platform
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import orjson
from attrs import asdict

from benchmarks.machine import CORES
from benchmarks.measuring import Figure
from benchmarks.targets import Verdict

RESULTS = Path(__file__).parent / "results"
_MEASURED_WITH = ("aiohttp", "orjson", "uvloop", "msgspec", "openrelay-sdk", "httpx", "requests", "sniffio")


def render_table(figures: Sequence[Figure]) -> str:
    """Return the figures as text: ratio, median and spread, then each target with its verdict."""
    lines = [f"{'':42} {'ratio':>8}   {'median':>10}  {'low':>9}…{'high':<9}  target"]
    shown = None
    for figure in figures:
        if figure.benchmark != shown:
            shown = figure.benchmark
            compared = f"; 1 = {figure.baseline}" if figure.baseline else ""
            lines.append(f"\n{shown}  ({figure.unit}{compared})")
        ratio = "" if figure.ratio is None else f"{figure.ratio:.3f}"
        spread = f"{figure.median:10.2f}  {figure.low:9.2f}…{figure.high:<9.2f}"
        line = f"  {figure.contender:40} {ratio:>8}   {spread}"
        verdicts = [_say(verdict) for verdict in figure.verdicts] or [""]
        lines.append(f"{line}  {verdicts[0]}".rstrip())
        lines += [f"{'':{len(line)}}  {verdict}" for verdict in verdicts[1:]]
    return "\n".join(lines)


def render_summary(figures: Sequence[Figure]) -> str:
    """Return how many targets are met, and each that is not."""
    verdicts = [(figure, verdict) for figure in figures for verdict in figure.verdicts]
    missed = [(figure, verdict) for figure, verdict in verdicts if not verdict.is_met]
    lines = [f"{len(verdicts) - len(missed)} of {len(verdicts)} targets met"]
    lines += [
        f"  ✗ {figure.benchmark}, {figure.contender}: {verdict.value:.3g}, target {verdict.target}"
        for figure, verdict in missed
    ]
    return "\n".join(lines)


def describe_versions() -> str:
    """Return in a line what the figures were measured with."""
    return f"Python {platform.python_version()}, " + ", ".join(
        f"{name} {version(name)}" for name in _MEASURED_WITH
    )


def describe_machine() -> dict[str, object]:
    """Return what the figures were measured with."""
    return {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "python": platform.python_version(),
        "machine": platform.platform(),
        "cores": asdict(CORES),
        "versions": {name: version(name) for name in _MEASURED_WITH},
    }


def save(figures: Sequence[Figure], name: str, *, seconds: float) -> Path:
    """Write the figures to `benchmarks/results/` and return the file."""
    RESULTS.mkdir(exist_ok=True)
    content = {**describe_machine(), "seconds": round(seconds), "figures": [asdict(each) for each in figures]}
    path = RESULTS / f"{name}.json"
    path.write_bytes(orjson.dumps(content, option=orjson.OPT_INDENT_2))
    return path


def _say(verdict: Verdict) -> str:
    mark = "★" if verdict.is_stretch_met else "✓" if verdict.is_met else "✗"
    return f"{mark} {verdict.value:.4g} {verdict.target}"
