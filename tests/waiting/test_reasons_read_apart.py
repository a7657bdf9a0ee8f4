"""Why a resource failed, where neither lists nor summaries say it: it is read once more, for that (R5.3)."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable

import pytest

from openrelay_async import errors, single_reads
from openrelay_async.fleets import Fleet
from openrelay_async.generated.operation_rows.clusters import (
    GET_CLUSTER,
    GET_CLUSTER_DETAIL,
    LIST_ORG_CLUSTERS,
)
from openrelay_async.lifecycles import CLUSTERS
from openrelay_async.models import ClusterDetail, ClusterSummary
from openrelay_async.pagination import Page, PagedCall
from openrelay_async.poll_source import Reading, Source
from openrelay_async.waiting import WaitOptions

DENIED = errors.PermissionDenied("no", status=403, operation="getClusterDetail")
PASSING = errors.ServerError("no", status=500, operation="getClusterDetail", retry_after=7)


class Clusters:
    """Clusters that have failed, or what `status` says; `explain` answers what is asked in full."""

    def __init__(self, total: int = 1) -> None:
        self.total = total
        self.status = "failed"
        self.explain: Callable[[str], ClusterDetail] = self.detail
        self.seen: list[str] = []

    def source(self) -> Source[ClusterSummary]:
        return Source(
            CLUSTERS,
            LIST_ORG_CLUSTERS,
            pages=self.list,
            read=Reading(GET_CLUSTER, self.get),
            read_reason=Reading(GET_CLUSTER_DETAIL, self.get_detail),
        )

    def summary(self, cluster_id: str) -> ClusterSummary:
        return ClusterSummary(id=cluster_id, name="x", organization_id="org_1", status=self.status)

    def detail(self, cluster_id: str, status: str = "failed", reason: str = "no host") -> ClusterDetail:
        return ClusterDetail(
            id=cluster_id,
            name="x",
            organization_id="org_1",
            status=status,
            status_reason=reason,
            allow_fallback=False,
            created_at=None,
            disk_size_gb=100,
            gpus_per_replica=1,
            privileged=False,
            replica_count=1,
            replicas=[],
            resource_size="small",
            tier="verified",
            updated_at=None,
        )

    def list(self, size: int) -> PagedCall[ClusterSummary]:
        async def fetch(cursor: str | None) -> Page[ClusterSummary]:
            self.seen.append("list")
            return Page([self.summary(f"cl_{number}") for number in range(self.total)], None)

        return PagedCall(fetch, operation=LIST_ORG_CLUSTERS)

    async def get(self, cluster_id: str) -> ClusterSummary:
        self.seen.append("get")
        return self.summary(cluster_id)

    async def get_detail(self, cluster_id: str) -> ClusterDetail:
        self.seen.append("get_detail")
        await asyncio.sleep(0)
        return self.explain(cluster_id)


@pytest.fixture
def clusters() -> Clusters:
    return Clusters()


async def fail(client, clusters: Clusters, until: str = "running", timeout: float = 60) -> errors.WaitFailed:
    fleet = Fleet(client._calls, clusters.source(), "org_1")
    with pytest.raises(errors.WaitFailed) as caught:
        await fleet.wait("cl_0", until, WaitOptions(timeout=timeout))
    return caught.value


async def test_the_reason_is_read_in_the_same_look(client, clusters, clock):
    began = clock.monotonic()
    error = await fail(client, clusters)
    assert (error.state, error.status_reason, error.polls) == ("failed", "no host", 1)
    assert str(error).endswith("does not become running: no host")
    assert clusters.seen == ["get", "get_detail"]
    assert clock.monotonic() == began
    assert isinstance(error.resource, ClusterSummary), "details have secrets, which no error holds"


async def test_the_reason_is_read_for_what_a_list_shows(client):
    clusters = Clusters(total=30)
    fleet = Fleet(client._calls, clusters.source(), "org_1")
    ids = [f"cl_{number}" for number in range(30)]
    outcomes = [each async for each in fleet.as_completed(ids, "running", WaitOptions())]
    assert {each.error.status_reason for each in outcomes} == {"no host"}
    assert clusters.seen == ["list", *["get_detail"] * 30]


async def test_more_than_a_look_reads_singly_have_their_turn_in_the_next(client):
    clusters = Clusters(total=250)
    fleet = Fleet(client._calls, clusters.source(), "org_1")
    ids = [f"cl_{number}" for number in range(250)]
    outcomes = [each async for each in fleet.as_completed(ids, "running", WaitOptions())]
    assert [each.error.status_reason for each in outcomes] == ["no host"] * 250
    assert clusters.seen.count("get_detail") == 250
    assert clusters.seen.count("list") <= 4


@pytest.mark.parametrize("refusal", [DENIED, PASSING, LookupError("a mistake")], ids=repr)
async def test_a_reason_that_cannot_be_read_does_not_keep_the_wait_from_ending(client, clusters, refusal):
    def refuse(cluster_id: str) -> ClusterDetail:
        raise refusal

    clusters.explain = refuse
    error = await fail(client, clusters)
    assert (error.state, error.status_reason) == ("failed", None)
    assert (error.operation, error.status) == ("getCluster", None)
    assert clusters.seen == ["get", "get_detail"]


async def test_the_reason_of_another_state_is_not_taken_for_this_one(client, clusters):
    clusters.explain = lambda cluster_id: clusters.detail(cluster_id, "deploying", "starting")
    error = await fail(client, clusters)
    assert (error.state, error.status_reason) == ("failed", None)


async def test_time_that_is_up_while_the_reason_is_read_ends_the_wait_as_failed(emulator, clusters):
    """Read without an answer: in real time, as deadlines during a request are."""
    hang = asyncio.Event()

    async def get_detail(cluster_id: str) -> ClusterDetail:
        await hang.wait()
        return clusters.detail(cluster_id)

    clusters.get_detail = get_detail
    async with emulator.client() as client, asyncio.timeout(5):
        error = await fail(client, clusters, timeout=0.05)
    assert (error.state, error.status_reason) == ("failed", None)


async def test_reasons_that_hang_hold_up_nobody(emulator, monkeypatch):
    """R5.3: neither the waits that fail, nor others; all of a look take one limit together"""
    monkeypatch.setattr(single_reads, "_REASON_LIMIT", 0.5)
    clusters = Clusters(total=101)
    hang = asyncio.Event()

    async def get_detail(cluster_id: str) -> ClusterDetail:
        clusters.seen.append("get_detail")
        await hang.wait()
        return clusters.detail(cluster_id)

    clusters.get_detail = get_detail
    ids = [f"cl_{number}" for number in range(100)]
    async with emulator.client() as client, asyncio.timeout(5):
        fleet = Fleet(client._calls, clusters.source(), "org_1")
        other = asyncio.ensure_future(fleet.wait("cl_100", "terminated", WaitOptions(interval=0.01)))
        outcomes = [each async for each in fleet.as_completed(ids, "running", WaitOptions())]
        clusters.status = "terminated"
        assert (await other).status == "terminated"
    assert {type(each.error) for each in outcomes} == {errors.WaitFailed}
    assert {each.error.status_reason for each in outcomes} == {None}
    assert clusters.seen.count("get_detail") == 8


async def test_who_waits_for_something_else_goes_on(client, clusters):
    fleet = Fleet(client._calls, clusters.source(), "org_1")
    ending = asyncio.ensure_future(fleet.wait("cl_0", "terminated", WaitOptions(timeout=math.inf)))
    error = await fail(client, clusters)
    assert error.status_reason == "no host"
    assert not ending.done()
    clusters.status = "terminated"
    assert (await ending).status == "terminated"
    assert clusters.seen.count("get_detail") == 1


async def test_nothing_more_is_read_where_the_goal_is_within_reach(client, clusters):
    clusters.status = "running"
    fleet = Fleet(client._calls, clusters.source(), "org_1")
    assert (await fleet.wait("cl_0", "running", WaitOptions())).status == "running"
    assert clusters.seen == ["get"]
