"""Which events there are, when a delivery is tried again. Pure rules (api/README.md)."""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import urlsplit

from openrelay_async.emulator.answers import bad_request
from openrelay_async.emulator.vault import Vault

RETRY_AFTER = (10.0, 60.0, 300.0)
"""Seconds to the second, third and fourth attempt."""

DEFAULT_EVENTS = (
    "cluster.degraded",
    "cluster.failed",
    "cluster.running",
    "replica.healthy",
    "replica.terminated",
    "replica.unhealthy",
    "vm.running",
    "vm.stopped",
    "vm.terminated",
)
"""What an empty list of events subscribes to."""

DEFAULT_EVENTS_2026_10 = ("vm.interrupted", "vm.running", "vm.stopped", "vm.terminated")


def choose_events(wanted: Sequence[str], generation: str) -> list[str]:
    if wanted:
        return sorted(set(wanted))
    return list(DEFAULT_EVENTS_2026_10 if generation == "2026-10" else DEFAULT_EVENTS)


def check_url(url: str) -> str:
    """Raise 400 unless this is an http(s) URL that can be posted to (plain http too: for tests)."""
    try:
        parts = urlsplit(url)
        port_is_fine = parts.port is None or parts.port > 0
    except ValueError:
        raise bad_request("url", "is not a URL") from None
    if parts.scheme not in ("http", "https") or not parts.hostname or not port_is_fine:
        raise bad_request("url", "must begin with https:// (or http://) and name a host")
    if parts.username or parts.password or not url.isprintable() or len(url) > 2048:
        raise bad_request(
            "url", "must have no user, no unprintable characters, and at most 2048 of the others"
        )
    return url


def webhook_secret(vault: Vault, webhook_id: str, version: str) -> str:
    """The secret of a webhook, told once and signed with ever after."""
    return vault.derive("whsec_", "webhook", webhook_id, version)


def secret_prefix(secret: str) -> str:
    return secret[:10]
