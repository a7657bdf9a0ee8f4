"""OpenRelay for sync code: the same calls as in `openrelay_async`, for scripts, threads and notebooks.

    from openrelay_sync import Client

    with Client() as client:
        for vm in client.vms.list():
            print(vm.name, vm.status)

Importing this package loads nothing but itself: asyncio, aiohttp, the models and the rest come with first
use. All public names of `openrelay_async` are here too.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

from openrelay_async import _PLACES as _ASYNC_PLACES
from openrelay_async import __version__

if TYPE_CHECKING:
    from openrelay_async import errors as errors
    from openrelay_async import models as models
    from openrelay_async.bulk_calls import BulkResult as BulkResult
    from openrelay_async.bulk_calls import bulk as bulk
    from openrelay_async.client import AsyncClient as AsyncClient
    from openrelay_async.clock import Clock as Clock
    from openrelay_async.clock import SystemClock as SystemClock
    from openrelay_async.config import PoolLimits as PoolLimits
    from openrelay_async.download import DownloadCall as DownloadCall
    from openrelay_async.errors import OpenRelayError as OpenRelayError
    from openrelay_async.generated.operations import OPERATIONS as operations  # noqa: F401, N811 - the public name
    from openrelay_async.key_source import EnvironmentKey as EnvironmentKey
    from openrelay_async.key_source import FileKey as FileKey
    from openrelay_async.pagination import Page as Page
    from openrelay_async.pagination import PagedCall as PagedCall
    from openrelay_async.recording import RecordedResponse as RecordedResponse
    from openrelay_async.redaction import Secret as Secret
    from openrelay_async.retry import RetryPolicy as RetryPolicy
    from openrelay_async.unset import UNSET as UNSET
    from openrelay_async.unset import Unset as Unset
    from openrelay_sync.client import Client as Client
    from openrelay_sync.iteration import SyncDownload as SyncDownload
    from openrelay_sync.iteration import SyncPagedCall as SyncPagedCall
    from openrelay_sync.loop_thread import LoopThread as LoopThread

_PLACES = {
    "Client": "client",
    "LoopThread": "loop_thread",
    "SyncDownload": "iteration",
    "SyncPagedCall": "iteration",
}
"""Where each name of this package's own is defined."""

__all__ = ["__version__", *_PLACES, *_ASYNC_PLACES]


def __getattr__(name: str) -> object:
    if name in _PLACES:
        value: object = getattr(importlib.import_module(f"{__name__}.{_PLACES[name]}"), name)
    elif name in _ASYNC_PLACES:
        value = getattr(importlib.import_module("openrelay_async"), name)
    else:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
