"""Client CPU for one `vms.get`, the whole path, with 1, 64 and 512 callers at once."""

from __future__ import annotations

import asyncio
import functools
import time
from collections.abc import Callable
from contextlib import nullcontext

import uvloop

from benchmarks.load_server import serving
from benchmarks.measuring import Figure, Point, compare, take_turns
from benchmarks.peers import (
    BY_HAND,
    HTTPX,
    JSON_LOADS,
    OFFICIAL,
    OFFICIAL_WITHOUT_SNIFFIO,
    OURS,
    TUNED,
    Call,
    open_calls,
)
from benchmarks.targets import Target, at_most
from benchmarks.without_sniffio import hide_sniffio

CHEAPER_THAN_OFFICIAL = {1: 5, 64: 12, 512: 20}
"""How many times, by the callers at once."""
QUICK = (BY_HAND, TUNED, OURS)
PEERS = (BY_HAND, JSON_LOADS, TUNED, OURS)
SLOW_PEERS = (HTTPX, OFFICIAL, OFFICIAL_WITHOUT_SNIFFIO)
MANY_FOR_HTTPX = 64
"""With more callers the official client alone stands for httpx's pool, to keep a round under 5 s.

After 5 s httpx drops idle connections, and opening 100 for 512 callers costs it 20 ms a request instead of 3.
"""
UNIT = "µs of client CPU a request"


async def spend(call: Call, requests: int, callers: int) -> float:
    """Make so many requests with so many callers at once; return the CPU time in µs that each took."""
    upcoming = iter(range(requests))

    async def work() -> None:
        for _ in upcoming:
            await call()

    began = time.process_time()
    await asyncio.gather(*[work() for _ in range(callers)])
    return (time.process_time() - began) / requests * 1e6


def _run(runner: asyncio.Runner, name: str, call: Call, requests: int, callers: int) -> float:
    with hide_sniffio() if name == OFFICIAL_WITHOUT_SNIFFIO else nullcontext():
        return runner.run(spend(call, requests, callers))


def _count(name: str, requests: int, callers: int) -> int:
    """Return how many requests to make: the slow ones need fewer for as good a figure."""
    return max(requests // 20 if name in SLOW_PEERS else requests, callers)


def _targets(callers: int, *, has_official: bool) -> list[Target]:
    targets = [at_most(1.05, times=BY_HAND, stretch=0.95)]
    if has_official:
        targets.append(at_most(1 / CHEAPER_THAN_OFFICIAL[callers], times=OFFICIAL))
    return targets


def _measure_on(
    factory: Callable[[], asyncio.AbstractEventLoop],
    loop_name: str,
    names: tuple[str, ...],
    *,
    rounds: int,
    requests: int,
) -> list[Figure]:
    figures: list[Figure] = []
    with serving() as url, asyncio.Runner(loop_factory=factory) as runner:
        opened = open_calls(url, names)
        calls = runner.run(opened.__aenter__())
        for callers in CHEAPER_THAN_OFFICIAL:
            runs = {
                name: functools.partial(_run, runner, name, call, _count(name, requests, callers), callers)
                for name, call in calls.items()
                if callers <= MANY_FOR_HTTPX or name not in (HTTPX, OFFICIAL_WITHOUT_SNIFFIO)
            }
            figures += compare(
                f"one vms.get, {callers} at once, {loop_name}",
                take_turns(runs, rounds=rounds),
                unit=UNIT,
                baseline=BY_HAND,
                targets={OURS: _targets(callers, has_official=OFFICIAL in names)},
                point=Point("concurrency", callers) if loop_name == "asyncio" else None,
            )
        runner.run(opened.__aexit__(None, None, None))
    return figures


def measure(*, quick: bool) -> list[Figure]:
    """Measure on asyncio's loop and on uvloop; in a quick run without the slow peers."""
    rounds, requests = (3, 200) if quick else (5, 2000)
    on_asyncio = QUICK if quick else PEERS + SLOW_PEERS
    return [
        *_measure_on(asyncio.new_event_loop, "asyncio", on_asyncio, rounds=rounds, requests=requests),
        *_measure_on(uvloop.new_event_loop, "uvloop", QUICK, rounds=rounds, requests=requests),
    ]
