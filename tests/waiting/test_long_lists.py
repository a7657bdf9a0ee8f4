"""Waits for what stands far behind on a long list."""

from __future__ import annotations

import asyncio

import pytest

from openrelay_async.errors import WaitTimeout
from openrelay_async.fleets import Fleet
from openrelay_async.generated.operation_rows.vms import GET_VM, LIST_ORG_VMS
from openrelay_async.lifecycles import VMS
from openrelay_async.models import VmSummary
from openrelay_async.pagination import Page, PagedCall
from openrelay_async.poll_source import Reading, Source
from openrelay_async.waiting import WaitOptions


class LongList:
    """A hundred thousand VMs, newest first; counts how it is read."""

    def __init__(self, total: int = 100_000) -> None:
        self.total = total
        self.pages = 0
        self.reads = 0

    def source(self) -> Source[VmSummary]:
        return Source(VMS, LIST_ORG_VMS, pages=self.list, read=Reading(GET_VM, self.read))

    def vm(self, number: int) -> VmSummary:
        return VmSummary(id=f"vm_{number}", name="x", organization_id="org_1", status="running")

    def list(self, size: int) -> PagedCall[VmSummary]:
        async def fetch(cursor: str | None) -> Page[VmSummary]:
            self.pages += 1
            start = int(cursor or 0)
            end = min(start + size, self.total)
            following = str(end) if end < self.total else None
            return Page([self.vm(number) for number in range(start, end)], following)

        return PagedCall(fetch, operation=LIST_ORG_VMS)

    async def read(self, resource_id: str) -> VmSummary:
        self.reads += 1
        await asyncio.sleep(0)
        return self.vm(int(resource_id.removeprefix("vm_")))


async def wait_in_vain(client, vms: LongList, numbers, timeout: float) -> int:
    """Wait for what never comes; return the number of looks."""
    looks = 0

    fleet = Fleet(client._calls, vms.source(), "org_1")
    ids = [f"vm_{number}" for number in numbers]
    outcomes = fleet.as_completed(ids, "stopped", WaitOptions(timeout=timeout))
    async for outcome in outcomes:
        assert isinstance(outcome.error, WaitTimeout)
        looks = max(looks, outcome.error.polls)
    return looks


async def test_a_few_old_ones_are_read_singly(client):
    vms = LongList()
    looks = await wait_in_vain(client, vms, range(99_000, 99_006), timeout=300)
    assert looks > 10
    assert vms.pages <= 8, "the list is tried once, and not to its end"
    assert vms.reads <= 6 * (looks + 1)


async def test_many_old_ones_are_found_on_the_list(client):
    """R5.5: reading on costs less than single reads"""
    vms = LongList(20_000)
    looks = await wait_in_vain(client, vms, range(19_000, 19_500), timeout=100)
    assert vms.pages <= 20 * (looks + 1)
    assert vms.reads == 0


async def test_new_ones_cost_one_page_however_long_the_list_is(client):
    """R5.5"""
    vms = LongList()
    looks = await wait_in_vain(client, vms, range(500), timeout=300)
    assert vms.pages <= looks + 1
    assert vms.reads == 0


@pytest.mark.parametrize("old", [3, 60])
async def test_those_that_stand_apart_do_not_make_the_others_cost_more(client, old):
    vms = LongList()
    looks = await wait_in_vain(client, vms, [*range(400), *range(90_000, 90_000 + old)], timeout=300)
    assert vms.pages <= looks + 1 + old
    assert vms.reads <= old * (looks + 1)
