"""Webhooks: real POSTs to a real receiver, signed, tried again, written down."""

from __future__ import annotations

import hashlib
import hmac
import json

import attrs
import pytest
from aiohttp import web

from openrelay_async.clock import SystemClock
from openrelay_async.emulator import Emulator, FastClock, TurnedClock

VM = {"name": "vm", "resourceSize": "small", "containerPort": 8080}


@attrs.define
class Receiver:
    """Listens on a port and answers what it is told to."""

    url: str = ""
    answers: list[int] = attrs.field(factory=list)
    got: list[tuple[dict[str, str], bytes]] = attrs.field(factory=list)

    async def handle(self, request):
        self.got.append((dict(request.headers), await request.read()))
        return web.Response(status=self.answers.pop(0) if self.answers else 200)

    @property
    def types(self):
        return [json.loads(body)["type"] for _, body in self.got]


@pytest.fixture
async def receiver():
    receiver = Receiver()
    runner = web.ServerRunner(web.Server(receiver.handle))
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    receiver.url = f"http://127.0.0.1:{runner.addresses[0][1]}/hook"
    yield receiver
    await runner.cleanup()


async def register(api, receiver, **body):
    return await api.post("/v1/orgs/{org}/webhooks/create", {"name": "hook", "url": receiver.url, **body})


def signature(secret, body):
    key = hashlib.sha256(secret.encode()).digest()
    return "sha256=" + hmac.new(key, body, hashlib.sha256).hexdigest()


async def test_a_delivery_is_signed_with_the_secret_that_was_shown_once(api, emulator, clock, receiver):
    hook = await register(api, receiver)
    assert hook["secret"].startswith("whsec_")
    assert hook["secret"].encode() not in (await api("GET", "/v1/orgs/{org}/webhooks")).raw
    vm = await api.post("/v1/orgs/{org}/vms/create", VM)
    clock.advance(2)
    await emulator.settle()
    ((headers, body),) = receiver.got
    assert headers["X-VectorLay-Signature"] == signature(hook["secret"], body)
    assert headers["X-VectorLay-Event"] == "vm.running"
    event = json.loads(body)
    assert event["created_at"] == "2026-11-01T00:00:02Z"
    assert event["data"] == {"vm_id": vm["id"], "status": "running", "endpoint": vm["endpointUrl"]}
    (listed,) = await api.get(f"/v1/orgs/{{org}}/webhooks/{hook['id']}/deliveries")
    assert (listed["id"], listed["eventId"]) == (headers["X-VectorLay-Delivery"], event["id"])
    assert (listed["status"], listed["statusCode"], listed["attemptNumber"]) == ("delivered", 200, 1)


async def test_a_failed_delivery_is_tried_three_times_more(api, emulator, clock, receiver):
    hook = await register(api, receiver)
    receiver.answers = [500, 404, 302, 500, 500]
    vm = await api.post("/v1/orgs/{org}/vms/create", VM)
    await api.post(f"/v1/vms/{vm['id']}/stop")
    await emulator.settle()
    counts = [len(receiver.got)]
    for seconds in (9, 1, 59, 1, 299, 1, 10_000):
        clock.advance(seconds)
        await emulator.settle()
        counts.append(len(receiver.got))
    assert counts == [1, 1, 2, 2, 3, 3, 4, 4]
    ids = [headers["X-VectorLay-Delivery"] for headers, _ in receiver.got]
    assert len(set(ids)) == 4, "each attempt has its own id"
    assert len({body for _, body in receiver.got}) == 1, "and the same body"
    listed = await api.get(f"/v1/orgs/{{org}}/webhooks/{hook['id']}/deliveries")
    assert [(item["attemptNumber"], item["status"], item["statusCode"]) for item in listed] == [
        (4, "failed", 500),
        (3, "failed", 302),
        (2, "failed", 404),
        (1, "failed", 500),
    ]
    assert [delivery.attempt for delivery in emulator.deliveries] == [1, 2, 3, 4]


@pytest.mark.parametrize("steps", [[3, 10, 60, 300], [3, 1000], [2000]], ids=str)
@pytest.mark.parametrize("make", [Emulator, lambda: Emulator(clock=TurnedClock())], ids=["fast", "turned"])
async def test_a_clock_that_is_turned_far_passes_every_retry(connect, receiver, make, steps):
    receiver.answers = [500] * 10
    async with make() as emulator:
        api = connect(emulator)
        await register(api, receiver)
        await api.post("/v1/orgs/{org}/vms/create", VM)
        for seconds in steps:
            emulator.advance(seconds)
            await emulator.settle()
        assert [item.attempt for item in emulator.deliveries] == [1, 2, 3, 4]
        ids = [headers["X-VectorLay-Delivery"] for headers, _ in receiver.got]
        assert ids == [item.id for item in emulator.deliveries]


