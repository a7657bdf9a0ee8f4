"""Very many requests through one client: does a request cost more after a while, does anything stay behind?

    python -m benchmarks.soak [--requests 1000000]

A tenth of the requests at a time, each tenth followed by some of aiohttp by hand: what the machine itself
does over the time shows there too.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import sys
import time

import orjson
from attrs import asdict, frozen

from benchmarks.load_server import serving
from benchmarks.machine import pin_client, resident_kib, run_module
from benchmarks.measuring import Figure, compare
from benchmarks.peers import OURS, SEMAPHORE, open_calls
from benchmarks.per_request import UNIT, spend
from benchmarks.report import render_summary, render_table, save
from benchmarks.targets import at_most

PARTS = 10
CALLERS = 64
_WARM_UP = 5_000
"""Requests until caches, free lists and the allocator's arenas are as full as they get."""


@frozen
class Part:
    """What a tenth of the requests cost, and what there was after it."""

    ours: float
    by_hand: float
    resident_kib: int
    blocks: int
    tracked: int


async def _run_parts(url: str, requests: int) -> list[Part]:
    parts: list[Part] = []
    async with open_calls(url, (OURS, SEMAPHORE)) as calls:
        await spend(calls[OURS], _WARM_UP, CALLERS)
        await spend(calls[SEMAPHORE], 10 * CALLERS, CALLERS)
        for _ in range(PARTS):
            ours = await spend(calls[OURS], requests // PARTS, CALLERS)
            by_hand = await spend(calls[SEMAPHORE], requests // PARTS // 5, CALLERS)
            gc.collect()
            part = Part(ours, by_hand, resident_kib(), sys.getallocatedblocks(), len(gc.get_objects()))
            parts.append(part)
    return parts


def measure_soak(requests: int) -> list[Figure]:
    """Return what the last fifth cost against the first, and what the requests left behind."""
    with serving() as url:
        told: list[dict[str, float]] = orjson.loads(
            run_module("benchmarks.soak", "--child", url, "--requests", str(requests))
        )
    first, last = f"{OURS}, first fifth", f"{OURS}, last fifth"
    figures = compare(
        f"soak of {requests:,} requests: cost",
        {
            first: [part["ours"] for part in told[:2]],
            last: [part["ours"] for part in told[-2:]],
            f"{SEMAPHORE}, first fifth": [part["by_hand"] for part in told[:2]],
            f"{SEMAPHORE}, last fifth": [part["by_hand"] for part in told[-2:]],
        },
        unit=UNIT,
        baseline=first,
        targets={last: [at_most(1.1, times=first)]},
    )
    begun, ended = told[0], told[-1]
    left = {
        "allocated blocks": ended["blocks"] - begun["blocks"],
        "objects that the collector tracks": ended["tracked"] - begun["tracked"],
        "KiB of the process": ended["resident_kib"] - begun["resident_kib"],
    }
    # One object a request would be as many as there are requests; some hundreds come and go in all.
    allowed = max(1_000, requests // 100)
    return figures + compare(
        f"soak of {requests:,} requests: what is left since the first tenth",
        {name: [value] for name, value in left.items()},
        unit="see each",
        targets={name: [at_most(1024 if name.startswith("KiB") else allowed)] for name in left},
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.soak", description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--requests", type=int, default=1_000_000)
    parser.add_argument("--child", metavar="URL", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        parts = asyncio.run(_run_parts(options.child, options.requests))
        print(orjson.dumps([asdict(part) for part in parts]).decode())
        return
    pin_client()
    began = time.monotonic()
    figures = measure_soak(options.requests)
    print(render_table(figures))
    print(render_summary(figures))
    save(figures, "soak", seconds=time.monotonic() - began)


if __name__ == "__main__":
    main()
