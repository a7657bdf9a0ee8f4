"""Memory of a process after one call, and while a million items go by."""

from __future__ import annotations

import functools
import subprocess
import sys

from benchmarks.load_server import serving
from benchmarks.measuring import OURS, Figure, compare, cores
from benchmarks.startup import BY_HAND, OFFICIAL, OURS_ASYNC, OURS_SYNC

_SAY_MEMORY = """
with open("/proc/self/status") as status:
    print(next(int(line.split()[1]) for line in status if line.startswith("VmRSS")) / 1024)
"""
LIST_OURS = """
import asyncio, sys
from openrelay_async import AsyncClient
async def main():
    async with AsyncClient("vl_" + "0" * 40, base_url=sys.argv[1], org_id="org_1") as client:
        seen = 0
        async for vm in client.vms.list(page_size=1000):
            seen += 1
    assert seen == {total}
asyncio.run(main())
"""


def _resident(code: str, url: str) -> float:
    done = subprocess.run(
        [sys.executable, "-c", code + _SAY_MEMORY, url], check=True, capture_output=True, text=True
    )
    return float(done.stdout)


def measure(*, quick: bool) -> list[Figure]:
    """Measure MiB of resident memory at the end of each program."""
    _, server_core = cores()
    with serving(core=server_core) as url:
        figures = compare(
            "memory after one call",
            {
                "official openrelay-sdk, sync": functools.partial(_resident, OFFICIAL, url),
                OURS: functools.partial(_resident, OURS_ASYNC, url),
                "openrelay_sync": functools.partial(_resident, OURS_SYNC, url),
                "aiohttp + orjson, by hand": functools.partial(_resident, BY_HAND, url),
            },
            baseline="official openrelay-sdk, sync",
            unit="MiB",
            rounds=3,
            targets={OURS: 1.0, "openrelay_sync": 1.0},
        )
    few, many = (10_000, 50_000) if quick else (100_000, 1_000_000)
    with serving(core=server_core, total=few) as short, serving(core=server_core, total=many) as long:
        figures += compare(
            "memory after a list",
            {
                f"{few:,} items": functools.partial(_resident, LIST_OURS.format(total=few), short),
                f"{many:,} items": functools.partial(_resident, LIST_OURS.format(total=many), long),
            },
            baseline=f"{few:,} items",
            unit="MiB",
            rounds=2,
            targets={f"{many:,} items": 1.05},
        )
    return figures
