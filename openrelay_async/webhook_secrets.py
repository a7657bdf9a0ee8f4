"""The secrets that a webhook's deliveries may be signed with at the moment."""

from __future__ import annotations

import math
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TypeAlias

from openrelay_async.errors import ConfigurationError
from openrelay_async.redaction import Secret
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
            ConfigurationError: one is blank: anybody could sign with it.
        """
        hidden = [Secret(secret) for secret in secrets]
        del secrets
        self._lock = threading.Lock()
        self._rolling = 0
        self._expiries: tuple[tuple[Secret, float], ...] = ()
        for secret in hidden:
            self.add(secret)

    def __repr__(self) -> str:
        return f"WebhookSecrets({', '.join(repr(secret) for secret, _ in self._expiries)})"

    def add(self, secret: SecretInput) -> None:
        """Accept this one too, and again without end if it was retired."""
        hidden = Secret(secret)
        del secret
        if not hidden.reveal().strip():
            raise ConfigurationError("a webhook secret is blank")
        with self._lock:
            others = tuple(item for item in self._expiries if item[0] != hidden)
            self._expiries = ((hidden, math.inf), *others)

    def retire(self, secret: SecretInput, *, at: float) -> None:
        """Accept this one until `at` only (seconds since 1970)."""
        hidden = Secret(secret)
        del secret
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


def read_secrets(secrets: SecretsInput, now: float) -> list[Secret]:
    """Return the secrets that are accepted at `now`; a single one is as good as a list of one."""
    if isinstance(secrets, WebhookSecrets):
        return secrets.current(now)
    if isinstance(secrets, str | Secret):
        return [Secret(secrets)]
    return [Secret(secret) for secret in secrets]
