"""Which API key a client uses now, and which one after the service refused it."""

from __future__ import annotations

import asyncio
import inspect
import math
from collections.abc import Awaitable, Callable
from typing import Protocol, overload

from openrelay_async.clock import Clock
from openrelay_async.config import check_delay, check_readable
from openrelay_async.credentials import Credential, check_key
from openrelay_async.errors import ConfigurationError
from openrelay_async.off_loop import is_async, run_off_loop
from openrelay_async.redaction import Secret, describe_foreign, stand_in_for
from openrelay_async.single_flight import SingleFlight


class KeyProvider(Protocol):
    """Anything that gives the key when asked; asked again after the service refused the last one.

    A provider may say more of itself. `blocks = False` says that asking takes no time, so it is done on
    the loop; any other synchronous provider is asked in a thread. `check_every` is the number of seconds
    after which the key is asked for again although it works, 0 for every call. With a method
    `read_version()` it is then asked only if that gives something else than when it was asked last.
    """

    def __call__(self) -> str | Secret | Awaitable[str | Secret]: ...


KeyInput = str | Secret | KeyProvider | None
"""What a client takes as `api_key`."""

_MOST_SUPERSEDED = 64
"""Keys that rotations replaced and that a provider may still give: what it reads follows sooner than that."""


@overload
def conceal_key(given: str | Secret) -> Secret: ...
@overload
def conceal_key(given: None) -> None: ...
@overload
def conceal_key(given: str | Secret | None) -> Secret | None: ...
@overload
def conceal_key(given: KeyInput) -> Secret | KeyProvider | None: ...
def conceal_key(given: object) -> object:
    """Return what was given with a text as a `Secret`. It cannot fail, so no traceback shows the text."""
    if isinstance(given, str):
        return Secret(given)
    if given is None or isinstance(given, Secret) or callable(given) or inspect.isawaitable(given):
        return given
    # A mistake that will be refused, such as a key as bytes or in a tuple: it must not be shown either.
    return stand_in_for(given)


class KeySource(Protocol):
    """The key of a client and its views: the transport asks for it before each attempt."""

    @property
    def current(self) -> Credential | None:
        """The key in use, if it is known without waiting."""
        ...

    @property
    def latest(self) -> Credential | None:
        """The key in use, also when it is time to ask for it again: for a call that has waited."""
        ...

    @property
    def has_key(self) -> bool:
        """Whether `get()` has a key to give, as far as is known."""
        ...

    async def get(self) -> Credential:
        """Return the key in use; ask the provider if there is none yet."""
        ...

    async def replace(self, refused: Credential) -> Credential | None:
        """Return the key that took the place of a refused one, `None` if there is no other.

        Raises:
            ConfigurationError: the provider cannot say.
        """
        ...

    def switch(self, credential: Credential) -> None:
        """Use this key from now on, for every view and for the next attempts of running calls."""
        ...


class StaticKey:
    """A key that stays as it was given until a rotation switches it, or none."""

    __slots__ = ("__weakref__", "current")

    def __init__(self, credential: Credential | None) -> None:
        self.current = credential

    def __repr__(self) -> str:
        return f"StaticKey({self.current!r})"

    @property
    def latest(self) -> Credential | None:
        return self.current

    @property
    def has_key(self) -> bool:
        return self.current is not None

    async def get(self) -> Credential:
        if self.current is None:
            raise ConfigurationError(
                "this call needs an API key: give api_key=, or set OPENRELAY_API_KEY first"
            )
        return self.current

    async def replace(self, refused: Credential) -> Credential | None:
        # Another one only if a rotation has switched keys since the refused request was sent.
        return None if self.current is refused else self.current

    def switch(self, credential: Credential) -> None:
        self.current = credential


