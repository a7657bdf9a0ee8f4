"""Asks the service what a credential is, when a refusal or an expiry has to be explained.

Imported only then: most calls are not refused.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable
from datetime import UTC

from openrelay_async.clock import Clock
from openrelay_async.credentials import Credential
from openrelay_async.errors import OpenRelayError, PermissionDenied, Unauthenticated
from openrelay_async.generated.operation_rows.account import WHOAMI
from openrelay_async.key_access import read_access
from openrelay_async.messages import HttpRequest, HttpResponse
from openrelay_async.observers import Hooks, tell
from openrelay_async.redaction import Secret
from openrelay_async.refusals import explain_forbidden, explain_unauthenticated

logger = logging.getLogger("openrelay_async")

LONGEST_INQUIRY = 5.0
"""Seconds that an explanation may take, even if the call has more left."""

EXPIRY_NOTICE = 7 * 86400.0
"""Seconds before a key's expiry from which on it is told."""

Ask = Callable[[HttpRequest, float], Awaitable[object]]
"""Sends a request within so many seconds; `note_access` gets what whoami answers."""


ASK_AGAIN = 60.0
"""Seconds after which a credential that whoami did not explain is asked about once more."""


async def explain_refusal(
    error: OpenRelayError,
    request: HttpRequest,
    credential: Credential | None,
    ask: Ask,
    remaining: float,
    clock: Clock,
) -> None:
    """Add to a 401 or 403 what was needed and what the credential has.

    Args:
        ask: used at most once for a credential, however many calls are refused; once a minute if it
            tells nothing in `LONGEST_INQUIRY`. A call with less time leaves the question to later ones.
        remaining: seconds left of the call.
    """
    if isinstance(error, Unauthenticated) and request.operation.authentication != "none":
        explain_unauthenticated(error, request.operation, None if credential is None else credential.secret)
    if isinstance(error, PermissionDenied):
        if credential is not None and credential.access is None and request.operation is not WHOAMI:
            await _learn(credential, ask, min(remaining, LONGEST_INQUIRY), clock)
        explain_forbidden(error, request, None if credential is None else credential.access)


async def _learn(credential: Credential, ask: Ask, limit: float, clock: Clock) -> None:
    if limit <= 0 or clock.monotonic() < credential.ask_after:
        return

    async def run() -> None:
        # Not within this call's limit: others with more time may wait for the answer too.
        await ask(HttpRequest(WHOAMI, WHOAMI.path), LONGEST_INQUIRY)

    try:
        async with asyncio.timeout(limit):
            await credential.learning.run(run)
    except OpenRelayError:
        # The refusal itself is what the caller has to see; this was only to explain it.
        pass
    except TimeoutError:
        if limit < LONGEST_INQUIRY:
            return  # it was the call that had no more time: that says nothing about whoami
    if credential.access is None:
        credential.ask_after = clock.monotonic() + ASK_AGAIN


def note_access(
    credential: Credential, response: HttpResponse, hooks: Hooks, now: float, known: Iterable[Secret]
) -> None:
    """Remember what whoami said of a credential, and tell once if it expires soon.

    Args:
        now: Unix time.
        known: the secrets in use, which neither a log nor a hook may show.
    """
    access = read_access(response.body.data, known)
    credential.access = access
    if access is None or access.expires_at is None or credential.expiry_told:
        return
    left = access.expires_at.timestamp() - now
    if left > EXPIRY_NOTICE:
        return
    credential.expiry_told = True
    logger.warning(
        "API key %s (%s) expires at %s: rotate it with client.api_keys.rotate()",
        access.key_id,
        credential.secret,
        access.expires_at.astimezone(UTC).isoformat(timespec="seconds"),
    )
    if hooks.on_key_expiring:
        from openrelay_async.hooks import KeyExpiring

        event = KeyExpiring(
            key_id=access.key_id,
            name=access.key_name,
            expires_at=access.expires_at,
            seconds_left=max(left, 0.0),
        )
        tell(hooks.on_key_expiring, event)
