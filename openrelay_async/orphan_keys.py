"""The API key that a create without an answer has made: nobody has its text, so it has to be revoked.

The service may still be making it when the answer is not awaited any more, so it is looked for repeatedly.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence

from openrelay_async.client_state import Shared
from openrelay_async.errors import OpenRelayError
from openrelay_async.generated.models.api_keys import ApiKeySummary
from openrelay_async.generated.resources.api_keys import ApiKeys
from openrelay_async.lost_creates import await_next_look
from openrelay_async.poll_source import may_pass
from openrelay_async.rotation import Rotation

logger = logging.getLogger("openrelay_async")

LOOK_TIMEOUT = 15.0
"""Seconds that one look at the organization's keys may take."""


async def look_for_orphans(
    keys: ApiKeys, shared: Shared, rotation: Rotation, known: Iterable[str], *, within: float
) -> list[ApiKeySummary]:
    """Return what a rotation's create without an answer may have made, as soon as there is a single key.

    Only one is beyond doubt: another rotation may run elsewhere, and its key must not be revoked.

    Args:
        known: ids of the keys that it is not.
        within: seconds for which it is looked for. It is always looked for once.

    Raises:
        OpenRelayError: it cannot be looked for.
    """
    clock, excluded = shared.clock, frozenset(known)
    began = clock.monotonic()
    while True:
        try:
            found = find_orphans(await keys.list(timeout=LOOK_TIMEOUT), rotation, excluded)
        except OpenRelayError as failure:
            elapsed = clock.monotonic() - began
            if elapsed >= within or not may_pass(failure) or shared.refusal() is not None:
                raise
        else:
            elapsed = clock.monotonic() - began
            if elapsed >= within or len(found) == 1:
                return found
        await await_next_look(clock, elapsed)


def find_orphans(
    keys: Iterable[ApiKeySummary], rotation: Rotation, known: frozenset[str]
) -> list[ApiKeySummary]:
    """Return the keys that are new, never used, and of the name and scopes that a rotation asked for."""
    return [
        key
        for key in keys
        if key.id not in known
        and key.name == rotation.name
        and key.revoked_at is None
        and key.last_used_at is None
        and (not rotation.scopes or sorted(key.scopes) == sorted(rotation.scopes))
    ]


def describe_left(rotation: Rotation, candidates: Sequence[ApiKeySummary]) -> str:
    """Return what may be left of a create without an answer, in words."""
    if candidates:
        ids = ", ".join(key.id for key in candidates)
        return f"one of the keys {ids} may be nobody's (find out which, and revoke it)"
    return (
        f"a new key named {rotation.name!r} may still show up (look with api_keys.list(), and revoke what "
        "nobody has)"
    )


def tell_left(rotation: Rotation, became: str) -> None:
    """Log what may be left of a create without an answer, where the rotation has no error to say it."""
    logger.warning("rotation of the API key %s: %s", rotation.old_key_id, became)
