"""The OpenRelay service in a process: aiohttp over SQLite, for tests, notebooks and demos without an account.

`async with Emulator() as emulator:` serves on `emulator.url`; `python -m openrelay_async.emulator` serves
on its own. Names are loaded on first use.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from openrelay_async.emulator.areas.account.founding import FoundedOrganization
    from openrelay_async.emulator.areas.webhooks.storage import Delivery
    from openrelay_async.emulator.clocks import FastClock, TurnedClock
    from openrelay_async.emulator.embedding import Emulator
    from openrelay_async.emulator.faults import Fault, FaultPlan
    from openrelay_async.emulator.seen import SeenRequest
    from openrelay_async.emulator.storage import EmulatorError
    from openrelay_async.emulator.threads import InThread

__all__ = [
    "Delivery",
    "Emulator",
    "EmulatorError",
    "FastClock",
    "Fault",
    "FaultPlan",
    "FoundedOrganization",
    "InThread",
    "SeenRequest",
    "TurnedClock",
]

_PLACES = {
    "Delivery": "areas.webhooks.storage",
    "Emulator": "embedding",
    "EmulatorError": "storage",
    "FastClock": "clocks",
    "Fault": "faults",
    "FaultPlan": "faults",
    "FoundedOrganization": "areas.account.founding",
    "InThread": "threads",
    "SeenRequest": "seen",
    "TurnedClock": "clocks",
}


def __getattr__(name: str) -> object:
    place = _PLACES.get(name)
    if place is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{place}"), name)


def __dir__() -> list[str]:
    return __all__
