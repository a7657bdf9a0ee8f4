"""Deliveries of the emulator: verified, through failures, kills and rolled secrets; they end waits early."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator

import pytest
from aiohttp import web

from openrelay_async import AsyncClient
from openrelay_async.emulator import Emulator, TurnedClock
from openrelay_async.webhooks import (
    ClusterWebhookEvent,
    VmWebhookEvent,
    WebhookEvent,
    WebhookSecrets,
    aiohttp_handler,
)

SMALL_VM = {"name": "vm", "resource_size": "small", "container_port": 8080}


@pytest.fixture
def clock() -> TurnedClock:
    return TurnedClock()


@pytest.fixture
async def emulator(clock: TurnedClock) -> AsyncIterator[Emulator]:
    async with Emulator(clock=clock) as running:
        yield running


@pytest.fixture
async def client(emulator: Emulator, clock: TurnedClock) -> AsyncIterator[AsyncClient]:
    # Both live in the emulator's time.
    async with emulator.client(clock=clock.jumping()) as client:
        yield client


class Listening:
    """A receiver that is registered as a webhook of the emulator."""

    def __init__(self) -> None:
        self.url = ""
        self.webhook_id = ""
        self.secrets = WebhookSecrets()
        self.statuses: list[int] = []
        self.handler: object = None
        self.refusing = 0


@pytest.fixture
def listen(serve_aiohttp, collector, clock):
    async def listen(client, on_event=collector, **options) -> Listening:
        listening = Listening()

        @web.middleware
        async def note(request, handler):
            if listening.refusing:
                listening.refusing -= 1
                listening.statuses.append(500)
                return web.Response(status=500)
            response = await handler(request)
            listening.statuses.append(response.status)
            return response

        listening.secrets = WebhookSecrets("whsec_until_it_is_known")
        handler = aiohttp_handler(on_event, secrets=listening.secrets, clock=clock, **options)
        app = web.Application(middlewares=[note])
        app.router.add_post("/hooks", handler)
        app.cleanup_ctx.append(handler.cleanup_ctx)
        listening.url = await serve_aiohttp(app) + "/hooks"
        made = await client.webhooks.create(name="test", url=listening.url)
        listening.secrets.add(made.secret)
        listening.webhook_id = made.id
        return listening

    return listen


async def test_events_of_vms_and_clusters_arrive_typed_and_verified(
    emulator, client, clock, listen, collector
):
    """R10.1, R12.1"""
    await listen(client)
    vm = await client.vms.create(**SMALL_VM)
    clock.advance(2)
    await emulator.settle()
    await client.vms.terminate(vm.id)
    cluster = await client.clusters.create(
        name="llm", gpu_model_id="h100", gpus_per_replica=1, replica_count=1
    )
    clock.advance(10)
    await emulator.settle()
    await collector.wait_for(4)
    running, *_ = collector.events
    assert isinstance(running, VmWebhookEvent)
    assert (running.type, running.data.vm_id, running.data.status) == ("vm.running", vm.id, "running")
    kinds = {event.type: event.__class__ for event in collector.events}
    assert kinds["vm.terminated"] is VmWebhookEvent
    assert kinds["cluster.running"] is ClusterWebhookEvent
    assert kinds["replica.healthy"] is WebhookEvent
    (of_cluster,) = [event for event in collector.events if isinstance(event, ClusterWebhookEvent)]
    assert of_cluster.data.cluster_id == cluster.id


async def test_what_fails_is_delivered_again_and_handed_over_once(emulator, client, clock, listen, collector):
    """R12.2: also the last attempt, 370 s after the event, is accepted"""
    listening = await listen(client)
    listening.refusing = 3
    vm = await client.vms.create(**SMALL_VM)
    await client.vms.terminate(vm.id)
    for seconds in (0, 10, 60, 300, 1000):
        clock.advance(seconds)
        await emulator.settle()
    await collector.wait_for(1)
    assert listening.statuses == [500, 500, 500, 202]
    assert [event.type for event in collector.events] == ["vm.terminated"]


async def test_an_answer_that_is_lost_does_not_make_an_event_twice(
    emulator, client, clock, serve_aiohttp, collector
):
    """R12.2: the service did not hear of the 2xx and delivers again"""
    listening_secrets = WebhookSecrets("whsec_until_it_is_known")
    handler = aiohttp_handler(collector, secrets=listening_secrets, clock=clock)
    statuses = []

    @web.middleware
    async def hang_up(request, handler):
        response = await handler(request)
        statuses.append(response.status)
        if len(statuses) == 1:
            request.transport.close()
        return response

    app = web.Application(middlewares=[hang_up])
    app.router.add_post("/hooks", handler)
    made = await client.webhooks.create(name="test", url=await serve_aiohttp(app) + "/hooks")
    listening_secrets.add(made.secret)
    vm = await client.vms.create(**SMALL_VM)
    await client.vms.terminate(vm.id)
    await emulator.settle()
    clock.advance(10)
    await emulator.settle()
    assert statuses == [202, 200]
    assert len(collector.events) == 1


async def test_a_full_queue_is_caught_up_with_by_retries(emulator, client, clock, listen, collector):
    collector.gate.clear()
    listening = await listen(client, queue_size=2)
    for _ in range(5):
        vm = await client.vms.create(**SMALL_VM)
        await client.vms.terminate(vm.id)
    await emulator.settle()
    assert sorted(listening.statuses) == [202, 202, 503, 503, 503]
    collector.gate.set()
    for seconds in (10, 60):
        await collector.wait_for(2)
        clock.advance(seconds)
        await emulator.settle()
    await collector.wait_for(5)
    assert len(set(collector.ids)) == 5


async def test_rolling_the_secret_under_deliveries_loses_none(emulator, client, clock, listen, collector):
    """R12.1: several secrets during rotation"""
    listening = await listen(client)
    made = []
    rolled = 0

    async def make_events() -> None:
        while rolled < 5:
            vm = await client.vms.create(**SMALL_VM)
            await client.vms.terminate(vm.id)
            made.append(vm.id)

    async def roll() -> None:
        nonlocal rolled
        for _ in range(5):
            async with client.webhooks.rolling_secret(listening.webhook_id, listening.secrets):
                await asyncio.sleep(0.01)
            rolled += 1

    await asyncio.gather(make_events(), roll())
    for seconds in (0, 10, 60, 300):
        clock.advance(seconds)
        await emulator.settle()
    await collector.wait_for(len(made))
    assert sorted(event.data.vm_id for event in collector.events) == sorted(made)
    assert set(listening.statuses) <= {202, 503}
    clock.advance(601)
    assert len(listening.secrets.current(clock.wall())) == 1, "the newest alone"


async def test_an_event_ends_a_wait_before_its_next_look(emulator, client, clock, listen):
    """The product of both: an interval of an hour, and the wait is over when the event has come."""

    async def on_event(event) -> None:
        await other.vms.look_now()

    await listen(client, on_event)
    vm = await client.vms.create(**SMALL_VM)
    other = emulator.client()  # in real time: an hour is an hour
    waiting = asyncio.create_task(other.vms.wait(vm.id, until="running", timeout=7200, interval=3600))
    async with asyncio.timeout(5):
        while not any(
            request.operation in ("getVm", "getVmDetail", "listVms") for request in emulator.requests
        ):
            await asyncio.sleep(0.005)
    await asyncio.sleep(0.05)
    assert not waiting.done()
    clock.advance(2)
    async with asyncio.timeout(10):
        assert (await waiting).status == "running"
    await other.aclose()


RECEIVER = """
import asyncio, sys
from aiohttp import web
from openrelay_async.webhooks import SQLiteStore, aiohttp_handler

