"""What a program pays before its first answer: importing, the first models, a cold process's first call."""

from __future__ import annotations

from benchmarks.load_server import VM, serving
from benchmarks.machine import ask_program, time_program
from benchmarks.measuring import Figure, compare, take_turns
from benchmarks.peers import BY_HAND, KEY, OFFICIAL, OURS, OURS_SYNC, VM_ID
from benchmarks.targets import at_most

CALL_BY_HAND = f"""
import asyncio, sys
import aiohttp, orjson
async def main():
    async with aiohttp.ClientSession(headers={{"Authorization": "Bearer {KEY}"}}) as session:
        async with session.get(sys.argv[1] + "/v1/vms/{VM_ID}") as response:
            return orjson.loads(await response.read())
asyncio.run(main())
"""
CALL_OFFICIAL = f"""
import sys
from openrelay import AuthenticatedClient
from openrelay.api.vms import get_vm
with AuthenticatedClient(base_url=sys.argv[1], token="{KEY}") as client:
    get_vm.sync("{VM_ID}", client=client)
"""
CALL_ASYNC = f"""
import asyncio, sys
from openrelay_async import AsyncClient
async def main():
    async with AsyncClient("{KEY}", base_url=sys.argv[1]) as client:
        return await client.vms.get("{VM_ID}")
asyncio.run(main())
"""
CALL_SYNC = f"""
import sys
from openrelay_sync import Client
with Client("{KEY}", base_url=sys.argv[1]) as client:
    client.vms.get("{VM_ID}")
"""
_TOUCH_MODELS = """
import time, attrs, orjson, openrelay_async, openrelay_async.models as models
# What every process that makes a call has loaded, whichever model it uses.
import openrelay_async.client, openrelay_async.model
names = {names} or models.__all__
began = time.process_time()
for name in names:
    model = getattr(models, name)
    getattr(model, "reader", None)
{use}
print((time.process_time() - began) * 1e3)
"""
TOUCH_FIRST = _TOUCH_MODELS.format(names=["VmSummary"], use=f"model.from_wire({VM!r})")
TOUCH_FIRST_SMALL = _TOUCH_MODELS.format(names=["SshKeySummary"], use="")
TOUCH_ALL = _TOUCH_MODELS.format(names=[], use="")


def measure(*, quick: bool) -> list[Figure]:
    """Measure CPU milliseconds of whole processes, and of the first models within one."""
    rounds = 2 if quick else 7
    return (
        _measure_imports(rounds, has_peers=not quick) + _measure_first_calls(rounds) + _measure_models(rounds)
    )


def _measure_imports(rounds: int, *, has_peers: bool) -> list[Figure]:
    """The first round, which is not counted, writes the bytecode."""
    bare, ours, sync = "bare Python", f"import {OURS}", f"import {OURS_SYNC}"
    programs = {
        bare: time_program("pass"),
        ours: time_program(f"import {OURS}"),
        sync: time_program(f"import {OURS_SYNC}"),
    }
    if has_peers:
        programs["import openrelay (official)"] = time_program("import openrelay")
        programs["import attrs, cattrs, orjson"] = time_program("import attrs, cattrs, orjson")
        programs["import aiohttp"] = time_program("import aiohttp")
    limit = [at_most(10, over=bare, stretch=3)]
    return compare(
        "importing, whole process",
        take_turns(programs, rounds=rounds),
        unit="ms of CPU",
        baseline=bare,
        targets={ours: limit, sync: limit},
    )


def _measure_first_calls(rounds: int) -> list[Figure]:
    official = f"{OFFICIAL}, sync"
    with serving() as url:
        programs = {
            BY_HAND: time_program(CALL_BY_HAND, url),
            OURS: time_program(CALL_ASYNC, url),
            OURS_SYNC: time_program(CALL_SYNC, url),
            official: time_program(CALL_OFFICIAL, url),
        }
        limits = [at_most(1.15, times=BY_HAND), at_most(1, times=official)]
        return compare(
            "cold process to the first answer of a vms.get",
            take_turns(programs, rounds=rounds),
            unit="ms of CPU",
            baseline=BY_HAND,
            targets={OURS: limits, OURS_SYNC: limits},
        )


def _measure_models(rounds: int) -> list[Figure]:
    """The client is imported already; what is measured are the models' own modules and readers."""
    first, small, every = "the first, and one read (VmSummary)", "the first (SshKeySummary)", "all"
    programs = {
        first: ask_program(TOUCH_FIRST),
        small: ask_program(TOUCH_FIRST_SMALL),
        every: ask_program(TOUCH_ALL),
    }
    return compare(
        "touching models",
        take_turns(programs, rounds=rounds),
        unit="ms of CPU",
        targets={first: [at_most(5)], small: [at_most(5)], every: [at_most(120)]},
    )
