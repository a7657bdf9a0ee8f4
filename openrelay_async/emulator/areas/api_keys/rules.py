"""What a key may be made with. Pure rules."""

from __future__ import annotations

from collections.abc import Iterable

from openrelay_async.emulator.answers import Refusal, bad_request
from openrelay_async.emulator.scopes import find_escalation, find_unknown

LONGEST_LIFE = 10 * 365 * 86400


def decide_scopes(wanted: list[str] | None, granted: Iterable[str]) -> list[str]:
    """The scopes of a new key: those asked for, or all that its maker has.

    Raises:
        Refusal: 400 for an unknown scope, 403 `ESCALATION_REFUSED` for one that the maker lacks.
    """
    held = list(granted)
    if wanted is None:
        return held
    unknown = find_unknown(wanted)
    if unknown:
        raise bad_request("scopes", "has an unknown scope")
    missing = find_escalation(held, wanted)
    if missing:
        raise Refusal(
            403, f"you do not have {', '.join(missing)} yourself", "ESCALATION_REFUSED", deniedBy="key"
        )
    return list(dict.fromkeys(wanted))


def decide_expiry(seconds: int | None, now: float) -> float | None:
    """When a new key expires.

    Raises:
        Refusal: 400 for less than a second or more than ten years.
    """
    if seconds is None:
        return None
    if not 1 <= seconds <= LONGEST_LIFE:
        raise bad_request("expiresInSeconds", f"must be from 1 to {LONGEST_LIFE}")
    return now + seconds