async def on_event(event):
    await asyncio.sleep(0.01)
    with open(sys.argv[3], "a") as log:
        log.write(event.id + "\\n")

async def main():
    # The emulator's time runs ahead of ours, so any age is accepted here.
    handler = aiohttp_handler(on_event, secrets=[sys.argv[1]], tolerance=None, store=SQLiteStore(sys.argv[2]))
    app = web.Application()
    app.router.add_post("/hooks", handler)
    app.cleanup_ctx.append(handler.cleanup_ctx)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", int(sys.argv[4]), reuse_address=True).start()
    print(runner.addresses[0][1], flush=True)
    await asyncio.Event().wait()

asyncio.run(main())
"""


class Program:
    """A program that says one line when it is ready, and can be killed."""

    def __init__(self, *arguments: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, *arguments], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )
        assert self.process.stdout is not None
        self.greeting = self.process.stdout.readline()

    def kill(self) -> None:
        os.kill(self.process.pid, signal.SIGKILL)
        self.process.wait(10)
        assert self.process.stdout is not None
        self.process.stdout.close()


async def test_every_event_arrives_although_emulator_and_receiver_are_killed(tmp_path, http):
    """R10.1: kill -9 on both sides, in the middle of deliveries; retries come due as the clock is turned"""
    log = tmp_path / "handled.txt"
    log.touch()
    arguments = (
        "-m",
        "openrelay_async.emulator",
        "--db",
        str(tmp_path / "emulator.db"),
        "--json",
        "--control",
    )
    emulator = Program(*arguments, "--port", "0")
    facts = json.loads(emulator.greeting)
    port = facts["url"].rsplit(":", 1)[1]
    store, own_port = str(tmp_path / "events.db"), "0"
    receiver = Program("-c", RECEIVER, "whsec_until_it_is_known", store, str(log), own_port)
    own_port = receiver.greeting.strip()

    def handled() -> set[str]:
        return set(log.read_text().split())

    async def turn_clock(seconds: int) -> None:
        # A connection of its own each time: the one of before may have died with the emulator.
        url, close = f"{facts['url']}/_emulator/clock", {"Connection": "close"}
        async with http.post(url, json={"advance": seconds}, headers=close) as response:
            assert response.status == 200

    try:
        async with AsyncClient(facts["api_key"], base_url=facts["url"], org_id=facts["org_id"]) as client:
            url = f"http://127.0.0.1:{own_port}/hooks"
            hook = await client.webhooks.create(name="test", url=url, events=["vm.terminated"])
            for turn in range(2):
                receiver.kill()
                for _ in range(8):
                    vm = await client.vms.create(**SMALL_VM)
                    await client.vms.terminate(vm.id)
                if turn == 1:
                    emulator.kill()
                    emulator = Program(*arguments, "--port", port)
                before = len(handled())
                receiver = Program("-c", RECEIVER, hook.secret.reveal(), store, str(log), own_port)
                await turn_clock(10)
                async with asyncio.timeout(20):
                    while len(handled()) == before:  # and killed while the others are on their way
                        await asyncio.sleep(0.005)
            for seconds in (10, 60, 300):
                await turn_clock(seconds)
                await asyncio.sleep(0.1)
            async with asyncio.timeout(20):
                while len(handled()) < 16:
                    await asyncio.sleep(0.02)
            deliveries = await client.webhooks.list_deliveries(hook.id, limit=1000)
    finally:
        receiver.kill()
        emulator.kill()
    assert handled() == {delivery.event_id for delivery in deliveries}
