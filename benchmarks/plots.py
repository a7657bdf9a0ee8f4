"""`python -m benchmarks.plots [results.json]`: cost against concurrency, page size, number of waits, as PNG.

Draws what a run has measured, by default the last whole one; the pictures go beside its JSON file. A line is
the median of the rounds, its shade goes from the lowest to the highest.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import matplotlib as mpl
import orjson
from attrs import frozen
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Picture
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from benchmarks.peers import (
    BY_HAND,
    HTTPX,
    JSON_LOADS,
    OFFICIAL,
    OFFICIAL_WITHOUT_SNIFFIO,
    OURS,
    SEMAPHORE,
    TUNED,
)
from benchmarks.report import RESULTS

LATEST = RESULTS / "latest.json"
_COLOURS = {
    OURS: "#c2185b",
    f"{OURS}, wait": "#c2185b",
    f"{OURS}, wait_all": "#7b1fa2",
    BY_HAND: "#1565c0",
    TUNED: "#00838f",
    JSON_LOADS: "#90a4ae",
    SEMAPHORE: "#4fc3f7",
    HTTPX: "#ef6c00",
    OFFICIAL: "#2e7d32",
    OFFICIAL_WITHOUT_SNIFFIO: "#9ccc65",
    "msgspec.Struct": "#5d4037",
}
_FEW_DECADES = 100
"""Axes that span less are labelled at 2 and 5, too."""
Series = Mapping[str, list[dict[str, Any]]]
"""Figures of each line, by what varies."""


@frozen
class Panel:
    """One pair of axes."""

    curve: str
    title: str
    x: str
    y: str
    limit: tuple[float, str] | None = None
    """A bound to draw, and its label."""
    identity: str | None = None
    """Label of the line where y is x: what one call each would need."""


PICTURES: Mapping[str, tuple[Panel, ...]] = {
    "concurrency": (
        Panel(
            "concurrency",
            "Cost of one vms.get",
            "callers at once",
            "client CPU a request (µs)",
        ),
    ),
    "page_size": (
        Panel("page size, decoding", "Decoding JSON text", "items of a page", "CPU an item (µs)"),
        Panel("page size, whole list", "Listing, requests included", "items of a page", "CPU an item (µs)"),
    ),
    "waits": (
        Panel(
            "waits, processor time",
            "Processor time at a 10 s interval",
            "waits",
            "share of one core (%)",
            limit=(2.0, "target: 2 % for 10,000"),
        ),
        Panel(
            "waits, list calls of a tick",
            "Requests of a tick",
            "waits",
            "list calls",
            identity="one get each",
        ),
    ),
}  # fmt: skip


def draw_all(path: Path = LATEST) -> list[Path]:
    """Draw every picture whose curves a run has measured; return the files."""
    mpl.use("Agg")
    figures: list[dict[str, Any]] = orjson.loads(path.read_bytes())["figures"]
    pictures = []
    for name, panels in PICTURES.items():
        lines = {panel.curve: _collect(figures, panel.curve) for panel in panels}
        if all(lines.values()):
            pictures.append(_draw(name, panels, lines, path.parent))
    return pictures


def _collect(figures: Iterable[dict[str, Any]], curve: str) -> Series:
    """Return the points of a curve by line, of each x the one that was measured first."""
    found: dict[str, dict[float, dict[str, Any]]] = {}
    for figure in figures:
        point = figure["point"]
        if point is not None and point["curve"] == curve:
            line = found.setdefault(point["series"] or figure["contender"], {})
            line.setdefault(point["x"], figure)
    series = {
        name: [{**line[x], "x": x} for x in sorted(line)] for name, line in found.items() if len(line) > 1
    }
    return dict(sorted(series.items(), key=lambda item: -item[1][-1]["median"]))


def _draw(name: str, panels: tuple[Panel, ...], lines: Mapping[str, Series], folder: Path) -> Path:
    picture = Picture(figsize=(7.5 * len(panels), 5.2), layout="constrained", dpi=130)
    for axes, panel in zip(picture.subplots(1, len(panels), squeeze=False)[0], panels, strict=True):
        _draw_panel(axes, panel, lines[panel.curve])
    path = folder / f"{name}.png"
    picture.savefig(path)
    return path


def _draw_panel(axes: Axes, panel: Panel, series: Series) -> None:
    axes.set_xscale("log")
    axes.set_yscale("log")
    for name, points in series.items():
        xs = [point["x"] for point in points]
        is_ours = name.startswith(OURS)
        (line,) = axes.plot(
            xs,
            [point["median"] for point in points],
            marker="o",
            markersize=5 if is_ours else 3.5,
            linewidth=2.4 if is_ours else 1.3,
            color=_COLOURS.get(name),
            linestyle="--" if name.endswith("wait_all") else "-",
            zorder=3 if is_ours else 2,
            label=name,
        )
        lows, highs = [point["low"] for point in points], [point["high"] for point in points]
        axes.fill_between(xs, lows, highs, color=line.get_color(), alpha=0.13, linewidth=0)
    if panel.limit is not None:
        axes.axhline(panel.limit[0], color="#d32f2f", linestyle="--", linewidth=1, label=panel.limit[1])
    if panel.identity is not None:
        xs = sorted({point["x"] for points in series.values() for point in points})
        axes.plot(xs, xs, color="#9e9e9e", linestyle="--", linewidth=1.3, label=panel.identity)
    axes.set_title(panel.title, loc="left", fontweight="bold")
    axes.set_xlabel(panel.x)
    axes.set_ylabel(panel.y)
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,g}"))
    low, high = axes.get_ylim()
    if high / low < _FEW_DECADES:
        axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.yaxis.set_minor_formatter(NullFormatter())
    axes.grid(visible=True, which="major", color="#e0e0e0")
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, fontsize=9)


def main() -> int:
    path = Path(sys.argv[1]) if len(sys.argv) > 1 else LATEST
    if not path.exists():
        print(f"{path} does not exist: python -m benchmarks.run writes it", file=sys.stderr)
        return 1
    for picture in draw_all(path):
        print(picture)
    return 0


if __name__ == "__main__":
    sys.exit(main())
