"""OpenRelay for sync code: the same calls as in `openrelay_async`, for scripts, threads and notebooks.

    from openrelay_sync import Client

    with Client() as client:
        for vm in client.vms.list():
            print(vm.name, vm.status)

Importing this package loads nothing but itself: asyncio, aiohttp, the models and the rest come with first
use. All public names of `openrelay_async` are here too, but for `bulk`, which is awaited: here it is a
method of the client, `Client.bulk`. What its calls return, such as `PagedCall`, is the async package's; all
other calls return `SyncPagedCall` and `SyncDownload`.
"""

from __future__ import annotations

from openrelay_async import _PLACES as _ASYNC_PLACES
from openrelay_async import __version__

# Type checkers take the name for true. Importing it from typing would cost more than all else here.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from openrelay_async import UNSET as UNSET
    from openrelay_async import AsyncClient as AsyncClient
    from openrelay_async import BulkResult as BulkResult
    from openrelay_async import Change as Change
    from openrelay_async import Clock as Clock
    from openrelay_async import CommandKey as CommandKey
    from openrelay_async import DownloadCall as DownloadCall
    from openrelay_async import EnvironmentKey as EnvironmentKey
    from openrelay_async import FileKey as FileKey
    from openrelay_async import KeyringKey as KeyringKey
    from openrelay_async import OpenRelayError as OpenRelayError
    from openrelay_async import Page as Page
    from openrelay_async import PagedCall as PagedCall
    from openrelay_async import PoolLimits as PoolLimits
    from openrelay_async import RecordedResponse as RecordedResponse
    from openrelay_async import RetryPolicy as RetryPolicy
    from openrelay_async import Rotation as Rotation
    from openrelay_async import RotationError as RotationError
    from openrelay_async import Secret as Secret
    from openrelay_async import SystemClock as SystemClock
    from openrelay_async import Unset as Unset
    from openrelay_async import WaitBar as WaitBar
    from openrelay_async import WaitOutcome as WaitOutcome
    from openrelay_async import WaitProgress as WaitProgress
    from openrelay_async import errors as errors
    from openrelay_async import install_redaction as install_redaction
    from openrelay_async import list_to_frame as list_to_frame
    from openrelay_async import models as models
    from openrelay_async import operations as operations
    from openrelay_async import scopes_for as scopes_for
    from openrelay_async import scrub as scrub
    from openrelay_sync import leases as leases
    from openrelay_sync.client import Client as Client
    from openrelay_sync.contexts import SyncContext as SyncContext
    from openrelay_sync.iteration import SyncDownload as SyncDownload
    from openrelay_sync.iteration import SyncPagedCall as SyncPagedCall
    from openrelay_sync.loop_thread import LoopThread as LoopThread

_PLACES = {
    "Client": "client",
    "LoopThread": "loop_thread",
    "SyncContext": "contexts",
    "SyncDownload": "iteration",
    "SyncPagedCall": "iteration",
    "leases": "leases:",
}
"""Where each name of this package's own is defined; with a colon it is the module."""

_SHARED = [name for name in _ASYNC_PLACES if name not in _PLACES and name != "bulk"]
"""Names that are the async package's own. `bulk` is left out: called here, it would send nothing."""

__all__ = ["__version__", *_PLACES, *_SHARED]


if not TYPE_CHECKING:  # A type checker shall not take every misspelt name for something that is there

    def __getattr__(name: str) -> object:
        import importlib  # not before it is needed: see above

        if name in _PLACES:
            module_name, colon, _ = _PLACES[name].partition(":")
            module = importlib.import_module(f"{__name__}.{module_name}")
            value: object = module if colon else getattr(module, name)
        elif name in _SHARED:
            value = getattr(importlib.import_module("openrelay_async"), name)
        else:
            hint = ": it is a method of the client, Client.bulk" if name == "bulk" else ""
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}{hint}")
        globals()[name] = value
        return value


def __dir__() -> list[str]:
    return sorted(__all__)