async def test_a_clock_that_is_turned_far_keeps_the_order_of_retries_and_events(
    api, emulator, clock, receiver
):
    await register(api, receiver)
    receiver.answers = [500] * 10
    vm = await api.post("/v1/orgs/{org}/vms/create", VM)
    emulator.move_vm(vm["id"], "stopped", after=50)
    clock.advance(2000)
    await emulator.settle()
    running, stopped = "vm.running", "vm.stopped"
    assert receiver.types[:4] == [running, running, stopped, stopped], "after 2, 12, 50 and 60 seconds"
    assert [delivery.event_type for delivery in emulator.deliveries] == receiver.types


async def test_a_retry_that_is_planned_is_no_delivery_yet(api, emulator, clock, receiver):
    hook = await register(api, receiver)
    receiver.answers = [500]
    await api.post("/v1/orgs/{org}/vms/create", VM)
    clock.advance(2)
    await emulator.settle()
    assert [(item.attempt, item.status) for item in emulator.deliveries] == [(1, "failed")]
    listed = await api.get(f"/v1/orgs/{{org}}/webhooks/{hook['id']}/deliveries")
    assert [(item["attemptNumber"], item["status"]) for item in listed] == [(2, "pending"), (1, "failed")]


async def test_a_receiver_that_is_not_there_is_tried_again_and_then_reached(api, emulator, clock, receiver):
    hook = await register(api, receiver, url="http://127.0.0.1:9/nothing")
    vm = await api.post("/v1/orgs/{org}/vms/create", VM)
    await api.post(f"/v1/vms/{vm['id']}/terminate")
    await emulator.settle()
    (attempt,) = emulator.deliveries
    assert (attempt.status, attempt.status_code) == ("failed", None)
    assert "ClientConnectorError" in attempt.error
    await api("PATCH", f"/v1/orgs/{{org}}/webhooks/{hook['id']}", {"url": receiver.url})
    clock.advance(10)
    await emulator.settle()
    assert receiver.types == ["vm.terminated"]


async def test_it_delivers_by_itself_when_the_clock_is_turned(api, clock, receiver):
    import asyncio

    await register(api, receiver)
    await api.post("/v1/orgs/{org}/vms/create", VM)
    clock.advance(2)
    async with asyncio.timeout(5):
        while not receiver.got:
            await asyncio.sleep(0.005)
    assert receiver.types == ["vm.running"]


async def test_what_does_not_happen_is_not_announced(api, emulator, clock, receiver):
    await register(api, receiver)
    vm = await api.post("/v1/orgs/{org}/vms/create", VM)
    clock.advance(1)
    await api.post(f"/v1/vms/{vm['id']}/stop")
    clock.advance(100)
    await emulator.settle()
    assert receiver.types == ["vm.stopped"]


async def test_the_story_of_a_vm_is_told_in_order(api, emulator, clock, receiver):
    await register(api, receiver, events=["vm.running", "vm.interrupted", "vm.stopped", "vm.terminated"])
    vm = await api.post("/v1/orgs/{org}/vms/create", VM)
    steps = [2, "interrupted", 5, "running", 5, "stop", 0, "restart", 2, "terminate"]
    for step in steps:
        if isinstance(step, int):
            clock.advance(step)
        elif step in ("interrupted", "running"):
            emulator.move_vm(vm["id"], step)
        else:
            await api.post(f"/v1/vms/{vm['id']}/{step}")
        await emulator.settle()
    assert receiver.types == [
        "vm.running",
        "vm.interrupted",
        "vm.running",
        "vm.stopped",
        "vm.running",
        "vm.terminated",
    ]


async def test_the_story_of_a_cluster(api, emulator, clock, receiver):
    await register(api, receiver)
    order = {"name": "c", "gpuModelId": "h100", "replicaCount": 2}
    cluster = await api.post("/v1/orgs/{org}/clusters/create", order)
    clock.advance(4)
    await emulator.settle()
    assert sorted(receiver.types) == ["cluster.running", "replica.healthy", "replica.healthy"]
    receiver.got.clear()
    emulator.sicken_replica(cluster["id"], 0, after=1, lasting=1)
    clock.advance(1)
    await emulator.settle()
    assert sorted(receiver.types) == ["cluster.degraded", "replica.unhealthy"]
    clock.advance(1)
    await emulator.settle()
    assert sorted(receiver.types[2:]) == ["cluster.running", "replica.healthy"]
    receiver.got.clear()
    await api.post(f"/v1/clusters/{cluster['id']}/terminate")
    await emulator.settle()
    assert receiver.types == ["replica.terminated"] * 2
    assert json.loads(receiver.got[0][1])["data"]["clusterId"] == cluster["id"]


async def test_only_what_was_asked_for_comes_and_only_while_it_is_on(api, emulator, clock, receiver):
    hook = await register(api, receiver, events=["vm.stopped"])
    path = f"/v1/orgs/{{org}}/webhooks/{hook['id']}"
    vm = await api.post("/v1/orgs/{org}/vms/create", VM)
    clock.advance(2)
    await api.post(path + "/toggle", {"enabled": False})
    await api.post(f"/v1/vms/{vm['id']}/stop")
    await emulator.settle()
    assert receiver.got == []
    await api.post(path + "/toggle", {"enabled": True})
    await api.post(f"/v1/vms/{vm['id']}/restart")
    clock.advance(2)
    await api.post(f"/v1/vms/{vm['id']}/stop")
    await emulator.settle()
    assert receiver.types == ["vm.stopped"]
    assert (await api("DELETE", path)).status == 204
    await api.post(f"/v1/vms/{vm['id']}/restart")
    await api.post(f"/v1/vms/{vm['id']}/stop")
    await emulator.settle()
    assert len(receiver.got) == 1
    assert (await api("GET", path + "/deliveries")).status == 404


