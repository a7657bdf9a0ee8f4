"""What is sent again and what is not, where connections break (R3.1, R3.2, R3.6, R3.7, R3.9)."""

from __future__ import annotations

import asyncio
import io
import time

import pytest

from openrelay_async import RetryPolicy, errors, operations
from tests.transport.servers import (
    ONCE,
    VM,
    Exchange,
    JumpingClock,
    Watcher,
    answering,
    make_client,
    serving,
)


async def _commit_then_drop_once(exchange: Exchange) -> None:
    if exchange.number == 1:
        exchange.reset()
    else:
        await exchange.answer(201, VM)


async def test_a_create_without_a_key_that_was_committed_and_dropped_is_seen_once():
    """R3.1, R3.2: sent once, and the error says that it may have been applied."""

    async def commit_then_drop(exchange: Exchange) -> None:
        exchange.reset()

    async with serving(commit_then_drop) as server, make_client(server) as client:
        with pytest.raises(errors.ConnectionFailed) as caught:
            await client.ssh_keys.create(name="laptop", public_key="ssh-ed25519 AAAA")
    assert len(server.seen) == 1
    assert caught.value.maybe_applied
    assert caught.value.operation == "createOrgSshKey"
    assert caught.value.idempotency_key is None
    assert caught.value.attempts == 1


async def test_a_create_with_a_key_is_sent_again_with_the_same_key():
    """R3.1 (b): one key, made before the first attempt."""
    async with serving(_commit_then_drop_once) as server, make_client(server) as client:
        vm = await client.vms.create(name="box")
    assert vm.id == "vm_1"
    keys = [seen.headers["idempotency-key"] for seen in server.seen]
    assert len(keys) == 2
    assert keys[0] == keys[1]
    assert server.seen[0].body == server.seen[1].body


async def test_the_idempotency_key_is_readable_when_all_attempts_failed():
    """R3.2: the caller can repeat the call with it."""

    async def drop(exchange: Exchange) -> None:
        exchange.reset()

    async with serving(drop) as server, make_client(server) as client:
        with pytest.raises(errors.ConnectionFailed) as caught:
            await client.vms.create(name="box")
    assert {seen.headers["idempotency-key"] for seen in server.seen} == {caught.value.idempotency_key}
    assert len(server.seen) == 4
    assert caught.value.attempts == 4
    assert caught.value.maybe_applied


async def test_a_key_of_the_callers_is_the_one_that_is_sent():
    async with serving(answering((201, VM))) as server, make_client(server) as client:
        await client.vms.create(name="box", idempotency_key="mine-1")
    assert server.seen[0].headers["idempotency-key"] == "mine-1"


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
async def test_a_read_is_sent_again_after(status: int):
    """R3.9"""
    async with serving(answering((status, None), (200, VM))) as server, make_client(server) as client:
        assert (await client.vms.get("vm_1")).id == "vm_1"
    assert len(server.seen) == 2


@pytest.mark.parametrize("status", [400, 401, 402, 403, 404, 409, 410, 413, 418, 422, 501, 505])
async def test_a_read_is_not_sent_again_after(status: int):
    """R3.9: never 501."""
    async with serving(answering((status, {"error": "no"}))) as server, make_client(server) as client:
        with pytest.raises(errors.ApiError) as caught:
            await client.vms.get("vm_1")
    # After a 403 whoami is asked once what the key has.
    assert [seen.target for seen in server.seen].count("/v1/vms/vm_1") == 1
    assert caught.value.status == status
    assert not caught.value.maybe_applied


@pytest.mark.parametrize("status", [500, 502, 503, 504])
async def test_a_change_without_a_key_is_not_sent_again_after(status: int):
    """R3.1, R3.2: a 5xx does not say whether the work was done before it."""
    async with serving(answering((status, {"error": "oops"}))) as server, make_client(server) as client:
        with pytest.raises(errors.ServerError) as caught:
            await client.ssh_keys.create(name="laptop", public_key="ssh-ed25519 AAAA")
    assert len(server.seen) == 1
    assert caught.value.maybe_applied


