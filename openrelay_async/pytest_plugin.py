"""Fixtures for tests of code that uses OpenRelay: pytest finds them as soon as the package is installed.

    async def test_a_key_may_do_little(openrelay_client):
        key = await openrelay_client.api_keys.create(name="ci", scopes=["vms:read"])
        assert key.scopes == ["vms:read"]

They need no plugin for asyncio and go with each: pytest-asyncio in both modes, anyio, and sync tests.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from openrelay_async.client import AsyncClient
    from openrelay_async.emulator import Emulator


@pytest.fixture
def openrelay_emulator() -> Iterator[Emulator]:
    """An empty emulator of the service in a thread of its own: `.url`, `.api_key`, `.org_id`, `.faults` …"""
    # Here, because pytest loads every plugin at its start, also for tests that never use it.
    from openrelay_async import emulator as service

    with service.Emulator.in_thread() as emulator:
        yield emulator


@pytest.fixture
def openrelay_client(openrelay_emulator: Emulator) -> Iterator[AsyncClient]:
    """An `AsyncClient` of the emulator, with its first key; it works in any loop and is closed after."""
    import asyncio

    client = openrelay_emulator.client()
    yield client
    # The test's loop has ended by now: what is left to do is done in another.
    asyncio.run(client.aclose())
