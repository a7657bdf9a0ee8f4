"""Faults on the wire, and the rate limit."""

from __future__ import annotations

import asyncio
from urllib.parse import urlsplit

import aiohttp
import pytest

from openrelay_async.emulator import Emulator, Fault

CREATE = "/v1/orgs/{org}/vms/create"
ORDER = {"name": "vm", "resourceSize": "small"}


async def count_vms(api):
    return len((await api.get("/v1/orgs/{org}/vms"))["items"])


async def test_the_second_call_fails_and_does_nothing(api, emulator):
    emulator.faults.add(Fault(operation="createVm", call=2, status=503, retry_after=1, code="OVERLOADED"))
    statuses = [(await api("POST", CREATE, ORDER)).status for _ in range(3)]
    assert statuses == [200, 503, 200]
    assert await count_vms(api) == 2
    failed = emulator.requests[1]
    assert (failed.operation, failed.status, failed.fault.code) == ("createVm", 503, "OVERLOADED")


async def test_a_fault_carries_its_headers_and_body(api, emulator):
    emulator.faults.add(Fault(status=429, retry_after=2.5, code="SLOW", message="later"))
    answered = await api("GET", "/v1/whoami")
    assert (answered.status, answered.headers["Retry-After"]) == (429, "2.5")
    assert answered.json["error"] == "later"
    emulator.faults.add(Fault(status=503, retry_after="soon"))
    assert (await api("GET", "/v1/whoami")).headers["Retry-After"] == "soon"


async def test_errors_of_the_inference_host_have_their_own_shape(api):
    answered = await api("GET", "/v1/files/file_none", headers={"Authorization": "Bearer nothing"})
    assert answered.status == 401
    assert answered.json["error"]["code"] == "UNAUTHORIZED"


async def test_times_and_operation_say_how_often_and_where(api, emulator):
    emulator.faults.add(Fault(operation="whoami", times=2, status=500))
    await api.get("/v1/gpu-models")
    statuses = [(await api("GET", "/v1/whoami")).status for _ in range(3)]
    assert statuses == [500, 500, 200]
    emulator.faults.add(Fault(operation="whoami", times=None, status=502))
    assert [(await api("GET", "/v1/whoami")).status for _ in range(3)] == [502] * 3
    emulator.faults.clear()
    assert (await api("GET", "/v1/whoami")).status == 200


@pytest.mark.parametrize(("reset", "made"), [("before", 0), ("after", 1)])
async def test_a_reset_comes_before_or_after_the_commit(api, emulator, reset, made):
    emulator.faults.add(Fault(operation="createVm", reset=reset))
    with pytest.raises(aiohttp.ClientConnectionError) as caught:
        await api("POST", CREATE, ORDER)
    assert isinstance(caught.value, ConnectionResetError | aiohttp.ClientOSError)
    assert await count_vms(api) == made
    assert emulator.requests[0].status is None


async def test_a_reset_is_rst_and_not_a_goodbye(emulator):
    emulator.faults.add(Fault(reset="before"))
    address = urlsplit(emulator.url)
    reader, writer = await asyncio.open_connection(address.hostname, address.port)
    writer.write(b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n")
    with pytest.raises(ConnectionResetError):
        await reader.read()
    writer.close()


async def test_after_a_reset_the_idempotency_key_still_gives_the_same_vm(api, emulator):
    emulator.faults.add(Fault(operation="createVm", reset="after"))
    headers = {"Idempotency-Key": "once"}
    with pytest.raises(aiohttp.ClientConnectionError):
        await api("POST", CREATE, ORDER, headers=headers)
    assert (await api("POST", CREATE, ORDER, headers=headers)).headers["Idempotent-Replayed"] == "true"
    assert await count_vms(api) == 1


async def test_a_truncated_body_ends_early(api, emulator):
    emulator.faults.add(Fault(body="truncated"))
    with pytest.raises(aiohttp.ClientPayloadError):
        await api("GET", "/v1/gpu-models")


async def test_a_garbage_body_is_no_json(api, emulator, http):
    emulator.faults.add(Fault(body="garbage"))
    headers = {"Authorization": f"Bearer {api.token}"}
    async with http.get(emulator.url + "/v1/gpu-models", headers=headers) as response:
        assert response.status == 200
        with pytest.raises(ValueError):
            await response.json(content_type=None)


async def test_a_slow_body_takes_its_time_on_the_clock(api, emulator, clock):
    emulator.faults.add(Fault(body="slow", delay=30))
    reading = asyncio.create_task(api("GET", "/v1/gpu-models"))
    for _ in range(200):
        if reading.done():
            break
        clock.advance(0.5)
        await asyncio.sleep(0.001)
    assert (await reading).status == 200
    assert clock.monotonic() >= 30


async def test_a_client_that_leaves_during_a_slow_body_is_no_error(emulator, clock, caplog):
    emulator.faults.add(Fault(body="slow", delay=10))
    address = urlsplit(emulator.url)
    reader, writer = await asyncio.open_connection(address.hostname, address.port)
    writer.write(b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n")
    await reader.readuntil(b"\r\n\r\n")
    writer.transport.abort()
    async with asyncio.timeout(20):
        while not emulator.requests:
            await asyncio.sleep(0.01)  # the server's side of the connection hears of it
            clock.advance(1)
    assert caplog.records == []


async def test_a_client_that_leaves_during_its_body_is_no_error(connect, clock, caplog):
    async with Emulator(clock=clock, control=True) as emulator:
        address = urlsplit(emulator.url)
        _, writer = await asyncio.open_connection(address.hostname, address.port)
        writer.write(b"POST /_emulator/clock HTTP/1.1\r\nHost: x\r\nContent-Length: 99\r\n\r\n{")
        await asyncio.sleep(0.05)  # the server waits for the rest
        writer.transport.abort()
        await asyncio.sleep(0.05)
    assert caplog.records == []


async def test_a_delay_lasts_as_long_as_the_clock_says(api, emulator, clock):
    emulator.faults.add(Fault(operation="whoami", delay=10))
    asking = asyncio.create_task(api("GET", "/v1/whoami"))
    await api.get("/v1/gpu-models")  # others are not held up
    clock.advance(9.9)
    done, _ = await asyncio.wait([asking], timeout=0.05)
    assert not done
    clock.advance(0.1)
    assert (await asking).status == 200


async def test_a_key_that_calls_too_often_is_told_when_to_come_again(connect, clock):
    async with Emulator(clock=clock, rate_limit=5) as emulator:
        api = connect(emulator)
        other = emulator.add_organization("Other")
        answers = [await api("GET", "/v1/whoami") for _ in range(7)]
        assert [answer.status for answer in answers] == [200] * 5 + [429] * 2
        assert answers[0].headers["X-RateLimit-Limit"] == "5"
        assert answers[0].headers["X-RateLimit-Remaining"] == "4"
        assert answers[-1].headers["Retry-After"] == "1"
        assert (await api.with_token(other.api_key)("GET", "/v1/whoami")).status == 200
        clock.advance(1)
        assert (await api("GET", "/v1/whoami")).status == 200