async def test_a_new_secret_replaces_the_old_one(api, emulator, clock, receiver):
    hook = await register(api, receiver)
    renewed = await api.post(f"/v1/orgs/{{org}}/webhooks/{hook['id']}/regenerate-secret")
    assert renewed["secret"] != hook["secret"]
    assert renewed["secret"].startswith(renewed["secretPrefix"])
    await api.post("/v1/orgs/{org}/vms/create", VM)
    clock.advance(2)
    await emulator.settle()
    headers, body = receiver.got[0]
    assert headers["X-VectorLay-Signature"] == signature(renewed["secret"], body)


async def test_an_empty_list_of_events_is_the_default_set(api, receiver):
    hook = await register(api, receiver, events=[])
    assert "cluster.running" in hook["events"]
    assert "vm.terminated" in hook["events"]
    assert "vm.interrupted" not in hook["events"]


async def test_webhooks_of_another_organization_hear_and_show_nothing(api, emulator, clock, receiver):
    other = emulator.add_organization("Other")
    theirs = api.with_token(other.api_key, other.org_id)
    hook = await register(theirs, receiver)
    await api.post("/v1/orgs/{org}/vms/create", VM)
    clock.advance(2)
    await emulator.settle()
    assert receiver.got == []
    for method, path in (
        ("PATCH", ""),
        ("DELETE", ""),
        ("GET", "/deliveries"),
        ("POST", "/regenerate-secret"),
    ):
        answered = await api(
            method, f"/v1/orgs/{{org}}/webhooks/{hook['id']}{path}", {} if method == "PATCH" else None
        )
        assert answered.status == 404


@pytest.mark.parametrize(
    "url",
    ["", "ftp://x", "https://", "http://[", "https://u:p@host/", "/path", "http://x:99999/", "http://x/\n"],
)
async def test_a_url_that_nothing_can_be_posted_to_is_refused(api, url):
    answered = await api("POST", "/v1/orgs/{org}/webhooks/create", {"name": "hook", "url": url})
    assert (answered.status, answered.json["field"]) == (400, "url")


async def test_what_was_not_delivered_before_the_end_is_delivered_after_the_next_start(
    tmp_path, connect, receiver
):
    file = str(tmp_path / "state.db")
    clock = TurnedClock()
    async with Emulator(db=file, clock=clock) as emulator:
        api = connect(emulator)
        hook = await register(api, receiver)
        await api.post("/v1/orgs/{org}/vms/create", VM)
    clock.advance(2)
    async with Emulator(db=file, clock=clock) as emulator:
        await emulator.settle()
        ((headers, body),) = receiver.got
        assert headers["X-VectorLay-Signature"] == signature(hook["secret"], body)
    assert hook["secret"].encode() not in b"".join(path.read_bytes() for path in tmp_path.iterdir())


class Machine(SystemClock):
    """The clock of a machine on which the process did not run for a time."""

    paused = 0.0

    def monotonic(self):
        return super().monotonic() + self.paused

    def wall(self):
        return super().wall() + self.paused


async def fail_and_pause(emulator, connect, receiver, machine):
    """Have the first attempt fail, and let an hour pass before the next."""
    api = connect(emulator)
    receiver.answers = [500] * 10
    await register(api, receiver, events=["vm.terminated"])
    vm = await api.post("/v1/orgs/{org}/vms/create", VM)
    await api.post(f"/v1/vms/{vm['id']}/terminate")
    await emulator.settle()
    machine.paused = 3600.0


async def check_distances(emulator):
    """Later attempts are not made up for, but made when the clock is turned to them."""
    for seconds, attempts in [(0, [1, 2]), (60, [1, 2, 3]), (1000, [1, 2, 3, 4])]:
        emulator.advance(seconds)
        await emulator.settle()
        assert [item.attempt for item in emulator.deliveries] == attempts


async def test_after_a_restart_a_retry_keeps_its_distance_from_the_attempt_before(
    tmp_path, connect, receiver
):
    file, machine = str(tmp_path / "state.db"), Machine()
    async with Emulator(db=file, clock=FastClock(machine)) as emulator:
        await fail_and_pause(emulator, connect, receiver, machine)
    async with Emulator(db=file, clock=FastClock(machine)) as emulator:
        await check_distances(emulator)


async def test_of_a_suspended_process_a_retry_keeps_its_distance_from_the_attempt_before(connect, receiver):
    machine = Machine()
    async with Emulator(clock=FastClock(machine)) as emulator:
        await fail_and_pause(emulator, connect, receiver, machine)
        await check_distances(emulator)
