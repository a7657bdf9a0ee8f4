"""Memory of a process after one call, and while a million items go by."""

from __future__ import annotations

from benchmarks.load_server import serving
from benchmarks.machine import ask_program
from benchmarks.measuring import Figure, compare, take_turns
from benchmarks.peers import BY_HAND, OFFICIAL, OURS, OURS_SYNC
from benchmarks.startup import CALL_ASYNC, CALL_BY_HAND, CALL_OFFICIAL, CALL_SYNC
from benchmarks.targets import at_most

_SAY_MEMORY = """
with open("/proc/self/status") as status:
    print(next(int(line.split()[1]) for line in status if line.startswith("{what}")) / 1024)
"""
RESIDENT = _SAY_MEMORY.format(what="VmRSS")
HIGHEST = _SAY_MEMORY.format(what="VmHWM")
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


def measure(*, quick: bool) -> list[Figure]:
    """Measure MiB of resident memory: at the end after one call, at its highest for lists."""
    return _measure_one_call(1 if quick else 5) + _measure_lists(quick=quick)


def _measure_one_call(rounds: int) -> list[Figure]:
    official = f"{OFFICIAL}, sync"
    with serving() as url:
        programs = {
            official: ask_program(CALL_OFFICIAL + RESIDENT, url),
            OURS: ask_program(CALL_ASYNC + RESIDENT, url),
            OURS_SYNC: ask_program(CALL_SYNC + RESIDENT, url),
            BY_HAND: ask_program(CALL_BY_HAND + RESIDENT, url),
        }
        limits = [at_most(45), at_most(1, times=official)]
        return compare(
            "memory after one call",
            take_turns(programs, rounds=rounds, is_warm=True),
            unit="MiB",
            baseline=official,
            targets={OURS: limits, OURS_SYNC: limits},
        )


def _measure_lists(*, quick: bool) -> list[Figure]:
    few, many = (10_000, 50_000) if quick else (100_000, 1_000_000)
    short, long = f"{few:,} items", f"{many:,} items"
    with serving(total=few) as url_of_few, serving(total=many) as url_of_many:
        programs = {
            short: ask_program(LIST_OURS.format(total=few) + HIGHEST, url_of_few),
            long: ask_program(LIST_OURS.format(total=many) + HIGHEST, url_of_many),
        }
        return compare(
            "highest memory of a process that lists",
            take_turns(programs, rounds=1, is_warm=True),
            unit="MiB",
            baseline=short,
            # Three pages of models are 3 MiB.
            targets={long: [at_most(3, over=short)]},
        )
