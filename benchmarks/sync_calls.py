"""Sync `vms.get`: what crossing into the event loop's thread costs, and 32 threads that share one client."""

from __future__ import annotations

import asyncio
import functools
import threading
import time
from collections.abc import Callable, Mapping, Sequence

from benchmarks.load_server import serving
from benchmarks.measuring import Figure, compare, pick, take_turns
from benchmarks.peers import OFFICIAL, OURS, OURS_SYNC, Call, SyncCall, open_calls, open_sync_calls
from benchmarks.targets import Target, at_most

THREADS = 32
Spent = dict[str, float]
UNITS = {"cpu": "µs of client CPU a call", "wall": "µs of wall time a call"}
"""Wall time is what users feel. On a busy machine CPU time, of both threads, is what can be compared."""


class _Stopwatch:
    """Wall and CPU time since it was made."""

    def __init__(self) -> None:
        self._wall, self._cpu = time.perf_counter(), time.process_time()

    def read(self, count: int) -> Spent:
        """Return µs for each of so many calls."""
        wall, cpu = time.perf_counter() - self._wall, time.process_time() - self._cpu
        return {"wall": wall / count * 1e6, "cpu": cpu / count * 1e6}


def _call_in_a_row(call: SyncCall, count: int) -> Spent:
    watch = _Stopwatch()
    for _ in range(count):
        call()
    return watch.read(count)


async def _await_in_a_row(call: Call, count: int) -> Spent:
    """The async client: what sync is to approach."""
    watch = _Stopwatch()
    for _ in range(count):
        await call()
    return watch.read(count)


def _call_in_threads(call: SyncCall, count: int) -> Spent:
    upcoming = iter(range(count))
    lock = threading.Lock()

    def work() -> None:
        while True:
            with lock:
                if next(upcoming, None) is None:
                    return
            call()

    workers = [threading.Thread(target=work) for _ in range(THREADS)]
    watch = _Stopwatch()
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    return watch.read(count)


def measure(*, quick: bool) -> list[Figure]:
    """Measure one thread beside the async client, and 32 threads, by turns."""
    rounds, count = (4, 60) if quick else (7, 400)
    with serving() as url, open_sync_calls(url) as calls, asyncio.Runner() as runner:
        opened = open_calls(url, (OURS,))
        call_async = runner.run(opened.__aenter__())[OURS]
        alone: dict[str, Callable[[], Spent]] = {
            OURS: lambda: runner.run(_await_in_a_row(call_async, count)),
            **{name: functools.partial(_call_in_a_row, call, count) for name, call in calls.items()},
        }
        together = {name: functools.partial(_call_in_threads, call, count) for name, call in calls.items()}
        runs_alone = take_turns(alone, rounds=rounds)
        runs_together = take_turns(together, rounds=rounds)
        runner.run(opened.__aexit__(None, None, None))
    return [
        *_compare("sync vms.get, one thread", runs_alone, [at_most(100, over=OURS), _than_official(0.65)]),
        *_compare(f"sync vms.get, {THREADS} threads, one client", runs_together, [_than_official(1 / 4.5)]),
    ]


def _than_official(ratio: float) -> Target:
    return at_most(ratio, times=OFFICIAL)


def _compare(label: str, runs: Mapping[str, Sequence[Spent]], targets: list[Target]) -> list[Figure]:
    return [
        figure
        for quantity, unit in UNITS.items()
        for figure in compare(
            f"{label}, {quantity}",
            pick(runs, quantity),
            unit=unit,
            baseline=OFFICIAL,
            targets={OURS_SYNC: targets},
        )
    ]
