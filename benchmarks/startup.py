"""What a program pays before its first answer: importing, the first models, a cold process's first call."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable

from benchmarks.load_server import VM, serving
from benchmarks.measuring import OURS, Figure, compare, cores

VM_ID = str(VM["id"])
KEY = "vl_" + "0" * 40

BY_HAND = f"""
import asyncio, sys
import aiohttp, orjson
async def main():
    async with aiohttp.ClientSession(headers={{"Authorization": "Bearer {KEY}"}}) as session:
        async with session.get(sys.argv[1] + "/v1/vms/{VM_ID}") as response:
            return orjson.loads(await response.read())
asyncio.run(main())
"""
OFFICIAL = f"""
import sys
from openrelay import AuthenticatedClient
from openrelay.api.vms import get_vm
with AuthenticatedClient(base_url=sys.argv[1], token="{KEY}") as client:
    get_vm.sync("{VM_ID}", client=client)
"""
OURS_ASYNC = f"""
import asyncio, sys
from openrelay_async import AsyncClient
async def main():
    async with AsyncClient("{KEY}", base_url=sys.argv[1]) as client:
        return await client.vms.get("{VM_ID}")
asyncio.run(main())
"""
OURS_SYNC = f"""
import sys
from openrelay_sync import Client
with Client("{KEY}", base_url=sys.argv[1]) as client:
    client.vms.get("{VM_ID}")
"""
FIRST_MODEL = """
import time, aiohttp, attrs, orjson
began = time.perf_counter()
from openrelay_async.models import {name}
print((time.perf_counter() - began) * 1e3)
"""
ALL_MODELS = """
import time, aiohttp, attrs, orjson
from openrelay_async import models
began = time.perf_counter()
for name in models.__all__:
    getattr(models, name)
print((time.perf_counter() - began) * 1e3)
"""


def _cold(code: str, *arguments: str) -> Callable[[], float]:
    """Return a run of a program in a new process: milliseconds from start to end."""

    def run() -> float:
        began = time.perf_counter()
        subprocess.run([sys.executable, "-c", code, *arguments], check=True, stdout=subprocess.DEVNULL)
        return (time.perf_counter() - began) * 1e3

    return run


def _told(code: str) -> Callable[[], float]:
    """Return a run of a program that prints its own measurement."""

    def run() -> float:
        return float(subprocess.run([sys.executable, "-c", code], check=True, capture_output=True).stdout)

    return run


def measure(*, quick: bool) -> list[Figure]:
    """Measure wall milliseconds of whole processes, and of the first models within one."""
    rounds = 5 if quick else 15
    figures = compare(
        "importing, whole process",
        {
            "bare Python": _cold("pass"),
            f"import {OURS}": _cold("import openrelay_async"),
            "import openrelay_sync": _cold("import openrelay_sync"),
            "import openrelay (official)": _cold("import openrelay"),
            "import aiohttp": _cold("import aiohttp"),
        },
        baseline="bare Python",
        unit="ms",
        rounds=rounds,
    )
    _, server_core = cores()
    with serving(core=server_core) as url:
        figures += compare(
            "cold process to the first answer of a vms.get",
            {
                "aiohttp + orjson, by hand": _cold(BY_HAND, url),
                OURS: _cold(OURS_ASYNC, url),
                "openrelay_sync": _cold(OURS_SYNC, url),
                "official openrelay-sdk, sync": _cold(OFFICIAL, url),
            },
            baseline="aiohttp + orjson, by hand",
            unit="ms",
            rounds=rounds,
            targets={OURS: 1.15, "openrelay_sync": 1.15},
        )
    return figures + compare(
        "touching models",
        {
            "the first (SshKeySummary)": _told(FIRST_MODEL.format(name="SshKeySummary")),
            "the first (VmSummary)": _told(FIRST_MODEL.format(name="VmSummary")),
            "all": _told(ALL_MODELS),
        },
        baseline="the first (SshKeySummary)",
        unit="ms",
        rounds=rounds,
    )
