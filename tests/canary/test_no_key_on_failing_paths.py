"""R4.1, R4.2: a canary key along every failing path of the async client."""

from __future__ import annotations

import asyncio
import gzip
import ssl
from collections.abc import Awaitable, Callable

import pytest
import trustme

from openrelay_async import AsyncClient, PoolLimits, RetryPolicy, Secret
from openrelay_async.errors import OpenRelayError
from tests.canary.conftest import BadServer
from tests.canary.leaks import LogCatcher, foreign_links, leaks_of_error

ONCE = RetryPolicy(max_attempts=1)

Arrange = Callable[[BadServer], None]
Call = Callable[[AsyncClient, str], Awaitable[object]]


def arrange_status(status: int, **options: object) -> Arrange:
    return lambda server: server.reply(status, echo=True, **options)  # type: ignore[arg-type]


ANSWERS: dict[str, Arrange] = {
    **{f"status {status}": arrange_status(status) for status in (401, 403, 409, 429, 503)},
    "redirect": lambda server: server.reply(307, headers={"Location": "http://evil.example/"}),
    "not JSON": lambda server: server.reply(200, "<html>"),
    "JSON of the wrong shape": lambda server: server.reply(200, "[1]"),
    "empty": lambda server: server.reply(200, ""),
    "broken gzip": lambda server: server.reply(200, b"\x1f\x8bno", headers={"Content-Encoding": "gzip"}),
    "body over the limit": lambda server: server.reply(
        200, gzip.compress(b"0" * 100_000), headers={"Content-Encoding": "gzip"}
    ),
    "not HTTP": lambda server: server.send_raw(b"SSH-2.0-OpenSSH_9.6\r\n\r\n"),
    "cut off": lambda server: server.send_raw(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{"),
    "closed without an answer": lambda server: server.send_raw(b""),
    "reset": lambda server: server.reset(),
    "stalled": lambda server: server.stall(),
    "header too long": lambda server: server.send_raw(
        b"HTTP/1.1 200 OK\r\nX: " + b"y" * 100_000 + b"\r\n\r\n"
    ),
}

CALLS: dict[str, Call] = {
    "read": lambda client, canary: client.vms.get("vm_1"),
    "read of the organization": lambda client, canary: client.with_options(org_id=None).api_keys.list(),
    "pages": lambda client, canary: client.vms.list(),
    "change with a secret in the body": lambda client, canary: client.registry_credentials.create(
        name="r", auth_type="basic", server="r.example", credentials={"password": canary}
    ),
    "secret in the query": lambda client, canary: client.billing.create_setup_intent(turnstile_token=canary),
    "upload": lambda client, canary: client.files.upload(file=b"{}", purpose="batch"),
    "download": lambda client, canary: client.files.get_content("file_1"),
    "raw request": lambda client, canary: client.request(
        "POST", "/v1/x", json={"password": Secret(canary)}, params={"t": canary}
    ),
}


async def error_of(call: Awaitable[object]) -> BaseException:
    try:
        await call
    except Exception as error:
        return error
    pytest.fail("the call was to fail")


@pytest.mark.parametrize("answer", ANSWERS)
@pytest.mark.parametrize("call", CALLS)
async def test_no_frame_error_or_log_shows_the_key_when_a_call_fails(
    call: str, answer: str, server: BadServer, canary: str, logs: LogCatcher
) -> None:
    """R4.1 R4.2."""
    loop = asyncio.get_running_loop()
    loop.set_debug(True)
    loop.slow_callback_duration = 0.0
    ANSWERS[answer](server)
    limits = PoolLimits(max_body=10_000)
    async with AsyncClient(
        canary, base_url=server.url, org_id="org_1", retry=ONCE, attempt_timeout=0.1, limits=limits
    ) as client:
        if call == "download" and answer in {"not JSON", "JSON of the wrong shape", "empty", "broken gzip"}:
            return  # for a file's content that is no failure
        if call == "raw request" and answer in {"not JSON", "JSON of the wrong shape", "empty"}:
            return
        error = await error_of(CALLS[call](client, canary))
    assert isinstance(error, OpenRelayError)
    assert leaks_of_error(canary, error) == []
    assert foreign_links(error) == []
    assert [line for line in logs.lines if canary in line] == []
    assert not error.__dict__.get("details") or canary not in repr(error.details)


@pytest.mark.parametrize("call", CALLS)
async def test_no_frame_shows_the_key_when_the_connection_is_refused(
    call: str, closed_port_url: str, canary: str, logs: LogCatcher
) -> None:
    """R4.1."""
    async with AsyncClient(canary, base_url=closed_port_url, org_id="org_1", retry=ONCE) as client:
        error = await error_of(CALLS[call](client, canary))
    assert leaks_of_error(canary, error) == []
    assert foreign_links(error) == []
    assert [line for line in logs.lines if canary in line] == []


async def test_no_frame_shows_the_key_when_the_certificate_is_not_trusted(
    canary: str, logs: LogCatcher
) -> None:
    """R4.1."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert("localhost").configure_cert(context)
    async with await asyncio.start_server(lambda r, w: w.close(), "127.0.0.1", 0, ssl=context) as tls:
        url = f"https://localhost:{tls.sockets[0].getsockname()[1]}"
        async with AsyncClient(canary, base_url=url, org_id="org_1", retry=ONCE) as client:
            error = await error_of(client.vms.get("vm_1"))
    assert "certificate" in str(error)
    assert leaks_of_error(canary, error) == []
    assert foreign_links(error) == []
    assert [line for line in logs.lines if canary in line] == []


@pytest.mark.parametrize("status", [407, 502])
async def test_no_frame_shows_the_proxys_password_when_the_proxy_refuses(
    status: int, server: BadServer, canary: str, logs: LogCatcher
) -> None:
    """R4.1."""
    server.reply(status, "no")
    proxy = server.url.replace("http://", f"http://user:{canary}@")
    async with AsyncClient("k" * 30, base_url="https://api.example", proxy=proxy, retry=ONCE) as client:
        error = await error_of(client.vms.get("vm_1"))
        assert canary not in repr(client)
        assert canary not in repr(vars(client))
    assert "proxy" in str(error)
    assert leaks_of_error(canary, error) == []
    assert foreign_links(error) == []
    assert [line for line in logs.lines if canary in line] == []


async def test_no_frame_shows_the_key_when_every_connection_is_busy(server: BadServer, canary: str) -> None:
    """R4.1."""
    server.stall()
    limits = PoolLimits(max_connections=1, queue_timeout=0.05)
    async with AsyncClient(canary, base_url=server.url, org_id="o", retry=ONCE, limits=limits) as client:
        running = asyncio.create_task(client.vms.get("vm_1"))
        async with asyncio.timeout(5):
            while not server.heads:
                await asyncio.sleep(0.001)
        error = await error_of(client.vms.get("vm_2"))
        running.cancel()
        with pytest.raises(asyncio.CancelledError) as cancelled:
            await running
    assert leaks_of_error(canary, error) == []
    assert leaks_of_error(canary, cancelled.value) == []


async def test_no_frame_shows_the_key_when_a_client_is_closed(server: BadServer, canary: str) -> None:
    """R4.1."""
    client = AsyncClient(canary, base_url=server.url, org_id="o")
    await client.aclose()
    assert leaks_of_error(canary, await error_of(client.vms.get("vm_1"))) == []


async def test_an_answers_secrets_are_in_no_error_when_the_rest_of_it_is_wrong(
    server: BadServer, canary: str, logs: LogCatcher
) -> None:
    """R4.1 R7.2: a new key in an answer that lacks a field."""
    async with AsyncClient("k" * 30, base_url=server.url, org_id="org_1", retry=ONCE) as client:
        for body in (
            f'{{"id": "key_1", "key": "{canary}"}}',
            f'{{"id": "key_1", "key": ["{canary}"], "name": "n"}}',
            f'["{canary}"]',
            f'{{"id": "key_1", "key": "{canary}',
        ):
            server.reply(200, body)
            error = await error_of(client.api_keys.create(name="n"))
            assert isinstance(error, OpenRelayError)
            assert leaks_of_error(canary, error) == []
            assert foreign_links(error) == []
    assert [line for line in logs.lines if canary in line] == []


@pytest.mark.parametrize("status", [400, 401, 403, 409, 503])
async def test_a_secret_argument_that_the_service_echoes_is_in_no_error(
    status: int, server: BadServer, canary: str, logs: LogCatcher
) -> None:
    """R4.7: not only the key in use."""
    server.reply(status, echo=True)
    async with AsyncClient("k" * 30, base_url=server.url, org_id="org_1", retry=ONCE) as client:
        for name in ("change with a secret in the body", "secret in the query", "raw request"):
            error = await error_of(CALLS[name](client, canary))
            assert leaks_of_error(canary, error) == []
    assert [line for line in logs.lines if canary in line] == []


BAD_ARGUMENTS: dict[str, Call] = {
    "an id that is no id": lambda client, canary: client.registry_credentials.create(
        name=1,  # type: ignore[arg-type]
        auth_type="basic",
        server="r.example",
        credentials={"password": canary},
    ),
    "a secret that is none": lambda client, canary: client.registry_credentials.create(
        name="r",
        auth_type="basic",
        server="r.example",
        credentials=[canary],  # type: ignore[arg-type]
    ),
    "a number beside a secret": lambda client, canary: client.registry_credentials.create(
        name="r",
        auth_type="basic",
        server="r.example",
        credentials={"password": canary, "n": 4},  # type: ignore[dict-item]
    ),
    "cloud-init of a VM with a wrong count": lambda client, canary: client.vms.create(
        name="x",
        gpu_model_id="g",
        gpu_count="two",
        ssh_key_ids=["k"],
        cloud_init=canary,  # type: ignore[arg-type]
    ),
    "environment of a VM with a wrong count": lambda client, canary: client.vms.create(
        name="x",
        gpu_model_id="g",
        gpu_count="two",
        ssh_key_ids=["k"],
        env_vars={"A": canary},  # type: ignore[arg-type]
    ),
    "bad timeout": lambda client, canary: client.account.poll_device_login(device_code=canary, timeout=-1),
    "raw request that JSON cannot have": lambda client, canary: client.request(
        "POST", "/v1/x", json={"password": Secret(canary), "other": object()}
    ),
    "raw request with a bad path": lambda client, canary: client.request(
        "POST", "v1/x", json={"password": Secret(canary)}
    ),
}


@pytest.mark.parametrize("call", BAD_ARGUMENTS)
async def test_no_frame_shows_a_secret_argument_when_another_argument_is_wrong(
    call: str, canary: str, server: BadServer
) -> None:
    """R4.1."""
    async with AsyncClient(canary, base_url=server.url, org_id="org_1", retry=ONCE) as client:
        error = await error_of(BAD_ARGUMENTS[call](client, canary))
    assert server.heads == []
    assert leaks_of_error(canary, error) == []


CONSTRUCTORS: dict[str, Callable[[str], dict[str, object]]] = {
    "key with a line break": lambda canary: {"api_key": f"{canary}\nx"},
    "key with the word Bearer": lambda canary: {"api_key": f"Bearer {canary}"},
    "Secret with a space": lambda canary: {"api_key": Secret(f"{canary} x")},
    "key as bytes": lambda canary: {"api_key": canary.encode()},
    "key and a wrong address": lambda canary: {"api_key": canary, "base_url": "ftp://x"},
    "key and a clear-text address": lambda canary: {"api_key": canary, "base_url": "http://api.example"},
    "address with a password": lambda canary: {"base_url": f"https://user:{canary}@api.example"},
    "inference address with a password": lambda canary: {"inference_url": f"https://u:{canary}@api.example"},
    "key and a wrong timeout": lambda canary: {"api_key": canary, "timeout": -1},
    "key and a wrong policy": lambda canary: {"api_key": canary, "retry": 3},
    "key and wrong limits": lambda canary: {"api_key": canary, "limits": 3},
    "key and a wrong proxy": lambda canary: {"api_key": canary, "proxy": f"socks5://user:{canary}@proxy"},
    "key and a hook that is none": lambda canary: {"api_key": canary, "hooks": [3]},
    "key and a header of its own": lambda canary: {
        "api_key": canary,
        "default_headers": {"Authorization": f"Bearer {canary}"},
    },
    "header value with a line break": lambda canary: {"default_headers": {"X-Token": f"{canary}\n"}},
    "key and an organization that is none": lambda canary: {"api_key": canary, "org_id": ""},
}


@pytest.mark.parametrize("name", CONSTRUCTORS)
def test_no_frame_shows_the_key_when_a_client_cannot_be_made(name: str, canary: str) -> None:
    """R4.1 R4.5."""
    error: Exception | None = None
    try:
        AsyncClient(**CONSTRUCTORS[name](canary))  # type: ignore[arg-type]
    except Exception as raised:
        error = raised
    assert isinstance(error, OpenRelayError)
    assert leaks_of_error(canary, error) == []
    assert foreign_links(error) == []


@pytest.mark.parametrize("name", ["key with a line break", "key with the word Bearer", "key as bytes"])
def test_no_frame_shows_the_key_when_a_view_cannot_be_made(name: str, canary: str) -> None:
    """R4.1."""
    client = AsyncClient("k" * 30)
    error: Exception | None = None
    try:
        client.with_options(**CONSTRUCTORS[name](canary))  # type: ignore[arg-type]
    except Exception as raised:
        error = raised
    assert isinstance(error, OpenRelayError)
    assert leaks_of_error(canary, error) == []


def test_no_frame_shows_a_key_of_the_environment_that_is_none(
    canary: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """R4.1."""
    monkeypatch.setenv("OPENRELAY_API_KEY", f"{canary} {canary}")
    error: Exception | None = None
    try:
        AsyncClient()
    except Exception as raised:
        error = raised
    assert isinstance(error, OpenRelayError)
    assert "OPENRELAY_API_KEY" in str(error)
    assert leaks_of_error(canary, error) == []
