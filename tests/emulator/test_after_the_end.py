"""What a test may still ask an emulator that has ended."""

from __future__ import annotations

import pytest

from openrelay_async.emulator import Emulator, EmulatorError, TurnedClock

HOOK = {"name": "hook", "url": "http://127.0.0.1:9/nothing"}


async def live(emulator, connect, clock):
    """A request and an attempt to deliver."""
    api = connect(emulator)
    await api.post("/v1/orgs/{org}/webhooks/create", HOOK)
    await api.post("/v1/orgs/{org}/vms/create", {"name": "vm", "resourceSize": "small"})
    clock.advance(2)
    await emulator.settle()


async def test_where_it_was_and_what_it_saw_can_be_read(connect, clock):
    async with Emulator(clock=clock) as emulator:
        await live(emulator, connect, clock)
        url, deliveries = emulator.url, emulator.deliveries
    assert emulator.url == url
    assert emulator.dashboard_url == f"{url}/dashboard"
    assert [(item.attempt, item.status) for item in emulator.deliveries] == [(1, "failed")]
    assert emulator.deliveries == deliveries
    assert [seen.operation for seen in emulator.requests] == ["createOrgWebhook", "createVm"]
    assert repr(emulator).startswith("Emulator(ended")


async def test_a_second_life_has_its_own(connect):
    emulator = Emulator(clock=TurnedClock())
    async with emulator:
        await live(emulator, connect, emulator.clock)
    first = emulator.url
    async with emulator:
        assert emulator.url != first
        assert emulator.deliveries == []
    assert emulator.deliveries == []


async def test_nothing_more_is_done_with_it(clock):
    async with Emulator(clock=clock) as emulator:
        pass
    for do in (emulator.client, emulator.reset, lambda: emulator.add_organization("Other")):
        with pytest.raises(EmulatorError, match="is not running"):
            do()


@pytest.mark.parametrize("name", ["url", "deliveries", "org_id", "api_key"])
async def test_there_is_nothing_to_read_before_the_start_nor_without_one(name):
    with pytest.raises(EmulatorError, match="has not been started"):
        getattr(Emulator(), name)
    async with Emulator() as other:
        refused = Emulator(port=int(other.url.rpartition(":")[2]))
        with pytest.raises(EmulatorError, match="cannot listen"):
            await refused.start()
    with pytest.raises(EmulatorError, match="has not been started"):
        getattr(refused, name)