class ProvidedKey:
    """A key that a provider gives: asked once for all calls that wait, off the loop where it may block."""

    __slots__ = (
        "__weakref__", "_check_every", "_clock", "_credential", "_due", "_flight", "_provider",
        "_read_version", "_superseded", "_version",
    )  # fmt: skip

    has_key = True

    def __init__(self, provider: KeyProvider, clock: Clock) -> None:
        self._provider = provider
        self._clock = clock
        self._credential: Credential | None = None
        self._flight: SingleFlight[Credential] = SingleFlight()
        self._check_every = _find_interval(provider)
        self._due = math.inf
        self._read_version: Callable[[], object] | None = getattr(provider, "read_version", None)
        self._version: object = None
        self._superseded: tuple[Secret, ...] = ()
        """Keys that rotations replaced: the provider may still give any of them for a while."""

    def __repr__(self) -> str:
        return f"ProvidedKey({_name(self._provider)}, {self._credential!r})"

    @property
    def current(self) -> Credential | None:
        """The key in use; `None` when it is time to ask for it (again)."""
        now = self._clock.monotonic()
        if now < self._due:
            return self._credential
        if self._read_version is not None and self._read_version() == self._version:
            self._due = now + self._check_every
            return self._credential
        return None

    @property
    def latest(self) -> Credential | None:
        return self._credential

    async def get(self) -> Credential:
        credential = self.current
        if credential is not None:
            return credential
        try:
            return await self._flight.run(self._ask)
        except ConfigurationError as error:
            problem = error.message
        if self._credential is not None:
            # A file that is being replaced, say. The key in use was not refused, so it is used on.
            self._due = self._clock.monotonic() + self._check_every
            return self._credential
        # Each caller gets an error of its own: the transport adds the operation to it.
        raise ConfigurationError(problem)

    async def replace(self, refused: Credential) -> Credential | None:
        if self._credential is refused:
            await self._flight.run(self._ask)
        return None if self._credential is refused else self._credential

    def switch(self, credential: Credential) -> None:
        if self._credential is not None:
            self._superseded = (*self._superseded, self._credential.secret)[-_MOST_SUPERSEDED:]
        self._credential = credential
        self._due = self._clock.monotonic() + self._check_every

    async def _ask(self) -> Credential:
        """Ask the provider; the same key as before stays the same credential."""
        source = f"the key from {_name(self._provider)}"
        # Before it is asked: what changes meanwhile is a change to look at.
        version = self._read_version() if self._read_version is not None else None
        try:
            fresh = check_key(await self._call_provider(), source=source)
        except ConfigurationError:
            raise
        except Exception as error:  # the provider's own
            problem = f"{source}: {describe_foreign(error)}"
        except asyncio.CancelledError as error:
            task = asyncio.current_task()
            if task is None or task.cancelling():
                raise
            # Of work of the provider's own: nobody has cancelled this question, or those who wait for it.
            problem = f"{source}: the provider raised {describe_foreign(error)}"
        else:
            if self._credential is None or fresh.secret not in (self._credential.secret, *self._superseded):
                self._credential = fresh
            self._version = version
            self._due = self._clock.monotonic() + self._check_every
            return self._credential
        # Not chained: what another library says, and the frames it passed, may show the key.
        raise ConfigurationError(problem)

    async def _call_provider(self) -> Secret:
        provider = self._provider
        if is_async(provider) or not getattr(provider, "blocks", True):
            given = conceal_key(provider())  # type: ignore[arg-type]  # an awaitable passes through
        else:
            given = await run_off_loop(lambda: conceal_key(provider()))  # type: ignore[arg-type]
        if inspect.isawaitable(given):
            given = conceal_key(await given)
        if isinstance(given, Secret):
            return given
        raise ConfigurationError(
            f"the key from {_name(provider)} must be str or Secret, not {type(given).__name__}"
        )


def _find_interval(provider: KeyProvider) -> float:
    check_every = getattr(provider, "check_every", None)
    if check_every is None:
        return math.inf
    return check_delay(f"check_every of {_name(provider)}", check_every)


def _name(provider: KeyProvider) -> str:
    # A function says more by its own name than by being a function.
    return getattr(provider, "__name__", None) or type(provider).__name__


def make_key_source(
    given: Secret | KeyProvider | None, clock: Clock, *, source: str = "api_key"
) -> KeySource:
    """Return the source for what the caller gave as `api_key`.

    Args:
        clock: says when a provider is to be asked again.
        source: what errors call it.

    Raises:
        ConfigurationError: a key that cannot be one, something that is neither key nor provider, or a
            provider whose `check_every` is no number of seconds.
    """
    if given is None:
        return StaticKey(None)
    if isinstance(given, Secret):
        return StaticKey(check_key(check_readable(given, source), source=source))
    if callable(given):
        return ProvidedKey(given, clock)
    raise ConfigurationError(
        f"api_key must be str, Secret or a callable that returns one, not {type(given).__name__}"
    )
