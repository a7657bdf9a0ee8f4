"""What every sync resource stands on: the async one, and the way across to it."""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Generic, Protocol, TypeVar

R = TypeVar("R")
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
