"""Applications and tokens of providers. Pure rules."""

from __future__ import annotations

from openrelay_async.emulator.areas.provider.storage import Application, ProviderNode, ProvisioningToken

REVIEW = 5.0
"""Seconds until an application is approved: the emulator approves everyone."""
LONGEST_TOKEN = 24 * 365
MOST_NODES = 1000


def application_status(application: Application | None, now: float) -> str | None:
    if application is None:
        return None
    return "approved" if now >= application.submitted_at + REVIEW else "pending"


def is_provider(application: Application | None, now: float) -> bool:
    return application_status(application, now) == "approved"


def token_status(token: ProvisioningToken, now: float) -> str:
    if token.revoked_at is not None:
        return "revoked"
    if token.expires_at is not None and token.expires_at <= now:
        return "expired"
    return "used" if len(token.used_by) >= token.max_nodes else "active"


def node_status(node: ProviderNode, now: float) -> str:
    """A node that was given notice is gone when its time has come."""
    if node.terminate_at is not None and node.terminate_at <= now:
        return "removed"
    return node.status


def write_script(url: str, kind: str) -> str:
    """A script that does nothing: nobody installs an emulated fleet."""
    return (
        "#!/bin/sh\n"
        f"# Bootstrap of a {kind} node, as the emulator at {url} gives it out.\n"
        "echo 'This is the OpenRelay emulator: there is nothing to install.'\n"
        "exit 1\n"
    )
