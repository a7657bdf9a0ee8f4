"""10,000 gets at once through 100 connections: time, memory and errors of a whole process each."""

from __future__ import annotations

from collections.abc import Callable

from benchmarks.load_server import serving
from benchmarks.machine import read_program
from benchmarks.measuring import Figure, compare, pick, take_turns
from benchmarks.peers import KEY, OURS, SEMAPHORE, VM_ID
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


_SHARE = 10
_OFFICIAL_SHARE = f"official, {_SHARE} × a tenth of them"


def _program(code: str, url: str, count: int) -> Callable[[], dict[str, float]]:
    return read_program(_MEASURED.format(key=KEY, vm_id=VM_ID, code=code), url, str(count))


def _scale(run: Callable[[], dict[str, float]]) -> Callable[[], dict[str, float]]:
    """Return a run whose costs are multiplied by the share of the calls that it left out.

    The official client needs minutes for 10,000. A tenth costs less than a tenth: it is done no injustice.
    """

    def scaled() -> dict[str, float]:
        told = run()
        resting = told["highest"] - told["grown"]
        scaled = {name: value * _SHARE for name, value in told.items()}
        return {**scaled, "highest": resting + scaled["grown"]}

    return scaled


def measure(*, quick: bool) -> list[Figure]:
    """Measure wall and CPU seconds, the growth of the process's highest memory use, and calls that failed."""
    rounds, count = (2, 1_000) if quick else (5, 10_000)
    with serving() as url:
        programs = {
            SEMAPHORE: _program(BEHIND_A_SEMAPHORE, url, count),
            RAW_NAME: _program(RAW, url, count),
            OURS: _program(WITH_OURS, url, count),
        }
        if not quick:
            programs[_OFFICIAL_SHARE] = _scale(_program(WITH_OFFICIAL, url, count // _SHARE))
        runs = take_turns(programs, rounds=rounds, fewer={_OFFICIAL_SHARE: 1}, is_warm=True)
    seconds = [at_most(1.1, times=SEMAPHORE), at_most(1, times=RAW_NAME)]
    memory = [at_most(1.1, times=SEMAPHORE)]
    if not quick:
        seconds.append(at_most(1 / 48, times=_OFFICIAL_SHARE))
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
