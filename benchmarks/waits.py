"""10,000 waits in one process: memory of each, list calls of a tick, processor time, spread of requests.

Between two looks nothing runs, so that the interval is not what costs time: on a turned clock the pauses are
skipped, and the processor time of a look is set against the interval that would have passed. A whole run
also waits for real, once.
"""

from __future__ import annotations

import asyncio
import functools
import gc
import statistics
import sys
import time
from collections import Counter

import orjson
from attrs import define, field

from benchmarks.load_server import serving
from benchmarks.machine import resident_kib, run_module
from benchmarks.measuring import Figure, Point, compare, pick, take_turns
from benchmarks.peers import KEY, OURS
from benchmarks.targets import at_most
from openrelay_async.clock import Clock, SystemClock

INTERVAL = 10.0
MANY = 10_000
STYLES = ("wait", "wait_all")
UNTIL_STEADY = 45.0
"""Seconds until the pauses have grown to the interval: they are shorter while something has just changed."""
UNITS = {
    "memory of a wait": "KiB",
    "list calls of a tick": "calls",
    "processor time": "% of a core",
    "most requests in one second": "requests",
}
LIMITS = {
    "memory of a wait": 4.0,
    "list calls of a tick": 10.0,
    "processor time": 2.0,
    "most requests in one second": 2.0,
}


@define
class Tick:
    """A look that has ended."""

    at: float
    cpu: float
    requests: int


@define
class TickWatcher:
    """A hook that notes when requests were sent, and what each tick cost."""

    clock: Clock
    sent: list[float] = field(factory=list)
    ticks: list[Tick] = field(factory=list)
    _came: asyncio.Event = field(factory=asyncio.Event)

    def on_attempt(self, event: object) -> None:
        self.sent.append(self.clock.monotonic())

    def on_wait_tick(self, event: object) -> None:
        requests: int = getattr(event, "requests", 0)
        self.ticks.append(Tick(self.clock.monotonic(), time.process_time(), requests))
        self._came.set()

    def forget(self) -> None:
        self.sent.clear()
        self.ticks.clear()

    async def wait_for(self, count: int) -> None:
        """Return when so many ticks have ended."""
        while len(self.ticks) < count:
            self._came.clear()
            await self._came.wait()


async def wait_in_vain(url: str, count: int, style: str, *, steady: int, is_real: bool) -> dict[str, float]:
    """Wait for VMs that never get there, and say what the steady state took."""
    from openrelay_async import AsyncClient
    from openrelay_async.emulator import TurnedClock

    turned = TurnedClock()
    clock = SystemClock() if is_real else turned.jumping()
    watcher = TickWatcher(clock)
    ids = [f"vm_{number:016x}" for number in range(count)]
    async with AsyncClient(KEY, base_url=url, org_id="org_1", clock=clock, hooks=[watcher]) as client:
        await client.vms.list(page_size=1000, max_items=1000)
        await client.vms.wait(ids[0])  # runs already: loads what waiting needs
        watcher.forget()
        gc.collect()
        before = resident_kib()
        if style == "wait_all":
            waits = [asyncio.ensure_future(client.vms.wait_all(ids, until="stopped", interval=INTERVAL))]
        else:
            waits = [
                asyncio.ensure_future(client.vms.wait(vm_id, until="stopped", interval=INTERVAL))
                for vm_id in ids
            ]
        # The first look reads the list in one go, the second one is spread.
        await watcher.wait_for(2)
        if is_real:
            await asyncio.sleep(UNTIL_STEADY)
        else:
            turned.advance(UNTIL_STEADY)
        watcher.forget()
        await watcher.wait_for(steady + 2)
        gc.collect()
        memory = resident_kib() - before
        for wait in waits:
            wait.cancel()
        await asyncio.gather(*waits, return_exceptions=True)
    first, *ticks = watcher.ticks[1 : steady + 2]
    last = ticks[-1]
    sent = [at for at in watcher.sent if first.at < at <= last.at]
    return {
        "memory of a wait": memory / count,
        "list calls of a tick": statistics.median(tick.requests for tick in ticks),
        "processor time": 100 * (last.cpu - first.cpu) / (last.at - first.at),
        "most requests in one second": max(Counter(int(at) for at in sent).values(), default=0),
    }


def _run(url: str, count: int, style: str, steady: int, clock: str) -> dict[str, float]:
    """Measure in a process of its own."""
    told: dict[str, float] = orjson.loads(
        run_module("benchmarks.waits", "--child", url, str(count), style, str(steady), clock)
    )
    return told


def _measure(count: int, *, rounds: int, steady: int, real: tuple[str, ...]) -> list[Figure]:
    with serving(total=count) as url:
        runs = {
            f"{OURS}, {style}": functools.partial(_run, url, count, style, steady, "turned")
            for style in STYLES
        }
        told = take_turns(runs, rounds=rounds, is_warm=True)
        for style in real:
            told[f"{OURS}, {style}, real clock"] = [_run(url, count, style, 1, "real")]
    return [
        figure
        for quantity, unit in UNITS.items()
        # Beside a few waits the client itself is what takes memory.
        if count == MANY or quantity in ("list calls of a tick", "processor time")
        for figure in compare(
            f"{count:,} waits: {quantity}",
            pick(told, quantity),
            unit=unit,
            targets={name: [at_most(LIMITS[quantity])] for name in told} if count == MANY else {},
            point=Point(f"waits, {quantity}", count),
        )
    ]


def measure(*, quick: bool) -> list[Figure]:
    """Measure waits in tasks of their own, and in one `wait_all`; in a whole run of fewer, too."""
    if quick:
        return _measure(MANY, rounds=1, steady=2, real=())
    figures = [
        figure for count in (10, 100, 1_000) for figure in _measure(count, rounds=3, steady=4, real=())
    ]
    return figures + _measure(MANY, rounds=5, steady=4, real=("wait",))


if __name__ == "__main__":
    _, _, url, count, style, steady, clock = sys.argv
    told = wait_in_vain(url, int(count), style, steady=int(steady), is_real=clock == "real")
    print(orjson.dumps(asyncio.run(told)).decode())
