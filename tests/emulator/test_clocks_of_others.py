"""An emulator by a clock that somebody else made: its background work does not turn it."""

from __future__ import annotations

import asyncio

import pytest
from aiohttp import web

from openrelay_async.emulator import Emulator, FastClock, TurnedClock
from openrelay_async.emulator.clocks import waits_by_itself

START = 1_800_000_000.0
VM = {"name": "vm", "resourceSize": "small"}


class Leaping:
    """A simple fake, as tests have them: its sleeps are over at once, and have turned it."""

    def __init__(self, *, yields=True):
        self.elapsed = 0.0
        self._yields = yields

    def monotonic(self):
        return self.elapsed

    def wall(self):
        return START + self.elapsed

    def uniform(self, low, high):
        return (low + high) / 2

    async def sleep(self, seconds):
        self.elapsed += max(seconds, 0.0)
        if self._yields:
            await asyncio.sleep(0)


class Still(Leaping):
    """Its sleeps never end; only its owner moves it on."""

    async def sleep(self, seconds):
        await asyncio.Event().wait()


@pytest.mark.parametrize("yields", [True, False])
async def test_time_passes_only_as_the_client_sleeps(yields):
    clock = Leaping(yields=yields)
    async with Emulator(clock=clock) as emulator, emulator.client(clock=clock) as client:
        vm = await client.vms.create(name="a", gpu_model_id="rtx-4090", gpu_count=1)
        assert (await client.vms.wait(vm.id, timeout=60)).status == "running"
        for _ in range(20):
            assert (await client.vms.get(vm.id)).status == "running"
            await asyncio.sleep(0)
    assert clock.elapsed < 10


async def test_a_clock_made_faster_is_not_turned_either():
    inner = Leaping()
    async with Emulator(clock=FastClock(inner, speed=10)) as emulator, emulator.client() as client:
        await client.vms.create(name="a", gpu_model_id="rtx-4090", gpu_count=1)
        for _ in range(20):
            await client.account.whoami()
    assert inner.elapsed == 0


async def test_an_emulator_by_a_jumping_clock_does_not_leap():
    clock = TurnedClock()
    async with Emulator(clock=clock.jumping()) as emulator, emulator.client(clock=clock.jumping()) as client:
        vm = await client.vms.create(name="a", gpu_model_id="rtx-4090", gpu_count=1)
        assert (await client.vms.wait(vm.id, timeout=60)).status == "running"
    assert clock.monotonic() < 10


async def test_deliveries_come_when_the_clock_has_got_there(connect):
    got = asyncio.Event()

    async def receive(request):
        got.set()
        return web.Response()

    runner = web.ServerRunner(web.Server(receive))
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    clock = Still()
    try:
        async with Emulator(clock=clock) as emulator:
            api = connect(emulator)
            url = f"http://127.0.0.1:{runner.addresses[0][1]}/"
            hook = {"name": "hook", "url": url, "events": ["vm.running"]}
            await api.post("/v1/orgs/{org}/webhooks/create", hook)
            await api.post("/v1/orgs/{org}/vms/create", VM)
            for _ in range(3):
                await api.get("/v1/whoami")  # by now the emulator waits for the clock
            clock.elapsed += 2
            await asyncio.wait_for(got.wait(), 5)
    finally:
        await runner.cleanup()


def test_clocks_of_the_emulator_are_slept_on():
    """They wake at the moment itself."""
    turned = TurnedClock()
    assert all(map(waits_by_itself, (turned, turned.serving(), FastClock(), FastClock(turned))))
    assert not any(map(waits_by_itself, (Leaping(), turned.jumping(), FastClock(Leaping()))))
