"""Who may make whom what. Pure rules."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from openrelay_async.emulator.answers import Refusal, bad_request, conflict
from openrelay_async.emulator.areas.account.storage import Membership
from openrelay_async.emulator.scopes import ROLE_SCOPES, find_escalation

_EMAIL = re.compile(r"[^@\s]{1,64}@[^@\s]{1,190}")


def read_email(text: str, field: str = "email") -> str:
    """An address in lower case.

    Raises:
        Refusal: 400 naming the field.
    """
    address = text.strip().lower()
    if not _EMAIL.fullmatch(address) or not address.isprintable():
        raise bad_request(field, "is no e-mail address")
    return address


def check_grant(granted: Iterable[str], role: str) -> None:
    """Raise 403 `ESCALATION_REFUSED` if the role may more than who gives it."""
    missing = find_escalation(granted, ROLE_SCOPES.get(role, ()))
    if missing:
        raise Refusal(403, f"{role} may more than you: {', '.join(missing)}", "ESCALATION_REFUSED")


def check_owner_left(
    members: Sequence[Membership], leaving: Membership, *, new_role: str | None = None
) -> None:
    """Raise 409 `LAST_OWNER` if nobody would own the organization any more."""
    if leaving.role != "owner" or new_role == "owner":
        return
    if not any(member.role == "owner" and member.id != leaving.id for member in members):
        raise conflict("an organization has an owner", "LAST_OWNER")


def check_may_touch(actor_role: str | None, target_role: str, new_role: str | None = None) -> None:
    """Raise 403 unless it is an owner who changes what concerns owners."""
    if "owner" in (target_role, new_role) and actor_role != "owner":
        raise Refusal(403, "only an owner may do that", "FORBIDDEN", deniedBy="role")
