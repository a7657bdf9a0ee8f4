"""10,000 gets at once through 100 connections: time, memory and errors of a whole process each.

    python -m benchmarks.many_at_once

measures the official client with all of them, too, which takes it minutes: a run of all suites gives it a
tenth and multiplies, which is less than it takes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from benchmarks.load_server import serving
from benchmarks.machine import pin_client, read_program
from benchmarks.measuring import Figure, compare, pick, take_turns
from benchmarks.peers import KEY, OFFICIAL, OURS, SEMAPHORE, VM_ID
from benchmarks.report import render_summary, render_table
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
    """Return a run whose costs are multiplied by the share of the calls that it left out."""

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
        programs = _list_programs(url, count)
        if not quick:
            programs[_OFFICIAL_SHARE] = _scale(_program(WITH_OFFICIAL, url, count // _SHARE))
        runs = take_turns(programs, rounds=rounds, fewer={_OFFICIAL_SHARE: 1}, is_warm=True)
    return _compare(count, runs, is_whole=not quick)


def measure_whole() -> list[Figure]:
    """Measure 10,000 gets once, with the official client among those who make them all."""
    with serving() as url:
        programs = _list_programs(url, 10_000) | {OFFICIAL: _program(WITH_OFFICIAL, url, 10_000)}
        runs = take_turns(programs, rounds=1, is_warm=True)
    return _compare(10_000, runs, is_whole=True)


def _list_programs(url: str, count: int) -> dict[str, Callable[[], dict[str, float]]]:
    return {
        SEMAPHORE: _program(BEHIND_A_SEMAPHORE, url, count),
        RAW_NAME: _program(RAW, url, count),
        OURS: _program(WITH_OURS, url, count),
    }


def _compare(count: int, runs: Mapping[str, list[dict[str, float]]], *, is_whole: bool) -> list[Figure]:
    seconds = [at_most(1.1, times=SEMAPHORE), at_most(1, times=RAW_NAME)]
    memory = [at_most(1.1, times=SEMAPHORE)]
    if is_whole:
        memory.append(at_most(1 / 4, times=RAW_NAME))
    if OFFICIAL in runs:
        seconds.append(at_most(1 / 48, times=OFFICIAL))
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


if __name__ == "__main__":
    pin_client()
    figures = measure_whole()
    print(render_table(figures))
    print(render_summary(figures))