async def test_a_change_that_was_refused_with_429_is_sent_again():
    """R3.1 (d): 429 refuses before any work."""
    handler = answering((429, None, {"Retry-After": "3"}), (201, {"id": "ssh_1"}))
    clock = JumpingClock()
    async with serving(handler) as server, make_client(server, clock=clock) as client:
        await client.request("POST", "/v1/orgs/o/ssh-keys", json={"name": "laptop"})
    assert len(server.seen) == 2
    assert sum(clock.sleeps) >= 3.0


async def test_a_change_that_the_service_says_it_did_not_make_is_sent_again():
    """R3.1 (c): 409 CONCURRENT_UPDATE."""
    handler = answering((409, {"error": "busy", "code": "CONCURRENT_UPDATE"}), (200, {"ok": True}))
    async with serving(handler) as server, make_client(server) as client:
        assert await client.request("PATCH", "/v1/things/1", json={"a": 1}) == {"ok": True}
    assert len(server.seen) == 2


@pytest.mark.parametrize("code", ["NAME_TAKEN", "STOP_DISABLED", "INVALID_CLUSTER_STATE"])
async def test_another_conflict_is_final(code: str):
    async with (
        serving(answering((409, {"error": "no", "code": code}))) as server,
        make_client(server) as client,
    ):
        with pytest.raises(errors.Conflict) as caught:
            await client.request("POST", "/v1/things", json={})
    assert len(server.seen) == 1
    assert caught.value.code == code
    assert not caught.value.maybe_applied


async def test_a_login_that_is_told_to_slow_down_is_left_to_its_own_pace():
    """R3.1 (d): `slow_down` is an answer of the device login, not an overload."""
    handler = answering((429, {"error": "slow_down", "code": "slow_down"}))
    async with serving(handler) as server, make_client(server) as client:
        with pytest.raises(errors.RateLimited):
            await client.request("POST", "/v1/auth/cli/token", json={})
    assert len(server.seen) == 1


async def test_no_room_is_told_at_once():
    """R3.7: CapacityUnavailable is never retried, also where there is an idempotency key."""
    body = {"error": "no GPUs", "code": "INSUFFICIENT_GPU_CAPACITY"}
    async with (
        serving(answering((503, body, {"Retry-After": "1"}))) as server,
        make_client(server) as client,
    ):
        with pytest.raises(errors.CapacityUnavailable) as caught:
            await client.vms.create(name="box")
    assert len(server.seen) == 1
    assert not caught.value.maybe_applied
    assert caught.value.retry_after == 1.0


async def test_a_change_is_sent_again_where_connecting_failed():
    """R3.1 (a): no byte was sent."""
    async with serving(answering((201, {"ok": True}))) as server:
        port = server.port
    # Nothing listens any more: refused, four times.
    watcher = Watcher()
    async with make_client(f"http://127.0.0.1:{port}", hooks=[watcher]) as client:
        with pytest.raises(errors.ConnectionFailed) as caught:
            await client.request("POST", "/v1/things", json={})
    assert watcher.names().count("attempt") == 4
    assert not caught.value.maybe_applied
    assert caught.value.attempts == 4


async def test_connecting_that_works_the_second_time_goes_unnoticed():
    """R3.1 (a)"""
    held = await asyncio.start_server(lambda reader, writer: None, "127.0.0.1", 0)
    port = held.sockets[0].getsockname()[1]
    held.close()
    await held.wait_closed()

    class Opening(JumpingClock):
        async def sleep(self, seconds: float) -> None:
            nonlocal opened
            opened = await asyncio.start_server(serve, "127.0.0.1", port)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}")
        writer.close()

    opened: asyncio.Server | None = None
    async with make_client(f"http://127.0.0.1:{port}", clock=Opening()) as client:
        assert await client.request("POST", "/v1/things") == {}
    assert opened is not None
    opened.close()


