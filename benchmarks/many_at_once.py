"""10,000 gets at once through 100 connections: time, memory and errors of a whole process each."""

from __future__ import annotations

from benchmarks.load_server import serving
from benchmarks.machine import read_program
from benchmarks.measuring import Figure, compare, pick, take_turns
from benchmarks.peers import KEY, OFFICIAL, OURS, SEMAPHORE, VM_ID
from benchmarks.targets import Target, at_most

_MEASURED = """
import asyncio, json, sys, time
from contextlib import asynccontextmanager
url, count = sys.argv[1], int(sys.argv[2])
KEY, VM_ID = "{key}", "{vm_id}"
{code}
def highest():
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmHWM")) / 1024
async def main():
    async with opened(url) as call:
        await call()
        before, began, cpu_began = highest(), time.perf_counter(), time.process_time()
        results = await asyncio.gather(*[call() for _ in range(count)], return_exceptions=True)
        seconds, cpu = time.perf_counter() - began, time.process_time() - cpu_began
        errors = sum(isinstance(result, BaseException) or result is None for result in results)
        print(json.dumps({{
            "seconds": seconds, "cpu": cpu, "grown": highest() - before, "highest": highest(),
            "errors": errors,
        }}))
asyncio.run(main())
"""
RAW = """
import aiohttp, orjson
@asynccontextmanager
async def opened(url):
    async with aiohttp.ClientSession(headers={"Authorization": "Bearer " + KEY}) as session:
        async def call():
            async with session.get(url + "/v1/vms/" + VM_ID) as response:
                return orjson.loads(await response.read())
        yield call
"""
BEHIND_A_SEMAPHORE = """
import aiohttp, orjson
@asynccontextmanager
async def opened(url):
    slots = asyncio.Semaphore(100)
    async with aiohttp.ClientSession(headers={"Authorization": "Bearer " + KEY}) as session:
        async def call():
            async with slots, session.get(url + "/v1/vms/" + VM_ID) as response:
                return orjson.loads(await response.read())
        yield call
"""
WITH_OURS = """
from openrelay_async import AsyncClient
@asynccontextmanager
async def opened(url):
    async with AsyncClient(KEY, base_url=url) as client:
        yield lambda: client.vms.get(VM_ID)
"""
WITH_OFFICIAL = """
from openrelay import AuthenticatedClient
from openrelay.api.vms import get_vm
@asynccontextmanager
async def opened(url):
    async with AuthenticatedClient(base_url=url, token=KEY) as client:
        yield lambda: get_vm.asyncio(VM_ID, client=client)
"""
RAW_NAME = "aiohttp, by hand"


def measure(*, quick: bool) -> list[Figure]:
    """Measure wall seconds, the growth of the process's highest memory use, and calls that failed.

    The official client needs a minute for all: it gets one round, and none in a quick run.
    """
    rounds, count = (3, 2_000) if quick else (5, 10_000)
    sources = {SEMAPHORE: BEHIND_A_SEMAPHORE, RAW_NAME: RAW, OURS: WITH_OURS}
    if not quick:
        sources[OFFICIAL] = WITH_OFFICIAL
    with serving() as url:
        programs = {
            name: read_program(_MEASURED.format(key=KEY, vm_id=VM_ID, code=code), url, str(count))
            for name, code in sources.items()
        }
        runs = take_turns(programs, rounds=rounds, fewer={OFFICIAL: 1}, is_warm=True)
    seconds = [at_most(1.1, times=SEMAPHORE), at_most(1, times=RAW_NAME)]
    memory = [at_most(1.1, times=SEMAPHORE)]
    if not quick:
        seconds.append(at_most(1 / 48, times=OFFICIAL))
        memory.append(at_most(1 / 4, times=RAW_NAME))
    asked: dict[str, tuple[str, str, list[Target]]] = {
        "seconds": ("time", "s", seconds),
        "cpu": ("CPU time", "s", seconds),
        "grown": ("memory for them", "MiB", memory),
        "highest": ("highest memory of the process", "MiB", []),
        "errors": ("failed calls", "calls", [at_most(0)]),
    }
    return [
        figure
        for quantity, (label, unit, targets) in asked.items()
        for figure in compare(
            f"{count:,} gets at once: {label}",
            pick(runs, quantity),
            unit=unit,
            baseline=None if quantity == "errors" else SEMAPHORE,
            targets={OURS: targets},
        )
    ]
