"""Whether a request costs the same among 10,000 as alone, and the same after many as at first."""

from __future__ import annotations

import asyncio
import functools

from benchmarks.load_server import serving
from benchmarks.measuring import Figure, Point, compare, take_turns
from benchmarks.peers import OURS, SEMAPHORE, Call, open_calls
from benchmarks.per_request import UNIT, spend
from benchmarks.soak import measure_soak
from benchmarks.targets import at_most

FLAT = 1.1


def measure(*, quick: bool) -> list[Figure]:
    """Measure by concurrent callers, then over many requests; `python -m benchmarks.soak` makes a million."""
    if quick:
        return _measure_callers((1, 100, 1_000), requests=200, rounds=2) + measure_soak(6_000)
    return _measure_callers((1, 100, 1_000, 10_000), requests=2_000, rounds=5) + measure_soak(40_000)


def _measure_callers(levels: tuple[int, ...], *, requests: int, rounds: int) -> list[Figure]:
    """Compare all levels in the same rounds.

    aiohttp by hand stands beside: with more callers the machine's own caches miss more often, and with one
    each request pays a turn of the loop of its own. What costs less than alone is no miss.
    """
    with serving() as url, asyncio.Runner() as runner:
        opened = open_calls(url, (SEMAPHORE, OURS))
        calls = runner.run(opened.__aenter__())
        runs = {
            _label(name, callers): functools.partial(_run, runner, call, requests + callers, callers)
            for name, call in calls.items()
            for callers in levels
        }
        samples = take_turns(runs, rounds=rounds)
        runner.run(opened.__aexit__(None, None, None))
    figures = []
    for name in calls:
        for callers in levels:
            label = _label(name, callers)
            targets = [
                at_most(FLAT, times=_label(OURS, fewer))
                for fewer in (1, 100)
                if name == OURS and fewer < callers
            ]
            figures += [
                figure
                for figure in compare(
                    "one vms.get by callers at once",
                    samples,
                    unit=UNIT,
                    baseline=_label(name, levels[0]),
                    targets={label: targets},
                    point=Point("concurrency", callers, name),
                )
                if figure.contender == label
            ]
    return figures


def _label(name: str, callers: int) -> str:
    return f"{name}, {callers:,} caller{'s'[: callers > 1]}"


def _run(runner: asyncio.Runner, call: Call, requests: int, callers: int) -> float:
    return runner.run(spend(call, requests, callers))
