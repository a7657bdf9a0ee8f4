"""R4.1: a proxy's password in no frame, R4.4: nothing to a proxy that is not its business."""

from __future__ import annotations

import asyncio

import pytest

from openrelay_async import AsyncClient, RetryPolicy
from openrelay_async.errors import ConfigurationError, OpenRelayError
from openrelay_async.proxies import check_proxy, choose_proxy
from openrelay_async.redaction import Secret
from tests.canary.conftest import BadServer
from tests.canary.leaks import leaks_of_error

ONCE = RetryPolicy(max_attempts=1)
REMOTE = "https://api.example"


@pytest.fixture(autouse=True)
def plain_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


async def error_of(task: asyncio.Task[object]) -> BaseException:
    try:
        await task
    except BaseException as error:
        return error
    pytest.fail("the call was to fail")


@pytest.mark.parametrize(
    "proxy", ["socks5://user:{}@proxy.example:1080", "user:{}@proxy.example:99999", "http://user:{}@[::1"]
)
@pytest.mark.parametrize("variable", ["HTTPS_PROXY", "ALL_PROXY"])
async def test_no_frame_shows_the_password_of_a_wrong_proxy_of_the_environment(
    variable: str, proxy: str, canary: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, proxy.format(canary))
    async with AsyncClient("k" * 30, base_url=REMOTE, org_id="o", retry=ONCE) as client:
        error = await error_of(asyncio.ensure_future(client.vms.get("vm_1")))
    assert isinstance(error, ConfigurationError)
    assert "proxy.example:3128" in str(error)
    assert leaks_of_error(canary, error) == []


@pytest.mark.parametrize("from_environment", [False, True])
async def test_no_frame_of_a_call_that_ends_early_shows_the_proxys_password(
    from_environment: bool, server: BadServer, canary: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A call that is cancelled, one whose caller's time is up, and one whose own time is."""
    server.stall()
    proxy = server.url.replace("http://", f"http://user:{canary}@")
    if from_environment:
        monkeypatch.setenv("HTTPS_PROXY", proxy)
    async with AsyncClient(
        "k" * 30, base_url=REMOTE, org_id="o", retry=ONCE, proxy=None if from_environment else proxy
    ) as client:
        call = asyncio.ensure_future(client.vms.get("vm_1"))
        async with asyncio.timeout(5):
            while not server.heads:
                await asyncio.sleep(0.001)
        call.cancel()
        cancelled = await error_of(call)

        async def with_limit() -> object:
            async with asyncio.timeout(0.05):
                return await client.vms.get("vm_1")

        limited = await error_of(asyncio.ensure_future(with_limit()))
        slow = await error_of(asyncio.ensure_future(client.with_options(timeout=0.05).vms.get("vm_1")))
    assert isinstance(cancelled, asyncio.CancelledError)
    assert isinstance(limited, TimeoutError)
    assert isinstance(slow, OpenRelayError)
    for error in (cancelled, limited, slow):
        assert leaks_of_error(canary, error) == []


def test_what_stays_on_this_machine_goes_to_no_proxy_elsewhere() -> None:
    """R4.4: it may be sent in clear, so the key must not leave the machine with it."""
    elsewhere = check_proxy(Secret("http://proxy.example:3128"), source="proxy")
    here = check_proxy(Secret("http://127.0.0.1:3128"), source="proxy")
    for service in ("http://127.0.0.1:8083", "http://localhost:8083", "http://[::1]:8083"):
        assert choose_proxy(elsewhere, service) is None
        assert choose_proxy(here, service) is here
    assert choose_proxy(elsewhere, REMOTE) is elsewhere


async def test_a_proxy_that_is_asked_for_a_tunnel_gets_none_of_the_clients_headers(
    server: BadServer, canary: str
) -> None:
    """R4.4: they are the service's, and may be tokens."""
    server.reply(502, "no")
    async with AsyncClient(
        "k" * 30,
        base_url=REMOTE,
        org_id="o",
        retry=ONCE,
        proxy=server.url,
        default_headers={"X-Token": canary},
    ) as client:
        with pytest.raises(OpenRelayError, match="proxy"):
            await client.request("GET", "/v1/x")
    assert server.heads[0].startswith("CONNECT api.example:443 ")
    assert canary not in server.heads[0]
    assert "User-Agent: openrelay-async/" in server.heads[0]
