"""What any request meets: paths, methods, bodies, limits, and the order of refusals."""

from __future__ import annotations

import asyncio
import gzip
import io
from urllib.parse import urlsplit

import pytest

from openrelay_async.emulator import Emulator

CREATE = "/v1/orgs/{org}/api-keys/create"


async def test_unknown_paths_and_methods(api):
    assert (await api("GET", "/v2/nothing")).status == 404
    assert (await api("GET", "/v1/vms/")).status == 404
    answered = await api("PUT", "/v1/whoami")
    assert (answered.status, answered.headers["Allow"]) == (405, "GET")


async def test_what_is_not_modelled_says_so(connect):
    from openrelay_async.emulator.service import list_operations

    missing = [operation for operation, is_modelled in list_operations() if not is_modelled]
    assert missing, "everything is modelled: this test has nothing left to look at"
    for operation in missing[:5]:
        async with Emulator() as emulator:
            api = connect(emulator).with_token(emulator.session_token)
            path = operation.path.replace("{orgId}", emulator.org_id)
            answered = await api(operation.method, path)
            assert answered.status == 501
            error = answered.json["error"]
            assert "NOT_IMPLEMENTED_BY_EMULATOR" in (
                answered.code,
                error.get("code") if isinstance(error, dict) else "",
            )
            assert operation.id in str(error)


async def test_each_generation_has_its_own_operations(connect):
    async with Emulator(generation="2026-10") as emulator:
        api = connect(emulator)
        assert (await api("GET", "/v1/orgs/{org}/clusters")).status == 404
        assert (await api("GET", "/v1/public/pricing")).status == 200
    async with Emulator(generation="2026-07") as emulator:
        api = connect(emulator)
        assert (await api("GET", "/v1/orgs/{org}/clusters")).status == 200
        assert (await api("GET", "/v1/public/pricing")).status == 404


async def test_what_only_one_generation_demands_is_demanded_by_it(connect):
    order = {"name": "vm", "resourceSize": "small"}
    async with Emulator(generation="2026-10") as emulator:
        answered = await connect(emulator)("POST", "/v1/orgs/{org}/vms/create", order)
        assert (answered.status, answered.json["field"]) == (400, "sshKeyIds")
    async with Emulator(generation="2026-07") as emulator:
        await connect(emulator).post("/v1/orgs/{org}/vms/create", order)


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        (b"", "body"),
        (b"{", "body"),
        (b"[]", "body"),
        (b"null", "body"),
        (b'{"name": "\xff"}', "body"),
        (b'{"name": "\\ud800"}', "body"),
        (b"[" * 200 + b"]" * 200, "body"),
        (b"[" * 100_000, "body"),
        (b'{"name": null}', "name"),
        (b'{"name": 1}', "name"),
        (b"{}", "name"),
        (b'{"name": "a", "scopes": [1]}', "scopes[0]"),
        (b'{"name": "a", "budget": {"period": "daily"}}', "budget.limitNanoUsd"),
        (b'{"name": "a", "kind": "imperial"}', "kind"),
    ],
)
async def test_a_bad_body_is_400_naming_what_is_wrong(api, body, problem):
    headers = {"Content-Type": "application/json"}
    answered = await api("POST", CREATE, data=body, headers=headers)
    assert (answered.status, answered.json["field"]) == (400, problem)


async def test_properties_that_the_description_lacks_are_ignored(api):
    made = await api.post(CREATE, {"name": "x", "colour": "blue"})
    assert "colour" not in made


async def test_another_media_type_is_refused(api):
    answered = await api("POST", CREATE, data=b'{"name": "x"}', headers={"Content-Type": "text/plain"})
    assert (answered.status, answered.json["field"]) == (400, "Content-Type")


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("limit=0", "limit"),
        ("limit=1001", "limit"),
        ("limit=ten", "limit"),
        ("limit=1&limit=2", "limit"),
        ("activeOnly=yes", "activeOnly"),
        ("limit=%ff", "query"),
        ("limit=" + "9" * 400, "limit"),
    ],
)
async def test_a_bad_query_is_400_naming_the_parameter(api, query, field):
    answered = await api("GET", f"/v1/orgs/{{org}}/vms?{query}")
    assert (answered.status, answered.json["field"]) == (400, field)


