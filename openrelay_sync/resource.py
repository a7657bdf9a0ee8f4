"""What every sync resource stands on: the async one, and the way across to it."""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any, Generic, Protocol, Self, TypeVar, overload

from openrelay_async.resource import LazyResource

R = TypeVar("R")
S = TypeVar("S", bound="SyncResource[Any]")
T = TypeVar("T")


class Bridge(Protocol):
    """Runs coroutines elsewhere while the caller waits."""

    def run(self, coroutine: Coroutine[object, object, T]) -> T:
        """Run a coroutine and return its result; raise what it raises."""
        ...


class SyncResource(Generic[R]):
    """A group of operations, such as `client.vms`. It holds nothing but the async one and the bridge."""

    __slots__ = ("_bridge", "_resource")

    def __init__(self, bridge: Bridge, resource: R) -> None:
        self._bridge = bridge
        self._resource = resource

    def __repr__(self) -> str:
        return f"<sync {self._resource!r}>"


class HasBridge(Protocol):
    """A sync client, as far as its attributes need it."""

    @property
    def _async_client(self) -> object: ...
    @property
    def _bridge(self) -> Bridge: ...


class SyncResourceAttribute(LazyResource, Generic[S]):
    """A resource of the sync client."""

    @overload
    def __get__(self, client: None, owner: type[object]) -> Self: ...
    @overload
    def __get__(self, client: HasBridge, owner: type[object]) -> S: ...
    def __get__(self, client: HasBridge | None, owner: type[object]) -> S | Self:
        if client is None:
            return self
        behind = getattr(client._async_client, self._name)
        resource: S = self._make(client, client._bridge, behind)
        return resource
