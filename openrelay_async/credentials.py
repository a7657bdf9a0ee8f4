"""An API key on its way into a header: checked once, never shown."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NoReturn

from openrelay_async.errors import ConfigurationError
from openrelay_async.redaction import HeaderValue, Secret
from openrelay_async.single_flight import SingleFlight

if TYPE_CHECKING:
    from openrelay_async.key_access import KeyAccess


class Credential:
    """A key with the header that carries it. Two of them are the same only if they are one object."""

    __slots__ = (
        "__weakref__",
        "access",
        "ask_after",
        "expiry_told",
        "header",
        "in_flight",
        "learning",
        "secret",
    )

    def __init__(self, secret: Secret) -> None:
        self.secret = secret
        self.header = HeaderValue(f"Bearer {secret.reveal()}")
        self.access: KeyAccess | None = None
        """What whoami said of it, once it was asked."""
        self.ask_after = -math.inf
        """When whoami may be asked again, after it said nothing: by the client's monotonic clock."""
        self.learning: SingleFlight[None] = SingleFlight(only_while_awaited=True)
        """Asks whoami once for all calls that were refused together."""
        self.in_flight: set[object] = set()
        """A mark for each request under way with it, in any thread: adding and discarding are atomic."""
        self.expiry_told = False

    def __repr__(self) -> str:
        return f"Credential({self.secret!r})"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a credential is not pickled: pickle where it comes from (EnvironmentKey, FileKey)")


def check_key(key: Secret, *, source: str) -> Credential:
    """Return the credential of a key; spaces and line ends around it are dropped.

    Args:
        key: the key as it was given.
        source: where it came from, for the error: `api_key` or `OPENRELAY_API_KEY`.

    Raises:
        ConfigurationError: blank, with characters that no key has, or a `Secret` that was pickled. The key
            is not in the message.
    """
    try:
        stripped = Secret(key.reveal().strip())
    except ValueError:
        stripped = None
    if stripped is None:
        raise ConfigurationError(
            f"{source} is a Secret that was pickled, so its text is gone: give the key itself, or where each "
            "process reads it (EnvironmentKey, FileKey)"
        )
    if not stripped:
        raise ConfigurationError(f"{source} is blank: give an API key, or leave it out")
    if not _is_visible_ascii(stripped):
        raise ConfigurationError(
            f"{source} has spaces, line breaks or characters that no API key has: was more than the key "
            "copied, such as the word Bearer?"
        )
    return Credential(stripped)


def _is_visible_ascii(key: Secret) -> bool:
    text = key.reveal()
    return text.isascii() and text.isprintable() and " " not in text
