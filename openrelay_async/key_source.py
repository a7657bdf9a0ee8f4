"""Where a client's API key comes from, and which one is in use now."""

from __future__ import annotations

import asyncio
import inspect
import os
from collections.abc import Awaitable
from pathlib import Path
from typing import Protocol, overload

from openrelay_async.credentials import Credential, check_key
from openrelay_async.errors import ConfigurationError
from openrelay_async.redaction import Payload, Secret
from openrelay_async.single_flight import SingleFlight


class KeyProvider(Protocol):
    """Anything that gives the key when asked; asked again after the service refused the last one."""

    def __call__(self) -> str | Secret | Awaitable[str | Secret]: ...


class EnvironmentKey:
    """The key in an environment variable, read when it is needed."""

    __slots__ = ("name",)

    def __init__(self, name: str = "OPENRELAY_API_KEY") -> None:
        self.name = name

    def __call__(self) -> Secret:
        return Secret(os.environ.get(self.name, ""))

    def __repr__(self) -> str:
        return f"EnvironmentKey({self.name!r})"


class FileKey:
    """The key in a file, such as a mounted secret; read when it is needed."""

    __slots__ = ("path",)

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)

    def __call__(self) -> Secret:
        return Secret(self.path.read_text(encoding="utf-8"))

    def __repr__(self) -> str:
        return f"FileKey({str(self.path)!r})"


KeyInput = str | Secret | KeyProvider | None
"""What a client takes as `api_key`."""


@overload
def conceal_key(given: str | Secret) -> Secret: ...
@overload
def conceal_key(given: None) -> None: ...
@overload
def conceal_key(given: str | Secret | None) -> Secret | None: ...
@overload
def conceal_key(given: KeyInput) -> Secret | KeyProvider | None: ...
def conceal_key(given: KeyInput) -> Secret | KeyProvider | None:
    """Return what was given with a text as a `Secret`. It cannot fail, so no traceback shows the text."""
    if isinstance(given, bytes | bytearray):
        # A mistake that will be refused: until then it must not be shown either.
        return Payload(bytes(given))  # type: ignore[return-value]  # not a key, as the check will say
    return Secret(given) if isinstance(given, str) else given


class KeySource(Protocol):
    """The key of a client: the transport asks for it before each attempt."""

    @property
    def current(self) -> Credential | None:
        """The key in use, if it is known without waiting."""
        ...

    async def get(self) -> Credential:
        """Return the key in use; ask the provider if there is none yet."""
        ...

    async def replace(self, refused: Credential) -> Credential | None:
        """Return the key that took the place of a refused one, `None` if there is no other."""
        ...


class StaticKey:
    """A key that stays as it was given, or none."""

    __slots__ = ("current",)

    def __init__(self, credential: Credential | None) -> None:
        self.current = credential

    def __repr__(self) -> str:
        return f"StaticKey({self.current!r})"

    async def get(self) -> Credential:
        if self.current is None:
            raise ConfigurationError(
                "this call needs an API key: give api_key=, or set OPENRELAY_API_KEY first"
            )
        return self.current

    async def replace(self, refused: Credential) -> Credential | None:
        return None


class ProvidedKey:
    """A key that a provider gives: asked once for all calls that wait, off the loop where it may block."""

    __slots__ = ("_flight", "_provider", "current")

    def __init__(self, provider: KeyProvider) -> None:
        self._provider = provider
        self.current: Credential | None = None
        self._flight: SingleFlight[Credential] = SingleFlight()

    def __repr__(self) -> str:
        return f"ProvidedKey({type(self._provider).__name__}, {self.current!r})"

    async def get(self) -> Credential:
        return self.current or await self._flight.run(self._fetch)

    async def replace(self, refused: Credential) -> Credential | None:
        if self.current is refused:
            fresh = await self._flight.run(self._fetch)
            if fresh.secret == refused.secret:
                return None
        return self.current

    async def _fetch(self) -> Credential:
        if inspect.iscoroutinefunction(self._provider) or inspect.iscoroutinefunction(
            getattr(self._provider, "__call__", None)  # noqa: B004 - an object with an async __call__
        ):
            given = self._provider()
        else:
            given = await asyncio.to_thread(self._provider)
        key = Secret(await given if inspect.isawaitable(given) else given)
        self.current = check_key(key, source=f"the key from {type(self._provider).__name__}")
        return self.current


def make_key_source(given: Secret | KeyProvider | None, *, source: str = "api_key") -> KeySource:
    """Return the source for what the caller gave as `api_key`.

    Raises:
        ConfigurationError: a key that cannot be one, or something that is neither key nor provider.
    """
    if given is None:
        return StaticKey(None)
    if isinstance(given, Secret):
        return StaticKey(check_key(given, source=source))
    if callable(given):
        return ProvidedKey(given)
    kind = "bytes" if isinstance(given, Payload) else type(given).__name__
    raise ConfigurationError(f"api_key must be str, Secret or a callable that returns one, not {kind}")
