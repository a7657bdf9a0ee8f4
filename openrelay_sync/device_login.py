"""Signing in from a terminal, for sync code: see `openrelay_async.device_login`."""

from __future__ import annotations

from contextlib import ExitStack

from openrelay_async.device_login import DeviceCode as DeviceCode
from openrelay_async.device_login import DeviceLoginError as DeviceLoginError
from openrelay_async.device_login import OnCode
from openrelay_async.device_login import SessionToken as SessionToken
from openrelay_async.device_login import device_login as _async_device_login
from openrelay_async.errors import ConfigurationError
from openrelay_sync.client import Client


def device_login(
    *,
    on_code: OnCode,
    device_name: str | None = None,
    client: Client | None = None,
    base_url: str | None = None,
) -> SessionToken:
    """Sign a user in, and return the session token that the service gives once the user approved.

        session = device_login(on_code=lambda code: print(code.url, code.user_code))
        with Client(session, org_id=session.org_id) as client: ...

    Ctrl-C ends it at once: an unused code expires by itself.

    Args:
        on_code: shows the code to the user; it runs in the thread of the client's loop.
        device_name: name under which the user sees this device.
        client: a client to use; its key, if it has one, is not sent. By default one is made.
        base_url: address of the API for the client that is made.

    Raises:
        DeviceLoginError: the user denied it, or the code expired.
        OpenRelayError: the service refused to begin.
    """
    if client is not None and base_url is not None:
        raise ConfigurationError("give client= or base_url=, not both")
    with ExitStack() as stack:
        if client is None:
            client = stack.enter_context(Client(base_url=base_url))
        return client._bridge.run(
            _async_device_login(on_code=on_code, device_name=device_name, client=client._async_client)
        )
