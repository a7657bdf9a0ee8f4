"""`emulator.requests`: all that a test wants to look at, and no credential."""

from __future__ import annotations

import asyncio
import io
import json

import attrs
import pytest

from openrelay_async import AsyncClient, Secret
from openrelay_async.emulator import EmulatorError, Fault
from openrelay_async.emulator.seen import RequestLog, SeenRequest, mask_headers
from openrelay_async.redaction import Payload

CREATE = "/v1/orgs/{org}/vms/create"
ORDER = {"name": "vm", "resourceSize": "small"}


async def test_requests_are_written_down_without_credentials(api, emulator):
    await api(
        "GET", "/v1/whoami?token=canary-query", headers={"X-Api-Key": "canary-header", "User-Agent": "me/1"}
    )
    seen = emulator.requests[-1]
    assert (seen.method, seen.path, seen.operation, seen.status) == ("GET", "/v1/whoami", "whoami", 200)
    assert seen.headers["user-agent"] == "me/1"
    assert "canary" not in repr(seen)
    assert "canary" not in repr(seen.headers)
    assert "canary" not in repr(attrs.asdict(seen))
    emulator.clear_requests()
    assert emulator.requests == []


async def test_headers_are_found_by_their_names_in_any_case(emulator):
    settings = {"base_url": emulator.url, "default_headers": {"X-Team": "blue"}}
    async with AsyncClient(emulator.api_key, **settings) as client:
        await client.vms.create(name="vm", resource_size="small")
    headers = emulator.requests[-1].headers
    assert headers["X-Team"] == headers["x-team"] == "blue"
    assert headers["Idempotency-Key"] == headers["idempotency-key"]
    with pytest.raises(KeyError):
        _ = headers["X-Color"]


async def test_a_credential_is_masked_as_a_secret_is(api, emulator):
    await api.get("/v1/whoami")
    assert emulator.requests[-1].headers["Authorization"] == f"Bearer {Secret(emulator.api_key)}"


@pytest.mark.parametrize(
    "name",
    [
        "Authorization",
        "Proxy-Authorization",
        "Cookie",
        "Set-Cookie",
        "X-Api-Key",
        "apikey",
        "X-Auth-Token",
        "X-Vault-Secret",
        "X-Session-Id",
        "X-Amz-Security-Token",
        "X-Client-Password",
        "X-Hub-Signature-256",
        "X-Jwt-Assertion",
    ],
)
def test_a_header_named_for_a_credential_is_masked(name):
    assert "hush" not in str(mask_headers({name: "open sesame, hush hush"}))


async def test_a_credential_in_a_header_of_another_name_is_masked_too(api, emulator):
    made = await api.post("/v1/orgs/{org}/api-keys/create", {"name": "ci"})
    await api.get("/v1/whoami", headers={"X-Mine": f"<{api.token}>", "X-Other": f"with {made['key']}"})
    shown = str(emulator.requests[-1].headers)
    assert api.token not in shown
    assert made["key"] not in shown


@pytest.mark.parametrize("name", ["X-Author", "X-Keyboard", "X-Team", "Accept-Language", "Traceparent"])
def test_a_header_that_only_sounds_alike_is_shown(name):
    assert mask_headers({name: "blue"})[name.lower()] == "blue"


async def test_the_query_is_there_decoded(api, emulator):
    await api("GET", "/v1/orgs/{org}/vms?limit=5&cursor=&limit=6&x=a%20b%2Bc")
    query = emulator.requests[-1].query
    assert (query["limit"], query["cursor"], query["x"]) == ("5", "", "a b+c")
    assert query.getall("limit") == ["5", "6"]
    await api("GET", "/v1/orgs/{org}/vms?limit=5")
    assert emulator.requests[-1].query == {"limit": "5"}
    await api("GET", "/v1/orgs/{org}/vms")
    assert not emulator.requests[-1].query


