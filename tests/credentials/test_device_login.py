"""Device login by RFC 8628, with a turned clock."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator

import attrs
import pytest
from aiohttp import web

from openrelay_async import AsyncClient, Secret
from openrelay_async.device_login import DeviceCode, DeviceLoginError, device_login
from openrelay_async.emulator import Emulator, TurnedClock
from openrelay_async.errors import ConfigurationError, OpenRelayError
from openrelay_sync.device_login import device_login as sync_device_login

DEVICE_CODE = "device-code-0123456789-0123456789"
TOKEN = "ors_SessionToken0123456789abcdefghij"


@attrs.define
class LoginServer:
    clock: TurnedClock
    answers: list[object] = attrs.field(factory=list[object])
    polled_at: list[float] = attrs.field(factory=list[float])
    bodies: list[object] = attrs.field(factory=list[object])
    headers: list[str | None] = attrs.field(factory=list[str | None])
    expires_in: int = 600
    interval: int = 5
    url: str = ""

    async def start(self, request: web.Request) -> web.Response:
        self.bodies.append(await request.json() if request.can_read_body else None)
        return web.json_response(
            {
                "deviceCode": DEVICE_CODE,
                "userCode": "123456",
                "verificationUri": "https://console.example/cli",
                "verificationUriComplete": "https://console.example/cli?code=123456",
                "expiresIn": self.expires_in,
                "interval": self.interval,
            }
        )

    async def token(self, request: web.Request) -> web.StreamResponse:
        self.polled_at.append(self.clock.monotonic())
        self.headers.append(request.headers.get("Authorization"))
        assert (await request.json())["deviceCode"] == DEVICE_CODE
        answer = self.answers.pop(0) if self.answers else (400, "authorization_pending")
        if answer == "reset":
            assert request.transport is not None
            request.transport.abort()
            return web.Response()
        if answer == "token":
            return web.json_response(
                {
                    "token": TOKEN,
                    "tokenType": "Bearer",
                    "orgId": "org_1",
                    "userId": "usr_1",
                    "sessionId": "ses_1",
                    "email": "a@b.example",
                    "expiresAt": "2026-12-01T00:00:00Z",
                }
            )
        status, code = answer  # type: ignore[misc]
        return web.json_response({"error": str(code), "code": code}, status=int(status))


@pytest.fixture
async def login() -> AsyncIterator[LoginServer]:
    server = LoginServer(TurnedClock())
    app = web.Application()
    app.router.add_post("/v1/cli-auth/device", server.start)
    app.router.add_post("/v1/cli-auth/token", server.token)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    server.url = str(site.name)
    yield server
    await runner.cleanup()


@pytest.fixture
async def client(login: LoginServer) -> AsyncIterator[AsyncClient]:
    async with AsyncClient("k" * 30, base_url=login.url, clock=login.clock.jumping()) as client:
        yield client


def gaps(server: LoginServer, began: float) -> list[float]:
    times = [began, *server.polled_at]
    return [round(b - a, 3) for a, b in itertools.pairwise(times)]


async def test_a_login_shows_its_code_and_becomes_a_session(login: LoginServer, client: AsyncClient) -> None:
    login.answers = [(400, "authorization_pending"), (400, "authorization_pending"), "token"]
    shown: list[DeviceCode] = []
    began = login.clock.monotonic()
    session = await device_login(on_code=shown.append, device_name="laptop", client=client)
    assert [code.user_code for code in shown] == ["123456"]
    assert shown[0].complete_url.endswith("code=123456")
    assert login.bodies == [{"deviceName": "laptop"}]
    assert gaps(login, began) == [5, 5, 5]
    assert session.token == Secret(TOKEN)
    assert session.org_id == "org_1"
    assert TOKEN not in repr(session)
    assert login.headers == [None] * 3, "no key is sent with it"


async def test_a_session_is_a_key_provider(login: LoginServer, client: AsyncClient) -> None:
    login.answers = ["token"]
    session = await device_login(on_code=lambda code: None, client=client)
    with pytest.raises(OpenRelayError, match="404"):
        await client.with_options(api_key=session).account.whoami()
    assert session().reveal() == TOKEN


async def test_each_slow_down_lengthens_the_interval_by_five_seconds(
    login: LoginServer, client: AsyncClient
) -> None:
    """RFC 8628, section 3.5. It is not retried by the transport (R3.1)."""
    login.answers = [(429, "slow_down"), (400, "authorization_pending"), (429, "slow_down"), "token"]
    began = login.clock.monotonic()
    await device_login(on_code=lambda code: None, client=client)
    assert gaps(login, began) == [5, 10, 10, 15]


async def test_a_broken_connection_is_asked_again_less_often(login: LoginServer, client: AsyncClient) -> None:
    """RFC 8628, section 3.5."""
    login.answers = ["reset", (503, "down"), "token"]
    began = login.clock.monotonic()
    await device_login(on_code=lambda code: None, client=client)
    assert gaps(login, began) == [5, 10, 20]


@pytest.mark.parametrize(
    ("status", "code", "words"),
    [
        (403, "access_denied", "denied"),
        (410, "expired_token", "expired"),
        (400, "invalid_grant", "invalid_grant"),
    ],
)
async def test_a_login_that_is_denied_or_expired_ends_with_a_typed_error(
    status: int, code: str, words: str, login: LoginServer, client: AsyncClient
) -> None:
    login.answers = [(status, code)]
    with pytest.raises(DeviceLoginError, match=words) as caught:
        await device_login(on_code=lambda code: None, client=client)
    assert caught.value.code == code
    assert caught.value.status == status
    assert DEVICE_CODE not in str(caught.value)


async def test_a_login_nobody_approves_ends_when_its_code_does(
    login: LoginServer, client: AsyncClient
) -> None:
    login.expires_in = 30
    began = login.clock.monotonic()
    with pytest.raises(DeviceLoginError, match="expired"):
        await device_login(on_code=lambda code: None, client=client)
    assert login.clock.monotonic() - began <= 30
    assert len(login.polled_at) == 5


async def test_a_coroutine_may_show_the_code(login: LoginServer, client: AsyncClient) -> None:
    login.answers = ["token"]
    shown: list[str] = []

    async def show(code: DeviceCode) -> None:
        await asyncio.sleep(0)
        shown.append(code.user_code)

    await device_login(on_code=show, client=client)
    assert shown == ["123456"]


async def test_a_cancelled_login_asks_no_more(login: LoginServer) -> None:
    async with AsyncClient(base_url=login.url) as client:
        seen = asyncio.Event()
        task = asyncio.create_task(device_login(on_code=lambda code: seen.set(), client=client))
        await asyncio.wait_for(seen.wait(), 5)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    assert login.polled_at == []


async def test_a_login_makes_and_closes_a_client_of_its_own(login: LoginServer) -> None:
    login.interval, login.answers = 0, ["token"]
    session = await device_login(on_code=lambda code: None, base_url=login.url)
    assert session.email == "a@b.example"


async def test_a_sync_program_signs_in_the_same_way(login: LoginServer) -> None:
    login.interval, login.answers = 0, ["token"]
    shown: list[str] = []
    session = await asyncio.to_thread(
        sync_device_login, on_code=lambda code: shown.append(code.user_code), base_url=login.url
    )
    assert shown == ["123456"]
    assert session.token == Secret(TOKEN)


async def test_a_client_and_an_address_are_not_given_together(client: AsyncClient) -> None:
    with pytest.raises(ConfigurationError):
        await device_login(on_code=lambda code: None, client=client, base_url="https://x.example")


@pytest.mark.parametrize("approves", [True, False])
async def test_a_login_at_the_emulator_is_approved_or_denied_in_the_browser(approves: bool) -> None:
    clock = TurnedClock()
    async with (
        Emulator(clock=clock) as emulator,
        emulator.client(api_key=emulator.session_token) as browser,
        AsyncClient(base_url=emulator.url, clock=clock.jumping()) as terminal,
    ):

        async def decide(code: DeviceCode) -> None:
            if approves:
                await browser.account.approve_device_login(code.user_code, org_id=emulator.org_id)
            else:
                await browser.account.deny_device_login(code.user_code)

        if not approves:
            with pytest.raises(DeviceLoginError, match="denied"):
                await device_login(on_code=decide, client=terminal)
            return
        session = await device_login(on_code=decide, device_name="laptop", client=terminal)
        async with emulator.client(api_key=session) as client:
            me = await client.account.whoami()
        assert me.principal_type == "user"
        assert me.organization_id == session.org_id == emulator.org_id
        assert 429 not in [request.status for request in emulator.requests], "never faster than told"