async def test_a_delete_that_finds_nothing_after_it_was_resent_is_done():
    """R2.3"""

    async def delete_then_drop(exchange: Exchange) -> None:
        if exchange.number == 1:
            exchange.reset()
        else:
            await exchange.answer(404, {"error": "not found", "code": "NOT_FOUND"})

    watcher = Watcher()
    async with serving(delete_then_drop) as server, make_client(server, hooks=[watcher]) as client:
        await client.ssh_keys.delete("ssh_1")
    assert [seen.method for seen in server.seen] == ["DELETE", "DELETE"]
    # Hooks see what the server sees.
    assert [event.status for event in watcher.of("response")] == [None, 404]


@pytest.mark.parametrize("id", [each.id for each in operations.values() if each.http_method == "DELETE"])
async def test_every_delete_that_finds_nothing_after_it_was_resent_is_done(id: str):
    """R2.3: also those whose answer has a body; what can be known of it is there."""

    async def delete_then_drop(exchange: Exchange) -> None:
        if exchange.number == 1:
            exchange.reset()
        else:
            await exchange.answer(404, {"error": "not found", "code": "NOT_FOUND"})

    operation = operations[id]
    names = [name for name in operation.path_names if name != "orgId"]
    async with serving(delete_then_drop) as server, make_client(server, org_id="org_1") as client:
        delete = getattr(getattr(client, operation.resource), operation.method)
        more = {"org_id": "org_1"} if operation.org_required else {}
        done = await delete(*(f"a b/{name}" for name in names), **more)
    assert len(server.seen) == 2
    if done is not None:
        assert getattr(done, "id", f"a b/{names[-1]}") == f"a b/{names[-1]}"
        assert getattr(done, "status", "deleted") == "deleted"


async def test_a_delete_that_finds_nothing_at_first_is_an_error():
    """R2.3"""
    async with serving(answering((404, {"error": "not found"}))) as server, make_client(server) as client:
        with pytest.raises(errors.NotFound):
            await client.ssh_keys.delete("ssh_1")


async def test_a_delete_that_was_only_refused_before_is_not_taken_for_done():
    """R2.3: 429 did nothing, so a 404 after it is news."""
    handler = answering((429, None), (404, {"error": "not found"}))
    async with serving(handler) as server, make_client(server) as client:
        with pytest.raises(errors.NotFound):
            await client.ssh_keys.delete("ssh_1")
    assert len(server.seen) == 2


async def test_a_thousand_calls_to_a_dead_service_make_at_most_1200_requests():
    """R3.6: the retry budget is shared by the client and its views."""
    handler = answering((503, {"error": "down"}))
    async with serving(handler) as server, make_client(server) as client:
        views = [client, client.with_options(timeout=30), client.with_options(org_id="org_2")]
        calls = [views[number % 3].vms.get("vm_1") for number in range(1000)]
        outcomes = await asyncio.gather(*calls, return_exceptions=True)
    assert all(isinstance(outcome, errors.Unavailable) for outcome in outcomes)
    assert 1000 < len(server.seen) <= 1200


async def test_the_budget_recovers_when_the_service_does():
    """R3.6"""
    healthy = False

    async def handle(exchange: Exchange) -> None:
        await exchange.answer(200 if healthy else 503, VM)

    policy = RetryPolicy(budget_ratio=0.5, budget_burst=2)
    async with serving(handle) as server, make_client(server, retry=policy) as client:
        for _ in range(5):
            with pytest.raises(errors.Unavailable):
                await client.vms.get("vm_1")
        healthy = True
        for _ in range(4):
            await client.vms.get("vm_1")
        healthy = False
        before = len(server.seen)
        with pytest.raises(errors.Unavailable):
            await client.vms.get("vm_1")
        assert len(server.seen) - before == 3


async def test_max_attempts_of_one_turns_retrying_off():
    async with serving(answering((503, None))) as server, make_client(server, retry=ONCE) as client:
        with pytest.raises(errors.Unavailable) as caught:
            await client.vms.get("vm_1")
    assert len(server.seen) == 1
    assert caught.value.attempts == 1