async def test_the_body_is_there_as_bytes_and_as_json(api, emulator):
    await api.post(CREATE, {**ORDER, "envVars": {"PASSWORD": "canary-body"}})
    seen = emulator.requests[-1]
    assert json.loads(seen.body) == seen.json() == {**ORDER, "envVars": {"PASSWORD": "canary-body"}}
    assert "canary" not in repr((seen, emulator, vars(emulator)))
    assert "canary" not in repr(attrs.asdict(seen))
    await api.get("/v1/whoami")
    assert emulator.requests[-1].body == b""
    with pytest.raises(ValueError, match="zero-length"):
        emulator.requests[-1].json()


@pytest.mark.parametrize("fault", [{"status": 503}, {"reset": "before"}, {"reset": "after"}], ids=str)
async def test_the_body_of_what_a_fault_struck_is_there_too(emulator, clock, fault):
    emulator.faults.add(Fault(operation="createVm", call=1, **fault))
    async with emulator.client(clock=clock.jumping()) as client:
        await client.vms.create(name="vm", resource_size="small")
    first, again = [seen for seen in emulator.requests if seen.operation == "createVm"]
    assert first.fault
    assert first.body == again.body
    assert first.headers["Idempotency-Key"] == again.headers["Idempotency-Key"]


@pytest.mark.parametrize(("path", "status"), [(CREATE, 401), ("/v1/nothing", 404), ("/v1/whoami", 405)])
async def test_the_body_of_what_was_refused_is_there_too(api, emulator, path, status):
    assert (await api.with_token("x" * 40)("POST", path, {"name": "vm"})).status == status
    assert emulator.requests[-1].json() == {"name": "vm"}


async def test_who_may_not_is_told_so_before_the_body_is_looked_at(api, emulator):
    refused = await api.with_token("x" * 40)("POST", CREATE, data=io.BytesIO(b"x" * 2_000_000))
    assert refused.status == 401
    with pytest.raises(EmulatorError, match="not kept"):
        _ = emulator.requests[-1].body


async def test_a_file_is_not_kept(api, emulator):
    import aiohttp

    form = aiohttp.FormData({"purpose": "batch"})
    form.add_field("file", b"{}\n", filename="x.jsonl")
    await api("POST", "/v1/files", data=form)
    seen = emulator.requests[-1]
    assert seen.operation == "uploadFile"
    with pytest.raises(EmulatorError, match="was not kept: a file"):
        seen.json()


def seen_request(number, body):
    return SeenRequest("POST", "/v1/x", None, 200, mask_headers({}), f"req_{number}", 0.0, body=Payload(body))


def test_old_bodies_are_forgotten_and_their_requests_kept():
    log = RequestLog(requests=5, bodies=100)
    kept_by_a_test = []
    for number in range(20):
        log.add(seen_request(number, b"x" * 40))
        kept_by_a_test += log.list_all()[-1:]
        assert sum(seen.size for seen in log.list_all()) <= 100
    assert [seen.request_id for seen in log.list_all()] == [f"req_{number}" for number in range(15, 20)]
    assert [seen.size for seen in log.list_all()] == [0, 0, 0, 40, 40]
    assert kept_by_a_test[0].body == b"x" * 40, "what a test holds stays as it is"
    log.clear()
    assert log.list_all() == []
    log.add(seen_request(20, b"x" * 100))
    log.add(seen_request(21, b""))
    assert [seen.size for seen in log.list_all()] == [100, 0]
    log.add(seen_request(22, b"x" * 101))
    assert [seen.size for seen in log.list_all()] == [0, 0, 0]


async def test_they_are_read_while_others_come_in(api, emulator):
    calls = asyncio.gather(*(api.get("/v1/whoami") for _ in range(50)))
    while not calls.done():
        assert all(seen.operation == "whoami" for seen in emulator.requests)
        await asyncio.sleep(0)
    await calls
    assert len(emulator.requests) == 50
