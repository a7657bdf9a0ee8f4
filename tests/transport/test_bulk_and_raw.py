"""Many calls at once, and requests that have no method here yet."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest

from openrelay_async import UNSET, BulkResult, PoolLimits, Secret, bulk, errors
from tests.transport.servers import VM, Exchange, answering, make_client, serving, until


async def by_number(exchange: Exchange) -> None:
    number = int(exchange.seen.target.rsplit("_", 1)[1])
    if number % 10 == 3:
        await exchange.answer(404, {"error": "no"})
    else:
        await asyncio.sleep(0.001 * (number % 4))
        await exchange.answer(200, VM | {"id": f"vm_{number}"})


async def test_results_and_errors_come_apart_by_position_and_in_order():
    async with serving(by_number) as server, make_client(server) as client:
        outcome = await bulk((client.vms.get(f"vm_{number}") for number in range(50)), limit=8)
    assert isinstance(outcome, BulkResult)
    assert list(outcome.errors) == [3, 13, 23, 33, 43]
    assert [vm.id for vm in outcome.results.values()] == [f"vm_{n}" for n in range(50) if n % 10 != 3]
    assert all(isinstance(error, errors.NotFound) for error in outcome.errors.values())
    with pytest.raises(errors.NotFound) as caught:
        outcome.raise_first()
    assert caught.value is outcome.errors[3]


async def test_no_more_calls_run_than_allowed_and_the_source_is_read_as_they_end():
    made = 0
    most = 0

    async def watch(exchange: Exchange) -> None:
        nonlocal most
        most = max(most, made - len(server.seen))
        await asyncio.sleep(0.002)
        await exchange.answer(200, VM)

    def calls() -> Iterator[Any]:
        nonlocal made
        for _ in range(60):
            made += 1
            yield client.vms.get("vm_1")

    async with serving(watch) as server, make_client(server) as client:
        outcome = await bulk(calls(), limit=5)
    assert len(outcome.results) == 60
    assert most <= 5
    assert server.connections <= 5


async def test_a_call_whose_own_work_was_cancelled_loses_no_other():
    async def given_up() -> str:
        work = asyncio.ensure_future(asyncio.sleep(60))
        asyncio.get_running_loop().call_soon(work.cancel)
        await work
        return "never"

    async def one() -> str:
        return "one"

    outcome = await bulk([one(), given_up(), one()])
    assert outcome.results == {0: "one", 2: "one"}
    assert str(outcome.errors[1]) == "the call was cancelled"


async def test_a_limit_above_the_number_of_calls_costs_nothing():
    async def one() -> int:
        return len(asyncio.all_tasks())

    outcome = await bulk([one(), one()], limit=100_000)
    assert max(outcome.results.values()) <= 3


async def test_cancelling_cancels_what_runs_and_sends_nothing_more():
    async def stall(exchange: Exchange) -> None:
        await exchange.wait_for_client_to_leave()

    async with serving(stall) as server, make_client(server) as client:
        calls = [client.vms.get("vm_1") for _ in range(20)]
        task = asyncio.create_task(bulk(calls, limit=4))
        await until(lambda: len(server.seen) == 4)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await until(lambda: server.open == 0)
    assert len(server.seen) == 4


async def test_calls_of_any_collection_are_not_left_unawaited():
    """Otherwise each would warn that it was never awaited, which fails this test."""
    async with serving(answering((200, VM))) as server, make_client(server) as client:
        for collect in (list, tuple, set, lambda calls: dict(enumerate(calls)).values()):
            calls = collect(client.vms.get("vm_1") for _ in range(5))
            task = asyncio.create_task(bulk(calls, limit=1))
            await asyncio.sleep(0)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task


async def test_an_error_of_the_source_is_raised():
    def calls() -> Iterator[Any]:
        yield client.vms.get("vm_1")
        raise ValueError("mine")

    async with serving(answering((200, VM))) as server, make_client(server) as client:
        with pytest.raises(ValueError, match="mine"):
            await bulk(calls(), limit=3)


async def test_lists_can_be_run_in_bulk_too():
    async with serving(answering((200, {"items": [VM]}))) as server, make_client(server) as client:
        outcome = await bulk([client.vms.list(), client.vms.list(org_id="org_2")])
    assert [len(items) for items in outcome.results.values()] == [1, 1]


async def test_nothing_to_do_is_done():
    results, errors_of_none = await bulk([])
    assert (results, errors_of_none) == ({}, {})


@pytest.mark.parametrize("limit", [0, -1, 1.5, True, "5"])
async def test_a_limit_that_is_none_is_refused(limit: Any):
    with pytest.raises(errors.ConfigurationError, match="limit"):
        await bulk([], limit=limit)


# -- client.request


async def test_a_raw_request_has_all_that_others_have():
    handler = answering((503, None), (200, {"new": True}))
    async with serving(handler) as server, make_client(server) as client:
        answer = await client.request(
            "put",
            "/v2/things/a%20b",
            json={"name": "x", "secret": Secret("hidden"), "flag": None},
            params={"flag": True, "count": 5, "absent": None, "text": "a b&c"},
            headers={"X-Mine": "yes"},
        )
    assert answer == {"new": True}
    seen = server.seen[1]
    assert (seen.method, seen.target) == ("PUT", "/v2/things/a%20b?flag=true&count=5&text=a+b%26c")
    assert seen.json == {"name": "x", "secret": "hidden", "flag": None}
    assert seen.headers["x-mine"] == "yes"
    assert seen.headers["content-type"] == "application/json"
    assert seen.headers["authorization"].startswith("Bearer vl_")
    assert len(server.seen) == 2


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b"", None),
        (b"plain text", "plain text"),
        ("grün".encode(), "grün"),
        (b"[1]", [1]),
        (b"null", None),
        (b"\x89PNG\r\n\x00\xff\xfe", b"\x89PNG\r\n\x00\xff\xfe"),
        ("grün".encode("latin-1"), b"gr\xfcn"),
    ],
)
async def test_a_raw_answer_is_json_or_text_or_bytes_or_nothing(body: bytes, expected: object):
    async def send(exchange: Exchange) -> None:
        await exchange.answer(200, raw=body)

    async with serving(send) as server, make_client(server) as client:
        assert await client.request("GET", "/v1/x") == expected
    assert "content-type" not in server.seen[0].headers


@pytest.mark.parametrize("nothing", [{}, {"json": None}, {"json": UNSET}])
async def test_a_raw_request_without_a_json_value_has_no_body(nothing: dict[str, Any]):
    """design.md: `json=None` is the default."""
    async with serving(answering((200, {}))) as server, make_client(server) as client:
        await client.request("POST", "/v1/x", **nothing)
    assert server.seen[0].body == b""
    assert "content-type" not in server.seen[0].headers
    assert server.seen[0].headers["content-length"] == "0"


@pytest.mark.parametrize(
    "key",
    [
        {"idempotency_key": "k1"},
        {"headers": {"Idempotency-Key": "k1"}},
        {"headers": {"idempotency-key": Secret("k1")}},
        {"headers": {"Idempotency-Key": "k2"}, "idempotency_key": "k1"},
    ],
    ids=["argument", "header", "secret", "both"],
)
async def test_a_raw_post_is_resent_only_with_a_key(key: dict[str, Any]):
    """R3.1"""

    async def drop_first(exchange: Exchange) -> None:
        await (exchange.answer(200, {}) if exchange.number > 1 else _reset(exchange))

    async def _reset(exchange: Exchange) -> None:
        exchange.reset()

    async with serving(drop_first) as server, make_client(server) as client:
        await client.request("POST", "/v1/x", **key)
    assert [seen.headers["idempotency-key"] for seen in server.seen] == ["k1", "k1"]
    async with serving(drop_first) as server, make_client(server) as client:
        with pytest.raises(errors.ConnectionFailed):
            await client.request("POST", "/v1/x")
    assert len(server.seen) == 1


@pytest.mark.parametrize(
    "path",
    [
        "v1/x",
        "//elsewhere.test/x",
        "http://elsewhere.test/x",
        "/v1/../x",
        "/v1/./x",
        "/v1/x?y=1",
        "/v1/x#y",
        "/v1/a b",
        "/v1/%zz",
        "/v1/\r\nX: y",
        "/v1/ü",
        "",
    ],
)
async def test_a_raw_path_that_leaves_the_service_is_refused(path: str):
    """R4.4"""
    async with serving(answering((200, {}))) as server, make_client(server) as client:
        with pytest.raises(ValueError):
            await client.request("GET", path)
    assert server.seen == []


@pytest.mark.parametrize(
    "wrong",
    [
        {"method": "TRACE"},
        {"headers": {"Authorization": "Bearer other"}},
        {"headers": {"X": "a\r\nb"}},
        {"headers": {"Host": "elsewhere"}},
        {"idempotency_key": ""},
        {"json": {1, 2}},
        {"json": object()},
        {"params": {"x": object()}},
        {"timeout": 0},
    ],
)
async def test_a_raw_request_that_is_wrong_is_refused_before_it_is_sent(wrong: dict[str, Any]):
    async with serving(answering((200, {}))) as server, make_client(server) as client:
        arguments = {"method": "POST", "path": "/v1/x"} | wrong
        with pytest.raises((ValueError, TypeError)):
            await client.request(**arguments)
    assert server.seen == []


async def test_a_header_that_is_given_in_another_case_is_sent_once():
    """RFC 9110, 5.1: names of headers have no case."""
    given = {"user-agent": "mine", "ACCEPT": "text/csv", "x-team": "ml", "X-Team": "ops"}
    async with (
        serving(answering((200, {}))) as server,
        make_client(server, default_headers=given) as client,
    ):
        await client.request("POST", "/v1/x", json={}, headers={"content-type": "application/x-patch"})
        await client.request("POST", "/v1/x", json={}, headers={"accept": "text/plain", "Accept": "a/b"})
    names = [name.lower() for name, _ in server.seen[0].fields]
    assert sorted(names) == sorted(set(names))
    first, second = (seen.headers for seen in server.seen)
    assert (first["user-agent"], first["accept"], first["x-team"]) == ("mine", "text/csv", "ops")
    assert first["content-type"] == "application/x-patch"
    assert (second["accept"], second["content-type"]) == ("a/b", "application/json")


async def test_default_headers_and_the_applications_name_are_sent():
    async with (
        serving(answering((200, VM))) as server,
        make_client(
            server, default_headers={"X-Team": "ml"}, app_name="trainer/1.4", limits=PoolLimits(idle=5)
        ) as client,
    ):
        await client.vms.get("vm_1")
    headers = server.seen[0].headers
    assert headers["x-team"] == "ml"
    assert headers["user-agent"].startswith("trainer/1.4 openrelay-async/")


async def test_a_raw_parameter_that_is_a_list_repeats_its_name():
    async with serving(answering((200, {}))) as server, make_client(server) as client:
        await client.request("GET", "/v1/x", params={"id": ["a", "b"], "all": (True,), "none": [], "n": 1})
    assert server.seen[0].target == "/v1/x?id=a&id=b&all=true&n=1"
