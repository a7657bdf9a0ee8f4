"""Statuses and error bodies: which error class, and what it knows."""

from __future__ import annotations

import json

import pytest
import pytest_asyncio

from openrelay_async import AsyncClient, RetryPolicy, errors

from .conftest import KEY

pytestmark = pytest.mark.asyncio(loop_scope="module")

API = "https://api.example.test"
INFERENCE = "https://inference.example.test"
VM = f"{API}/v1/vms/vm_1"
FILE = f"{INFERENCE}/v1/files/file_1"

CLASSES = {
    400: errors.BadRequest,
    401: errors.Unauthenticated,
    402: errors.PaymentRequired,
    403: errors.PermissionDenied,
    404: errors.NotFound,
    405: errors.ApiError,
    409: errors.Conflict,
    410: errors.Gone,
    413: errors.PayloadTooLarge,
    418: errors.ApiError,
    422: errors.Unprocessable,
    429: errors.RateLimited,
    500: errors.ServerError,
    501: errors.ServerError,
    502: errors.ServerError,
    503: errors.Unavailable,
    504: errors.ServerError,
    599: errors.ServerError,
}

CAPACITY = (
    "INSUFFICIENT_GPU_CAPACITY",
    "INSUFFICIENT_CPU_CAPACITY",
    "INSUFFICIENT_HOST_CAPACITY",
    "INSUFFICIENT_IP_CAPACITY",
    "NODE_AT_CAPACITY",
    "VM_NODE_BUSY",
    "POD_NODE_BUSY",
)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared_client():
    retry = RetryPolicy(max_attempts=1)
    async with AsyncClient(KEY, base_url=API, inference_url=INFERENCE, org_id="org_1", retry=retry) as client:
        yield client


@pytest.fixture
def service(shared_client, mocked):
    return shared_client


async def refused(call) -> errors.OpenRelayError:
    with pytest.raises(errors.OpenRelayError) as caught:
        await call
    return caught.value


@pytest.mark.parametrize("status", CLASSES)
async def test_status_of_the_api_decides_the_class(status, service, mocked):
    body = {"error": "not so", "code": "SOME_CODE", "field": "name"}
    mocked.get(VM, status=status, payload=body, headers={"X-Request-Id": "req_7"})
    error = await refused(service.vms.get("vm_1"))
    assert type(error) is CLASSES[status]
    assert (error.status, error.code, error.request_id) == (status, "SOME_CODE", "req_7")
    assert error.message.partition(";")[0] == "not so", "what the client knows of it may follow"
    assert (error.operation, error.method, error.path) == ("getVm", "GET", "/v1/vms/{id}")
    assert (error.attempts, error.details, error.maybe_applied) == (1, {"field": "name"}, False)


@pytest.mark.parametrize("status", CLASSES)
async def test_status_of_the_inference_host_decides_the_class(status, service, mocked):
    body = {"error": {"message": "not so", "type": "some_type", "code": "some_code"}}
    mocked.get(FILE, status=status, payload=body)
    error = await refused(service.files.get("file_1"))
    assert type(error) is CLASSES[status]
    assert (error.status, error.code) == (status, "some_code")
    assert error.message.partition(";")[0] == "not so"
    assert error.details == {"type": "some_type"}


@pytest.mark.parametrize("code", CAPACITY)
async def test_503_with_a_capacity_code_means_no_room(code, service, mocked):
    """R3.7"""
    create = f"{API}/v1/orgs/org_1/vms/create"
    mocked.post(create, status=503, payload={"error": "no room", "code": code}, repeat=True)
    patient = service.with_options(retry=RetryPolicy(max_attempts=4, base=0.001))
    error = await refused(patient.vms.create(name="x"))
    assert type(error) is errors.CapacityUnavailable
    assert (error.attempts, error.maybe_applied) == (1, False)


@pytest.mark.parametrize("status", [400, 409, 500, 502])
async def test_a_capacity_code_with_another_status_is_what_the_status_says(status, service, mocked):
    mocked.get(VM, status=status, payload={"error": "no", "code": CAPACITY[0]})
    assert type(await refused(service.vms.get("vm_1"))) is CLASSES[status]


async def test_503_with_another_code_is_unavailable(service, mocked):
    mocked.get(VM, status=503, payload={"error": "no", "code": "MAINTENANCE"})
    assert type(await refused(service.vms.get("vm_1"))) is errors.Unavailable


