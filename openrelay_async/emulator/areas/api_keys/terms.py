"""The terms under which a key is made: what it is limited to. Pure rules."""

from __future__ import annotations

from openrelay_async.emulator.answers import Refusal, bad_request
from openrelay_async.emulator.fields import Fields
from openrelay_async.emulator.scopes import check_permissions, is_range


def read_restrictions(body: Fields) -> dict[str, list[str]] | None:
    """The restrictions of a body; None where there are none.

    Raises:
        Refusal: 400 naming the network or permission that is none; 501 for endpoints, which nothing here
        checks.
    """
    given = body.fields("restrictions")
    if given is None:
        return None
    if given.texts("endpoints"):
        raise Refusal(501, "restricting keys to endpoints is not modelled", "NOT_IMPLEMENTED_BY_EMULATOR")
    for index, text in enumerate(given.texts("ipRanges")):
        if not is_range(text):
            raise bad_request(f"restrictions.ipRanges[{index}]", "must be an address or a range")
    check_permissions(given.texts("permissions"), "restrictions.permissions")
    found = {name: given.texts(name) for name in ("ipRanges", "models", "permissions") if given.texts(name)}
    return found or None


def limit_to(
    restrictions: dict[str, list[str]] | None, maker: dict[str, list[str]] | None
) -> dict[str, list[str]] | None:
    """Restrictions of a new key, which are never looser than those of the key that makes it.

    Raises:
        Refusal: 403 `ESCALATION_REFUSED`.
    """
    if not maker:
        return restrictions
    wanted = restrictions or {}
    for name, allowed in maker.items():
        if not set(wanted.get(name, allowed)) <= set(allowed):
            raise Refusal(403, f"your own key is limited in {name}", "ESCALATION_REFUSED", deniedBy="key")
    return {**maker, **wanted}


def read_budget(body: Fields) -> dict[str, object] | None:
    given = body.fields("budget")
    if given is None:
        return None
    if given.integer("limitNanoUsd") < 0:
        raise bad_request("budget.limitNanoUsd", "must not be negative")
    return {"limitNanoUsd": given.integer("limitNanoUsd"), "period": given.text("period") or "lifetime"}
