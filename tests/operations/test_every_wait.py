"""Waits and watches of every kind of resource: each method, from a first state to the goal."""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
import pytest_asyncio
from attrs import frozen

from openrelay_async import AsyncClient
from openrelay_async.emulator import TurnedClock
from openrelay_async.errors import WaitFailed, WaitTimeout

from .answers import sample_json
from .conftest import KEY
from .description import case
from .recording_server import RecordingServer, answer_json
from .waits import WAITS

pytestmark = pytest.mark.asyncio(loop_scope="module")


@frozen
class Kind:
    """How one kind of resource is listed, and what becomes of it."""

    resource: str
    list_id: str
    read_id: str | None
    """What reads one of them."""
    before: str
    goal: str


KINDS = {
    kind.resource: kind
    for kind in (
        Kind("vms", "listOrgVms", "getVm", "deploying", "running"),
        Kind("pods", "listPods", "getVm", "deploying", "running"),
        Kind("clusters", "listOrgClusters", "getCluster", "deploying", "running"),
        Kind("batches", "listBatches", "getBatch", "in_progress", "completed"),
        Kind("snapshots", "listOrgSnapshots", None, "pending", "ready"),
        Kind("kubernetes", "listKubernetesClusters", "getKubernetesCluster", "creating", "ready"),
    )
}


def page(kind: Kind, states: dict[str, str]) -> Any:
    """A list's only page, with these resources in these states."""
    case_ = case(kind.list_id)
    whole = sample_json(case_)
    items = whole if isinstance(whole, list) else whole[next(iter(set(whole) & {"items", "data"}))]
    rows = [{**items[0], "id": key, "status": status} for key, status in states.items()]
    return rows if isinstance(whole, list) else {**whole, next(iter(set(whole) & {"items", "data"})): rows}


@pytest_asyncio.fixture(loop_scope="module")
async def patient(server: RecordingServer) -> AsyncIterator[AsyncClient]:
    """A client whose waits turn the clock."""
    async with AsyncClient(
        KEY, base_url=server.url, org_id="org_home", clock=TurnedClock().jumping()
    ) as client:
        yield client


def prepare(server: RecordingServer, kind: Kind) -> None:
    """Two resources that reach their goal between the first look and the second."""
    looks = [dict.fromkeys(("x_1", "x_2"), state) for state in (kind.before, kind.goal)]
    path = case(kind.list_id).path.replace("{orgId}", "org_home")
    server.routes[f"GET {path}"] = deque(answer_json(page(kind, look)) for look in looks)
    for each in looks[0] if kind.read_id is not None else ():
        read = case(kind.read_id)
        rows = [{**sample_json(read), "id": each, "status": state} for state in (kind.before, kind.goal)]
        server.routes[f"GET {read.path.replace('{id}', each)}"] = deque(map(answer_json, rows))


async def wait(resource: Any, kind: Kind) -> None:
    seen: list[str] = []
    done = await resource.wait("x_1", until=kind.goal, on_update=lambda each: seen.append(each.status))
    assert (done.id, done.status) == ("x_1", kind.goal)
    assert kind.before in seen


async def wait_all(resource: Any, kind: Kind) -> None:
    done = await resource.wait_all(["x_2", "x_1"], until=kind.goal)
    assert [(each.id, each.status) for each in done] == [("x_2", kind.goal), ("x_1", kind.goal)]


async def wait_any(resource: Any, kind: Kind) -> None:
    done = await resource.wait_any(["x_1", "x_2"], until=kind.goal)
    assert done.id in {"x_1", "x_2"}


async def as_completed(resource: Any, kind: Kind) -> None:
    outcomes = [outcome async for outcome in resource.as_completed(["x_1", "x_2"], until=kind.goal)]
    assert sorted(outcome.id for outcome in outcomes) == ["x_1", "x_2"]
    assert {outcome.get().status for outcome in outcomes} == {kind.goal}


async def resume_wait(resource: Any, kind: Kind) -> None:
    with pytest.raises(WaitTimeout) as caught:
        await resource.wait("x_1", until=kind.goal, timeout=0.001)
    assert (caught.value.resource_id, caught.value.until) == ("x_1", kind.goal)
    done = await resource.resume_wait(caught.value.token)
    assert (done.id, done.status) == ("x_1", kind.goal)


