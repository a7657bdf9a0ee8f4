"""OpenRelay for asyncio: the API's resources as methods, with retries, pages, waiting and clear errors.

    from openrelay_async import AsyncClient

    async with AsyncClient() as client:
        async for vm in client.vms.list():
            print(vm.name, vm.status)

Importing this package loads nothing but itself: aiohttp, the models and the rest come with first use.
"""

from __future__ import annotations

from openrelay_async.version import __version__

# Type checkers take the name for true. Importing it from typing would cost more than all else here.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from openrelay_async import errors as errors
    from openrelay_async import leases as leases
    from openrelay_async import models as models
    from openrelay_async.bulk_calls import BulkResult as BulkResult
    from openrelay_async.bulk_calls import bulk as bulk
    from openrelay_async.client import AsyncClient as AsyncClient
    from openrelay_async.clock import Clock as Clock
    from openrelay_async.clock import SystemClock as SystemClock
    from openrelay_async.config import PoolLimits as PoolLimits
    from openrelay_async.download import DownloadCall as DownloadCall
    from openrelay_async.errors import OpenRelayError as OpenRelayError
    from openrelay_async.frames import list_to_frame as list_to_frame
    from openrelay_async.generated.operations import OPERATIONS as _OPERATIONS
    from openrelay_async.key_providers import CommandKey as CommandKey
    from openrelay_async.key_providers import EnvironmentKey as EnvironmentKey
    from openrelay_async.key_providers import FileKey as FileKey
    from openrelay_async.key_providers import KeyringKey as KeyringKey
    from openrelay_async.log_redaction import install_redaction as install_redaction
    from openrelay_async.pagination import Page as Page
    from openrelay_async.pagination import PagedCall as PagedCall
    from openrelay_async.progress import WaitBar as WaitBar
    from openrelay_async.recorded_response import RecordedResponse as RecordedResponse
    from openrelay_async.redaction import Secret as Secret
    from openrelay_async.redaction import scrub as scrub
    from openrelay_async.retry import RetryPolicy as RetryPolicy
    from openrelay_async.rotation import Rotation as Rotation
    from openrelay_async.rotation import RotationError as RotationError
    from openrelay_async.scopes import scopes_for as scopes_for
    from openrelay_async.unset import UNSET as UNSET
    from openrelay_async.unset import Unset as Unset
    from openrelay_async.waiting import WaitOutcome as WaitOutcome
    from openrelay_async.waiting import WaitProgress as WaitProgress
    from openrelay_async.watching import Change as Change

    operations = _OPERATIONS

_PLACES = {
    "AsyncClient": "client",
    "BulkResult": "bulk_calls",
    "Change": "watching",
    "Clock": "clock",
    "DownloadCall": "download",
    "CommandKey": "key_providers",
    "EnvironmentKey": "key_providers",
    "FileKey": "key_providers",
    "KeyringKey": "key_providers",
    "OpenRelayError": "errors",
    "Page": "pagination",
    "PagedCall": "pagination",
    "PoolLimits": "config",
    "RecordedResponse": "recorded_response",
    "RetryPolicy": "retry",
    "Rotation": "rotation",
    "RotationError": "rotation",
    "Secret": "redaction",
    "SystemClock": "clock",
    "UNSET": "unset",
    "Unset": "unset",
    "WaitBar": "progress",
    "WaitOutcome": "waiting",
    "WaitProgress": "waiting",
    "bulk": "bulk_calls",
    "errors": "errors:",
    "list_to_frame": "frames",
    "leases": "leases:",
    "models": "models:",
    "install_redaction": "log_redaction",
    "operations": "generated.operations:OPERATIONS",
    "scopes_for": "scopes",
    "scrub": "redaction",
}
"""Where each public name is defined; after a colon the name it has there, or nothing for the module."""

__all__ = ["__version__", *_PLACES]


if not TYPE_CHECKING:  # A type checker shall not take every misspelt name for something that is there

    def __getattr__(name: str) -> object:
        place = _PLACES.get(name)
        if place is None:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        import importlib  # not before it is needed: see above

        module_name, colon, attribute = place.partition(":")
        module = importlib.import_module(f"{__name__}.{module_name}")
        value: object = module if colon and not attribute else getattr(module, attribute or name)
        globals()[name] = value
        return value


def __dir__() -> list[str]:
    return sorted(__all__)