@pytest.mark.parametrize(
    ("header", "body", "expected"),
    [
        ("req_header", {"error": "x", "requestId": "req_body"}, "req_header"),
        (None, {"error": "x", "requestId": "req_body"}, "req_body"),
        ("", {"error": "x", "requestId": "req_body"}, "req_body"),
        (None, {"error": "x", "requestId": 7}, None),
        (None, {"error": "x"}, None),
    ],
)
async def test_request_id_is_from_the_header_or_the_body(header, body, expected, service, mocked):
    mocked.get(VM, status=404, payload=body, headers={} if header is None else {"X-Request-Id": header})
    error = await refused(service.vms.get("vm_1"))
    assert error.request_id == expected
    assert "requestId" not in error.details
    assert expected is None or f"request id {expected}" in str(error)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>502 Bad Gateway</html>",
        b"null",
        b"[]",
        b'"text"',
        b"{}",
        b'{"error": null}',
        b'{"error": 7, "code": {}}',
        b'{"error": {"message": null}}',
        b'{"error": ["a"]}',
        b"{" * 5000,
        b"[" * 100_000,
        b"\xff\xfe\x00",
        b'{"error": "x", "error": "',
    ],
    ids=lambda body: body[:20].decode(errors="replace"),
)
async def test_a_body_that_is_no_error_body_leaves_the_status(body, service, mocked):
    mocked.get(VM, status=502, body=body, headers={"X-Request-Id": "req_1"}, content_type="text/html")
    error = await refused(service.vms.get("vm_1"))
    assert type(error) is errors.ServerError
    assert (error.status, error.code, error.request_id) == (502, None, "req_1")
    assert error.message == "the service gave no reason"
    assert "\n" not in str(error)


@pytest.mark.parametrize("status", [300, 301, 302, 303, 304, 307, 308])
async def test_a_redirect_is_an_invalid_response(status, service, mocked):
    """R4.4"""
    elsewhere = "https://elsewhere.example.test/v1/vms/vm_1"
    mocked.get(VM, status=status, headers={"Location": elsewhere, "X-Request-Id": "req_3"})
    error = await refused(service.vms.get("vm_1"))
    assert type(error) is errors.InvalidResponse
    assert (error.status, error.operation, error.request_id) == (status, "getVm", "req_3")
    assert "elsewhere" not in f"{error} {error.details}"
    assert len(mocked.requests) == 1


@pytest.mark.parametrize("body", [b"", b"<html>", b"{", b'{"id": "vm_1"', b"\xff"])
async def test_a_success_that_is_not_json_is_an_invalid_response(body, service, mocked):
    mocked.get(VM, status=200, body=body, headers={"X-Request-Id": "req_2"})
    error = await refused(service.vms.get("vm_1"))
    assert type(error) is errors.InvalidResponse
    assert (error.status, error.operation, error.request_id) == (200, "getVm", "req_2")


async def test_403_says_what_was_missing(service, mocked):
    denied = {
        "error": "denied",
        "code": "FORBIDDEN",
        "permission": "vms:read",
        "deniedBy": "org_policy",
        "policies": ["pol_1", 7, "pol_2"],
    }
    mocked.get(VM, status=403, payload=denied)
    error = await refused(service.with_options(api_key=KEY, org_id="org_1").vms.get("vm_1"))
    assert type(error) is errors.PermissionDenied
    assert (error.permission, error.denied_by, error.policies) == (
        "vms:read",
        "org_policy",
        ["pol_1", "pol_2"],
    )
    assert error.details == {}
    assert "it needs the permission vms:read" in str(error) or "or the permission vms:read" in str(error)


async def test_retry_after_of_a_refusal_is_kept(service, mocked):
    mocked.get(VM, status=429, payload={"error": "slow"}, headers={"Retry-After": "7"})
    error = await refused(service.vms.get("vm_1"))
    assert (type(error), error.retry_after) == (errors.RateLimited, 7.0)


@pytest.mark.parametrize("status", CLASSES)
async def test_only_a_failure_of_the_service_may_have_been_applied(status, service, mocked):
    """R3.2"""
    mocked.post(f"{VM}/stop", status=status, payload={"error": "x"})
    error = await refused(service.vms.stop("vm_1"))
    assert error.maybe_applied is (status >= 500 and status != 501)


@pytest.mark.parametrize("status", CLASSES)
async def test_errors_are_one_line_that_names_the_operation(status, service, mocked):
    """R11.1"""
    mocked.get(VM, status=status, payload={"error": "a\nb " * 400, "code": "C" * 300})
    error = await refused(service.vms.get("vm_1"))
    line = str(error)
    assert len(line) <= 500
    assert "\n" not in line
    assert line.startswith(f"getVm GET /v1/vms/{{id}}: {status} ")


async def test_a_message_that_echoes_the_key_is_scrubbed(service, mocked):
    """R4.7"""
    echo = f"bad header Bearer {KEY}"
    mocked.get(VM, status=400, payload={"error": echo, "code": KEY, "sent": {KEY: [KEY]}})
    error = await refused(service.vms.get("vm_1"))
    shown = f"{error} {error!r} {error.message} {error.code} {json.dumps(error.details)}"
    assert KEY not in shown
    assert KEY[8:] not in shown


@pytest.mark.parametrize("content_type", ["application/json", "text/plain", "application/problem+json", ""])
async def test_content_type_of_an_answer_does_not_matter(content_type, service, mocked):
    mocked.get(VM, status=404, body=b'{"error": "gone"}', content_type=content_type)
    assert (await refused(service.vms.get("vm_1"))).message == "gone"
