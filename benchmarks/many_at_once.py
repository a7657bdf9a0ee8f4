"""10,000 gets at once through 100 connections: time and memory of a whole process each."""

from __future__ import annotations

import functools
import subprocess
import sys

import orjson

from benchmarks.load_server import VM, serving
from benchmarks.measuring import OURS, Figure, compare, cores

MEASURED = """
import asyncio, json, resource, sys, time
url, count = sys.argv[1], int(sys.argv[2])
KEY, VM_ID = "vl_" + "0" * 40, "{vm_id}"
{code}
def rss():
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmHWM")) / 1024
async def main():
    async with opened(url) as call:
        await call()
        before, began = rss(), time.perf_counter()
        await asyncio.gather(*[call() for _ in range(count)])
        print(json.dumps({{"seconds": time.perf_counter() - began, "MiB": rss() - before}}))
asyncio.run(main())
"""
RAW = """
import aiohttp, orjson
from contextlib import asynccontextmanager
@asynccontextmanager
async def opened(url):
    async with aiohttp.ClientSession(headers={"Authorization": "Bearer " + KEY}) as session:
        async def call():
            async with session.get(url + "/v1/vms/" + VM_ID) as response:
                return orjson.loads(await response.read())
        yield call
"""
BEHIND_A_SEMAPHORE = """
import aiohttp, asyncio, orjson
from contextlib import asynccontextmanager
@asynccontextmanager
async def opened(url):
    slots = asyncio.Semaphore(100)
    async with aiohttp.ClientSession(headers={"Authorization": "Bearer " + KEY}) as session:
        async def call():
            async with slots, session.get(url + "/v1/vms/" + VM_ID) as response:
                return orjson.loads(await response.read())
        yield call
"""
OURS_CODE = """
from openrelay_async import AsyncClient
from contextlib import asynccontextmanager
@asynccontextmanager
async def opened(url):
    async with AsyncClient(KEY, base_url=url) as client:
        yield lambda: client.vms.get(VM_ID)
"""
OFFICIAL = """
from openrelay import AuthenticatedClient
from openrelay.api.vms import get_vm
from contextlib import asynccontextmanager
@asynccontextmanager
async def opened(url):
    async with AuthenticatedClient(base_url=url, token=KEY) as client:
        yield lambda: get_vm.asyncio(VM_ID, client=client)
"""


def _run(url: str, code: str, count: int, what: str) -> float:
    program = MEASURED.format(vm_id=VM["id"], code=code)
    done = subprocess.run([sys.executable, "-c", program, url, str(count)], check=True, capture_output=True)
    value: float = orjson.loads(done.stdout)[what]
    return value


def measure(*, quick: bool) -> list[Figure]:
    """Measure wall seconds, and the growth of the process's highest memory use."""
    rounds, count = (3, 3_000) if quick else (5, 10_000)
    contenders = {
        "aiohttp behind a semaphore": BEHIND_A_SEMAPHORE,
        "aiohttp, by hand": RAW,
        OURS: OURS_CODE,
    }
    if not quick:
        contenders["official openrelay-sdk"] = OFFICIAL
    figures: list[Figure] = []
    _, server_core = cores()
    with serving(core=server_core) as url:
        for what in ("seconds", "MiB"):
            figures += compare(
                f"{count:,} gets at once, {what}",
                {name: functools.partial(_run, url, code, count, what) for name, code in contenders.items()},
                baseline="aiohttp behind a semaphore",
                unit=what,
                rounds=rounds if what == "seconds" else 3,
                targets={OURS: 1.1},
            )
    return figures