async def test_waits_grow_and_keep_to_the_cap():
    clock = JumpingClock(uniform=1.0)
    policy = RetryPolicy(max_attempts=7, base=0.5, cap=4.0)
    async with (
        serving(answering((503, None))) as server,
        make_client(server, clock=clock, retry=policy) as client,
    ):
        with pytest.raises(errors.Unavailable):
            await client.vms.get("vm_1")
    assert clock.sleeps == [0.5, 1.0, 2.0, 4.0, 4.0, 4.0]


@pytest.mark.parametrize(
    ("value", "raises"), [("61", True), ("60", False), ("1e9999", False), ("-5", False), ("soon", False)]
)
async def test_a_wait_of_more_than_a_minute_is_left_to_the_caller(value: str, raises: bool):
    """R3.4: raised at once, with `retry_after`; what is no time counts as absent."""
    handler = answering((429, None, {"Retry-After": value}), (200, VM))
    clock = JumpingClock()
    async with serving(handler) as server, make_client(server, clock=clock, timeout=300.0) as client:
        if raises:
            with pytest.raises(errors.RateLimited) as caught:
                await client.vms.get("vm_1")
            assert caught.value.retry_after == 61.0
            assert clock.sleeps == []
        else:
            await client.vms.get("vm_1")
            assert clock.sleeps[0] >= (60.0 if value == "60" else 0.0)


async def test_a_wait_beyond_the_deadline_raises_at_once():
    """R3.4"""
    clock = JumpingClock()
    async with (
        serving(answering((503, None, {"Retry-After": "10"}))) as server,
        make_client(server, clock=clock, timeout=5.0) as client,
    ):
        began = time.monotonic()
        with pytest.raises(errors.Unavailable) as caught:
            await client.vms.get("vm_1")
        assert time.monotonic() - began < 2.0
    assert caught.value.retry_after == 10.0
    assert clock.sleeps == []
    assert len(server.seen) == 1


async def test_a_401_does_not_send_an_upload_again_that_cannot_be_rewound():
    """R9.2, R3.1: the second request would be an empty file."""

    class Pipe(io.BytesIO):
        def seekable(self) -> bool:
            return False

    keys = iter(["vl_first_0123456789abcdefghijkl", "vl_second_0123456789abcdefghijk"])
    async with (
        serving(answering((401, {"error": "no"}), (200, {}))) as server,
        make_client(server, api_key=lambda: next(keys)) as client,
    ):
        with pytest.raises(errors.Unauthenticated):
            await client.files.upload(file=Pipe(b"12345"), purpose="batch")
    assert len(server.seen) == 1


async def test_a_401_sends_again_with_a_key_that_has_changed():
    """R9.2: at most one refresh and one resend, and hooks see both requests."""
    keys = iter(["vl_first_0123456789abcdefghijkl", "vl_second_0123456789abcdefghijk"])
    watcher = Watcher()
    async with (
        serving(answering((401, {"error": "no"}), (200, VM))) as server,
        make_client(server, api_key=lambda: next(keys), hooks=[watcher]) as client,
    ):
        await client.vms.get("vm_1")
    assert [seen.headers["authorization"][-3:] for seen in server.seen] == ["jkl", "ijk"]
    assert watcher.names() == ["attempt", "response", "retry", "attempt", "response"]


async def test_a_key_provider_that_stalls_does_not_outlast_the_deadline():
    """R3.3: the refresh after a 401 is inside the call's time too."""
    asked = 0

    async def provide() -> str:
        nonlocal asked
        asked += 1
        if asked > 1:
            await asyncio.sleep(30)
        return "vl_first_0123456789abcdefghijkl"

    async with (
        serving(answering((401, {"error": "no"}))) as server,
        make_client(server, api_key=provide, timeout=0.3) as client,
    ):
        began = time.monotonic()
        with pytest.raises(errors.Unauthenticated):
            await client.vms.get("vm_1")
        assert time.monotonic() - began < 4
