"""The secrets that a webhook's deliveries may be signed with at the moment."""

from __future__ import annotations

import math
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TypeAlias, cast

from openrelay_async.config import check_readable
from openrelay_async.errors import ConfigurationError
from openrelay_async.redaction import Secret, conceal
from openrelay_async.signatures import SecretInput


class WebhookSecrets:
    """Secrets that can change while receivers use them.

    Receivers look here at every delivery, so a new secret counts at once, in any thread. While one is rolled,
    several are accepted; `client.webhooks.rolling_secret(id, secrets)` does all of it.
    """

    __slots__ = ("_expiries", "_lock", "_rolling")

    def __init__(self, *secrets: SecretInput) -> None:
        """Take secrets that are accepted until they are retired.

        Raises:
            ConfigurationError: one is blank, so anybody could sign with it, or was pickled.
            TypeError: one is neither `str` nor `Secret`.
        """
        # Concealed before anything can fail, here and below: a traceback shows these frames.
        concealed = [conceal(secret) for secret in secrets]
        del secrets
        self._lock = threading.Lock()
        self._rolling = 0
        self._expiries: tuple[tuple[Secret, float], ...] = ()
        for secret in concealed:
            self.add(secret)

    def __repr__(self) -> str:
        return f"WebhookSecrets({', '.join(repr(secret) for secret, _ in self._expiries)})"

    def add(self, secret: SecretInput) -> None:
        """Accept this one too, and again without end if it was retired."""
        secret = conceal(secret)
        hidden = check_readable(Secret(secret), "a webhook secret")
        if not hidden.reveal().strip():
            raise ConfigurationError("a webhook secret is blank")
        with self._lock:
            others = tuple(item for item in self._expiries if item[0] != hidden)
            self._expiries = ((hidden, math.inf), *others)

    def retire(self, secret: SecretInput, *, at: float) -> None:
        """Accept this one until `at` only (seconds since 1970)."""
        secret = conceal(secret)
        hidden = Secret(secret)
        with self._lock:
            self._expiries = tuple(
                (item, min(end, at) if item == hidden else end) for item, end in self._expiries
            )

    def current(self, now: float) -> list[Secret]:
        """Return what is accepted at `now` (seconds since 1970), newest first."""
        if any(end <= now for _, end in self._expiries):
            with self._lock:  # what is over need not be kept
                self._expiries = tuple(item for item in self._expiries if now < item[1])
        return [secret for secret, _ in self._expiries]

    @property
    def is_rolling(self) -> bool:
        """Whether a secret is on its way from the service: a delivery may be signed with one not yet
        known."""
        return self._rolling > 0

    @contextmanager
    def rolling(self) -> Iterator[None]:
        """Mark that a secret is on its way: receivers ask for what they cannot verify to be sent again."""
        with self._lock:
            self._rolling += 1
        try:
            yield
        finally:
            with self._lock:
                self._rolling -= 1


SecretsInput: TypeAlias = SecretInput | Iterable[SecretInput] | WebhookSecrets


def conceal_secrets(secrets: SecretsInput) -> WebhookSecrets | list[Secret]:
    """Return what was given, with every text in it as a `Secret`; a single one is as good as a list of one.

    Whoever takes secrets rebinds them with it first, so that no frame that can fail shows them. What is no
    secret is among what it returns, as its type's name only: `read_secrets` refuses it.
    """
    if isinstance(secrets, WebhookSecrets):
        return secrets
    try:
        given = [secrets] if isinstance(secrets, str | Secret) else list(secrets)
    except TypeError:
        return [conceal(cast("str", secrets))]  # what is no collection either
    return [conceal(secret) for secret in given]


def read_secrets(secrets: WebhookSecrets | list[Secret], now: float) -> list[Secret]:
    """Return the secrets that are accepted at `now`.

    Args:
        secrets: what `conceal_secrets` returns.

    Raises:
        TypeError: one is neither `str` nor `Secret`.
    """
    if isinstance(secrets, WebhookSecrets):
        return secrets.current(now)
    return [Secret(secret) for secret in secrets]


def keep_secrets(secrets: SecretsInput) -> WebhookSecrets:
    """Return the secrets as ones that can change.

    Raises:
        ConfigurationError: there is none, or one is blank or no text.
    """
    secrets = conceal_secrets(secrets)
    if isinstance(secrets, WebhookSecrets):
        return secrets
    try:
        hidden = read_secrets(secrets, 0.0)
    except TypeError:
        hidden = []
    if not hidden:
        raise ConfigurationError("secrets must be the webhook's secret, or several")
    return WebhookSecrets(*reversed(hidden))
