"""What a client and all its views share: connections, budget, observers, keys in use."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Protocol, TypeVar, runtime_checkable
from weakref import WeakSet

from openrelay_async.clock import Clock
from openrelay_async.credentials import Credential
from openrelay_async.errors import ConnectionFailed
from openrelay_async.http_session import HttpSession
from openrelay_async.key_source import KeySource
from openrelay_async.messages import find_header_secrets
from openrelay_async.observers import Hooks
from openrelay_async.operation import Operation
from openrelay_async.pacing import Pacing
from openrelay_async.redaction import Secret
from openrelay_async.retry import RetryBudget

T = TypeVar("T")

_is_finishing: ContextVar[bool] = ContextVar("openrelay_finishing", default=False)


@contextmanager
def finishing() -> Iterator[None]:
    """Mark the calls of this context as the end of something begun before: a draining client takes them."""
    token = _is_finishing.set(True)
    try:
        yield
    finally:
        _is_finishing.reset(token)


def snapshot(items: Iterable[T]) -> list[T]:
    """Return what is in a set that other threads' loops may add to at this moment."""
    while True:
        try:
            return list(items)
        except RuntimeError:
            continue


@runtime_checkable
class Closable(Protocol):
    """What waits for the service, and ends when the client does."""

    def close(self, reason: str) -> None: ...


class Shared:
    """What a client and all its views have in common."""

    __slots__ = (
        "__weakref__",
        "_header_secrets",
        "attempt_timeout",
        "budget",
        "clock",
        "credentials",
        "hooks",
        "key_sources",
        "leases",
        "pacing",
        "pollers",
        "refusing",
        "rotating",
        "session",
        "timeout",
    )

    def __init__(
        self,
        *,
        session: HttpSession,
        budget: RetryBudget,
        hooks: Hooks,
        clock: Clock,
        pacing: Pacing,
        timeout: float,
        attempt_timeout: float,
    ) -> None:
        self.session = session
        self._header_secrets = find_header_secrets(session.headers)
        self.budget = budget
        self.hooks = hooks
        self.clock = clock
        self.pacing = pacing
        self.timeout = timeout
        """Seconds for a call, as the client has it: its views may have others."""
        self.attempt_timeout = attempt_timeout
        """Seconds for an attempt, as the client has it."""
        self.refusing: str | None = None
        """Why no further call is taken."""
        self.credentials: WeakSet[Credential] = WeakSet()
        """Keys in use: no text of the service may show one."""
        self.key_sources: WeakSet[KeySource] = WeakSet()
        """Where the client and its views have their keys from: a rotation switches all that use the same."""
        self.rotating: dict[Secret, object] = {}
        """Keys that are being rotated, each with the mark of its rotation."""
        self.pollers: dict[object, object] = {}
        """What waits and watches share, by what they poll: see `fleet.py`."""
        self.leases: dict[object, Callable[[], Coroutine[object, object, None]]] = {}
        """The leases that have not ended, each with what ends it for a client that closes.

        None may take what another has created, see `lease_search.py`.
        """

    def __repr__(self) -> str:
        return f"<state of a client over {self.session!r}>"

    def refuse(self, reason: str) -> None:
        """Take no more calls, and end the waits, which would only make more."""
        self.refusing = reason
        for poller in list(self.pollers.values()):
            if isinstance(poller, Closable):
                poller.close(reason)

    def refusal(self) -> str | None:
        """Return why a call of the present context is not taken, `None` if it is."""
        if self.refusing is not None and _is_finishing.get() and not self.session.closed:
            return None
        return self.refusing

    def check_open(self, operation: Operation) -> None:
        """Let a call of the present context begin.

        Raises:
            ConnectionFailed: it is not taken: the client is closed, or drains.
        """
        if self.refusing is not None and (reason := self.refusal()) is not None:
            raise ConnectionFailed(reason, **operation.facts())

    @contextmanager
    def admit(self, operation: Operation) -> Iterator[None]:
        """Let a call of several requests begin, and count it as one until the block ends.

        A client that drains meanwhile waits for it, and takes its other requests.

        Raises:
            ConnectionFailed: it is not taken: the client is closed, or drains.
        """
        self.check_open(operation)
        pool = self.session.pool()
        pool.enter()
        try:
            with finishing():
                yield
        finally:
            pool.leave()

    @contextmanager
    def rotation_of(self, key: Secret) -> Iterator[bool]:
        """Tell whether a key is free to be rotated, and keep it from others until the block ends."""
        mark = object()
        # One step, as another thread's loop may ask at this moment.
        is_free = self.rotating.setdefault(key, mark) is mark
        try:
            yield is_free
        finally:
            if is_free:
                del self.rotating[key]

    def watch(self, key_source: KeySource) -> None:
        """Remember the key in use, so that no error shows it."""
        self.key_sources.add(key_source)
        if key_source.current is not None:
            self.credentials.add(key_source.current)

    def known_secrets(self) -> Iterable[Secret]:
        """Return what no text of the service may show: the keys in use, and what every request carries."""
        return [credential.secret for credential in snapshot(self.credentials)] + self._header_secrets