async def watch(resource: Any, kind: Kind) -> None:
    told: list[tuple[str, str, str]] = []
    async for change in resource.watch():
        told.append((change.kind, change.id, change.resource.status))
        if len(told) == 4:
            break
    assert told[:2] == [("appeared", "x_1", kind.before), ("appeared", "x_2", kind.before)]
    assert sorted(told[2:]) == [("changed", "x_1", kind.goal), ("changed", "x_2", kind.goal)]


async def look_now(resource: Any, kind: Kind) -> None:
    assert await resource.look_now() is None


METHODS: dict[str, Callable[[Any, Kind], Awaitable[None]]] = {
    each.__name__: each for each in (wait, wait_all, wait_any, as_completed, resume_wait, watch, look_now)
}


@pytest.mark.parametrize(("resource", "name"), sorted(WAITS))
async def test_every_method_that_waits(resource, name, patient, server):
    prepare(server, KINDS[resource])
    await METHODS[name](getattr(patient, resource), KINDS[resource])
    assert {f"{seen.method} {seen.path}" for seen in server.seen} <= server.routes.keys()


async def test_a_cluster_that_failed_says_why(patient, server):
    """R5.3: only its detail has the reason"""
    for read_id, more in (("getCluster", {}), ("getClusterDetail", {"statusReason": "no host"})):
        read = case(read_id)
        row = {**sample_json(read), "id": "x_1", "status": "failed", **more}
        server.routes[f"GET {read.path.replace('{id}', 'x_1')}"] = deque([answer_json(row)])
    with pytest.raises(WaitFailed, match="no host") as caught:
        await patient.clusters.wait("x_1")
    assert caught.value.status_reason == "no host"
    assert [seen.path for seen in server.seen] == ["/v1/clusters/x_1", "/v1/clusters/x_1/detail"]


@pytest.mark.parametrize("resource", ["vms", "pods", "snapshots", "batches", "kubernetes"])
async def test_what_failed_is_read_once_where_nothing_more_would_say_why(resource, patient, server):
    """R5.3"""
    kind = KINDS[resource]
    if kind.read_id is None:
        path, shown = case(kind.list_id).path.replace("{orgId}", "org_home"), page(kind, {"x_1": "failed"})
    else:
        read = case(kind.read_id)
        path, shown = read.path.replace("{id}", "x_1"), {**sample_json(read), "id": "x_1", "status": "failed"}
    server.routes[f"GET {path}"] = deque([answer_json(shown)])
    with pytest.raises(WaitFailed):
        await getattr(patient, resource).wait("x_1")
    assert len(server.seen) == 1


@pytest.mark.parametrize("goal", ["ready", "deleted"])
async def test_wait_for_a_node_pool(goal, patient, server):
    path = "/v1/kubernetes/clusters/k_1/node-pools"
    row = {**sample_json(case("getKubernetesNodePool")), "id": "pool_1"}
    pages = [{"items": [{**row, "status": "creating" if goal == "ready" else "deleting"}]}]
    pages.append({"items": [{**row, "status": "ready"}] if goal == "ready" else []})
    server.routes[f"GET {path}"] = deque(map(answer_json, pages))
    single = [answer_json(each["items"][0]) for each in pages if each["items"]]
    if goal == "deleted":
        single.append(answer_json({"error": "gone"}, 404))
    server.routes[f"GET {path}/pool_1"] = deque(single)
    pool = await patient.kubernetes.wait_node_pool("k_1", "pool_1", until=goal)
    assert pool is None if goal == "deleted" else (pool.id, pool.status) == ("pool_1", "ready")


async def test_lease_of_a_pod_is_always_terminated(patient, server):
    vm = {**sample_json(case("getVm")), "id": "x_1", "status": "deploying"}
    server.routes["POST /v1/pods"] = deque([answer_json(vm)])
    server.routes["POST /v1/vms/x_1/terminate"] = deque([answer_json({**vm, "status": "terminated"})])
    prepare(server, KINDS["pods"])

    async def use_pod() -> None:
        async with patient.pods.lease(image="busybox", ssh_key_ids=["key_1"]) as pod:
            assert pod.status == "running"
            raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        await use_pod()
    assert [seen.path for seen in server.seen if seen.method == "POST"] == [
        "/v1/pods",
        "/v1/vms/x_1/terminate",
    ]