async def test_401_comes_before_403_before_404_before_400(api, emulator):
    other = emulator.add_organization("Other")
    readonly = await api.post(CREATE, {"name": "r", "scopes": ["vms:read"]})
    path, body = "/v1/vms/vm_none/resize-disk", {"newSizeGb": "big"}
    assert (await api.with_token("nothing")("POST", path, body)).status == 401
    assert (await api.with_token(readonly["key"])("POST", path, body)).status == 403
    assert (await api("POST", path, body)).status == 404
    vm = await api.post("/v1/orgs/{org}/vms/create", {"name": "vm", "resourceSize": "small"})
    assert (await api("POST", f"/v1/vms/{vm['id']}/resize-disk", body)).status == 400
    assert (await api("POST", f"/v1/orgs/{other.org_id}/vms/create", {})).status == 403


async def test_a_body_over_a_mebibyte_is_413(api):
    body = b'{"name": "' + b"x" * 2**20 + b'"}'
    answered = await api("POST", CREATE, data=io.BytesIO(body), headers={"Content-Type": "application/json"})
    assert (answered.status, answered.code) == (413, "PAYLOAD_TOO_LARGE")


async def test_a_body_that_unpacks_to_over_a_mebibyte_is_413(api):
    bomb = gzip.compress(b'{"name": "' + b"x" * 50_000_000 + b'"}')
    headers = {"Content-Type": "application/json", "Content-Encoding": "gzip"}
    assert (await api("POST", CREATE, data=bomb, headers=headers)).status == 413


@pytest.mark.parametrize("encoding", ["gzip", "deflate"])
async def test_a_body_that_is_not_compressed_as_it_says_is_400(api, encoding):
    headers = {"Content-Type": "application/json", "Content-Encoding": encoding}
    answered = await api("POST", CREATE, data=b"\x01 this is no archive", headers=headers)
    assert (answered.status, answered.json["field"]) == (400, "body")


async def test_a_chunked_body_without_an_end_is_413(emulator):
    address = urlsplit(emulator.url)
    reader, writer = await asyncio.open_connection(address.hostname, address.port)
    head = (
        f"POST /v1/orgs/{emulator.org_id}/api-keys/create HTTP/1.1\r\nHost: x\r\n"
        f"Authorization: Bearer {emulator.api_key}\r\nContent-Type: application/json\r\n"
        "Transfer-Encoding: chunked\r\n\r\n"
    )
    writer.write(head.encode())
    for _ in range(20):
        writer.write(b"10000\r\n" + b"x" * 0x10000 + b"\r\n")
    await writer.drain()
    assert b" 413 " in await reader.readline()
    writer.close()


@pytest.mark.parametrize(
    "name", ["%2F", "a%20b", "%00", "%F0%9F%A6%8A", "%ff", "..", "'; DROP TABLE vms; --", "%252F", "a" * 4000]
)
async def test_any_text_in_a_path_is_just_an_id_that_is_absent(api, name):
    assert (await api("GET", f"/v1/vms/{name}")).status == 404


async def test_the_absolute_form_of_a_request_is_understood(emulator):
    address = urlsplit(emulator.url)
    reader, writer = await asyncio.open_connection(address.hostname, address.port)
    writer.write(f"GET {emulator.url}/health?x=1 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
    assert b" 200 " in await reader.readline()
    await reader.read()
    writer.close()


async def test_dates_follow_the_emulators_clock(api, clock):
    assert (await api("GET", "/health")).headers["Date"] == "Sun, 01 Nov 2026 00:00:00 GMT"
    clock.advance(3600)
    assert (await api("GET", "/health")).headers["Date"] == "Sun, 01 Nov 2026 01:00:00 GMT"


async def test_every_error_carries_the_request_id_of_its_header(api):
    answered = await api("GET", "/v1/vms/vm_none")
    assert answered.json["requestId"] == answered.headers["X-Request-Id"]


@pytest.mark.parametrize(
    "path",
    [
        "/health",
        "/v1/gpu-models",
        "/v1/gpu-availability",
        "/v1/pricing",
        "/v1/public/pricing",
        "/v1/locations",
        "/v1/vm-templates",
        "/v1/models",
    ],
)
async def test_the_catalog_is_as_described(api, path):
    assert await api.get(path)


async def test_ids_follow_from_the_seed():
    ids = []
    for seed in (1, 1, 2):
        async with Emulator(seed=seed) as emulator:
            ids.append(emulator.org_id)
    assert ids[0] == ids[1] != ids[2]


async def test_emulators_side_by_side_share_nothing(connect):
    async with Emulator() as one, Emulator() as two:
        await connect(one).post("/v1/orgs/{org}/vms/create", {"name": "vm", "resourceSize": "small"})
        assert (await connect(two).get("/v1/orgs/{org}/vms"))["items"] == []
        assert (await connect(two).with_token(one.api_key)("GET", "/v1/whoami")).status == 401
