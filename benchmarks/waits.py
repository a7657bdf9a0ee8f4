"""10,000 waits in one process: memory of each, list calls of a tick, processor time, spread of requests.

python -m benchmarks.waits [count]
"""

from __future__ import annotations

import asyncio
import gc
import json
import statistics
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

from attrs import define, field

from benchmarks.load_server import serving
from benchmarks.measuring import Figure, cores

INTERVAL = 10.0
TICKS = 4


def resident_kib() -> int:
    """Return the process's resident memory."""
    status = Path("/proc/self/status").read_text("ascii")
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS"))


@define
class Ticks:
    """A hook that notes when requests were sent, and what each tick cost."""

    sent: list[float] = field(factory=list)
    ended: list[tuple[float, float, int]] = field(factory=list)

    def on_attempt(self, event: object) -> None:
        self.sent.append(time.monotonic())

    def on_wait_tick(self, event: object) -> None:
        requests: int = getattr(event, "requests", 0)
        self.ended.append((time.monotonic(), time.process_time(), requests))


async def wait_for_many(url: str, count: int, style: str) -> dict[str, float]:
    """Wait for VMs that never get there, through some ticks, and say what it took."""
    from openrelay_async import AsyncClient

    ticks = Ticks()
    ids = [f"vm_{number:016x}" for number in range(count)]
    async with AsyncClient("vl_" + "0" * 40, base_url=url, org_id="org_1", hooks=[ticks]) as client:
        await client.vms.list(page_size=1000, max_items=1000)
        await asyncio.wait({asyncio.ensure_future(client.vms.wait(ids[0]))})
        ticks.sent.clear()
        ticks.ended.clear()
        gc.collect()
        before = resident_kib()
        if style == "wait_all":
            waits = [asyncio.ensure_future(client.vms.wait_all(ids, until="stopped", interval=INTERVAL))]
        else:
            waits = [
                asyncio.ensure_future(client.vms.wait(vm_id, until="stopped", interval=INTERVAL))
                for vm_id in ids
            ]
        # The first looks come sooner; what counts is the steady state.
        while not ticks.ended or time.monotonic() - ticks.ended[0][0] < 6 * INTERVAL:  # noqa: ASYNC110
            await asyncio.sleep(0.5)  # a clock gives no event
        gc.collect()
        memory = resident_kib() - before
        steady = ticks.ended[-3:]
        began, ended = steady[0][0], steady[-1][0]
        busy = (steady[-1][1] - steady[0][1]) / (ended - began)
        sent = [at for at in ticks.sent if began < at <= ended]
        by_second = Counter(int(at) for at in sent)
        for wait in waits:
            wait.cancel()
        await asyncio.gather(*waits, return_exceptions=True)
    return {
        "memory of a wait (KiB)": memory / count,
        "list calls of a tick": statistics.median(requests for _, _, requests in steady),
        "processor time (% of a core)": 100 * busy,
        "most requests in one second": max(by_second.values(), default=0),
        "seconds of a tick": (ended - began) / 2,
    }


LIMITS = {
    "memory of a wait (KiB)": 4.0,
    "list calls of a tick": 10.0,
    "processor time (% of a core)": 2.0,
    "most requests in one second": 2.0,
}
UNITS = {
    "memory of a wait (KiB)": "KiB",
    "list calls of a tick": "calls",
    "processor time (% of a core)": "%",
    "most requests in one second": "requests",
}


def run(count: int, style: str) -> dict[str, float]:
    """Measure in a process of its own, the server on the other core."""
    client_core, server_core = cores()
    pin = ["taskset", "-c", str(client_core)] if client_core is not None else []
    with serving(core=server_core, total=count) as url:
        done = subprocess.run(
            [*pin, sys.executable, "-m", "benchmarks.waits", "--child", url, str(count), style],
            check=True, capture_output=True, text=True, timeout=300,
        )  # fmt: skip
    return {name: float(value) for name, value in json.loads(done.stdout).items()}


def measure(*, quick: bool) -> list[Figure]:
    """Measure waits of 10,000 tasks, and of one `wait_all`; ratios are to the limits of targets.md."""
    del quick  # the interval is the time it takes
    figures = []
    for style in ("wait", "wait_all"):
        for name, value in run(10_000, style).items():
            if name in LIMITS:
                figures.append(
                    Figure(
                        benchmark=f"10,000 waits with {style}: {name}",
                        contender="openrelay_async",
                        unit=UNITS[name],
                        median=value,
                        low=value,
                        high=value,
                        ratio=value / LIMITS[name],
                        baseline="limit",
                        target=1.0,
                    )
                )
    return figures


def main() -> None:
    if sys.argv[1:2] == ["--child"]:
        url, count, style = sys.argv[2:]
        print(json.dumps(asyncio.run(wait_for_many(url, int(count), style))))
        return
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000
    for style in ("wait", "wait_all"):
        print(style)
        for name, value in run(count, style).items():
            print(f"  {name}: {value:.2f} (limit {LIMITS.get(name, float('nan')):g})")


if __name__ == "__main__":
    main()
