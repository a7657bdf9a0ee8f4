"""Signing in from a terminal: the user enters a short code in a browser (RFC 8628, generation 2026-10)."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from contextlib import AsyncExitStack
from datetime import datetime

from attrs import frozen

from openrelay_async.client import AsyncClient
from openrelay_async.errors import ApiError, ConfigurationError, ConnectionFailed, OpenRelayError, ServerError
from openrelay_async.generated.models.account import DeviceLogin, DeviceLoginToken
from openrelay_async.redaction import Secret
from openrelay_async.unset import UNSET

SLOWER = 5.0
"""Seconds by which each `slow_down` lengthens the interval (RFC 8628, section 3.5)."""

SHORTEST_INTERVAL = 1.0
"""Seconds between two polls at least, whatever the service says."""


class DeviceLoginError(OpenRelayError):
    """A device login that ended without a token: denied, expired, or used already (`code` says which)."""


@frozen
class DeviceCode:
    """What the user needs to approve a login."""

    user_code: str
    """6 digits to enter."""
    url: str
    """Page to enter them at."""
    complete_url: str
    """The same page with the code filled in: for a QR code or a browser that is opened."""
    expires_in: int
    """Seconds for which the code is good."""


@frozen
class SessionToken:
    """A session that a user approved. It is a key provider: `AsyncClient(api_key=session)`."""

    token: Secret
    expires_at: datetime | None
    session_id: str
    """For `account.revoke_cli_session`, which signs out."""
    org_id: str
    org_name: str | None
    email: str
    user_id: str

    blocks = False

    def __call__(self) -> Secret:
        """Return the token."""
        return self.token


OnCode = Callable[[DeviceCode], object]


async def device_login(
    *,
    on_code: OnCode,
    device_name: str | None = None,
    client: AsyncClient | None = None,
    base_url: str | None = None,
) -> SessionToken:
    """Sign a user in, and return the session token that the service gives once the user approved.

        session = await device_login(on_code=lambda code: print(code.url, code.user_code))
        async with AsyncClient(session, org_id=session.org_id) as client: ...

    The service is asked at its own pace, and slower when it says so; a connection that breaks is asked
    again. Cancelling ends it at once: an unused code expires by itself.

    Args:
        on_code: shows the code to the user; may be a coroutine function.
        device_name: name under which the user sees this device.
        client: a client to use; its key, if it has one, is not sent. By default one is made.
        base_url: address of the API for the client that is made.

    Raises:
        DeviceLoginError: the user denied it, or the code expired.
        OpenRelayError: the service refused to begin.
    """
    async with AsyncExitStack() as stack:
        if client is None:
            client = await stack.enter_async_context(AsyncClient(base_url=base_url))
        elif base_url is not None:
            raise ConfigurationError("give client= or base_url=, not both")
        clock = client._calls.transport.shared.clock
        login = await client.account.start_device_login(device_name=device_name or UNSET)
        ends = clock.monotonic() + login.expires_in
        shown = on_code(
            DeviceCode(
                login.user_code, login.verification_uri, login.verification_uri_complete, login.expires_in
            )
        )
        if inspect.isawaitable(shown):
            await shown
        return _session(await _poll(client, login, ends))


async def _poll(client: AsyncClient, login: DeviceLogin, ends: float) -> DeviceLoginToken:
    """Ask until there is a token (RFC 8628, sections 3.4 and 3.5)."""
    clock = client._calls.transport.shared.clock
    interval = max(float(login.interval), SHORTEST_INTERVAL)
    while True:
        if clock.monotonic() + interval >= ends:
            raise DeviceLoginError("the code expired before the login was approved", code="expired_token")
        await clock.sleep(interval)
        try:
            return await client.account.poll_device_login(device_code=login.device_code)
        except (ConnectionFailed, ServerError):
            # RFC 8628: after a failed connection, ask less often.
            interval = min(interval * 2, 60.0)
        except ApiError as error:
            if error.code == "slow_down":
                interval = max(interval + SLOWER, error.retry_after or 0.0)
            elif error.code != "authorization_pending":
                problem = error
                break
    raise DeviceLoginError(
        _ENDS.get(problem.code or "", problem.message),
        status=problem.status,
        code=problem.code,
        request_id=problem.request_id,
        operation=problem.operation,
        method=problem.method,
        path=problem.path,
    )


_ENDS = {
    "access_denied": "the user denied the login",
    "expired_token": "the code expired before the login was approved",
}


def _session(token: DeviceLoginToken) -> SessionToken:
    return SessionToken(
        token=token.token,
        expires_at=token.expires_at,
        session_id=token.session_id,
        org_id=token.org_id,
        org_name=token.org_name,
        email=token.email,
        user_id=token.user_id,
    )
