"""One client for the stories: of an emulator, or of the service itself where the environment says so.

`OPENRELAY_LIVE=1` with `OPENRELAY_API_KEY` runs the stories that only read against the service that
`OPENRELAY_API_URL` names, production by default. `OPENRELAY_LIVE=write` runs those too that create keys and
VMs, and end what they created.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator

import pytest

from openrelay_async import AsyncClient
from openrelay_async.emulator import Emulator

LIVE = os.environ.get("OPENRELAY_LIVE", "")


@pytest.fixture
async def client() -> AsyncIterator[AsyncClient]:
    if LIVE:
        async with AsyncClient() as live:
            yield live
        return
    async with Emulator(speed=50) as emulator, emulator.client() as emulated:
        yield emulated


@pytest.fixture
def may_write() -> None:
    if LIVE and LIVE != "write":
        pytest.skip("it changes something at the service: OPENRELAY_LIVE=write allows that")
