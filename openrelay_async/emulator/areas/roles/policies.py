"""Guardrails: policies for everyone. Cedar policies are not modelled: nothing here could evaluate them."""

from __future__ import annotations

import attrs

from openrelay_async.emulator.answers import (
    NO_CONTENT,
    Answer,
    Refusal,
    bad_request,
    conflict,
    moment,
    without_absent,
)
from openrelay_async.emulator.areas.roles.routes import check_ranges, require_manager
from openrelay_async.emulator.areas.roles.storage import GUARDRAILS, KEY_SETTINGS, Guardrail, KeySettings
from openrelay_async.emulator.call import Call

_MOST_DAYS = 3650


def create_policy(call: Call) -> Answer:
    require_manager(call)
    policy = _read(call)
    _check_lockout(call, policy)
    GUARDRAILS.insert(call.database, policy)
    call.audit("policy.created", "policy", policy.id, after=policy.guardrail)
    return Answer(_render(policy))


def _read(call: Call) -> Guardrail:
    body = call.body
    if body.text("kind") == "custom" or "cedarText" in body:
        raise Refusal(501, "the emulator does not evaluate Cedar policies", "NOT_IMPLEMENTED_BY_EMULATOR")
    guardrail = body.text("guardrail")
    if not guardrail:
        raise bad_request("guardrail", "is required with this kind")
    if guardrail != "model_allowlist" and not body.texts("ipRanges"):
        raise bad_request("ipRanges", "must not be empty")
    if guardrail == "model_allowlist" and not body.texts("models"):
        raise bad_request("models", "must not be empty")
    who = call.principal.user_id or ""
    return Guardrail(
        id=call.new_id("pol_"),
        org_id=call.org_id,
        name=body.name(),
        guardrail=guardrail,
        enabled=body.boolean("enabled", True),
        created_at=call.now,
        updated_at=call.now,
        created_by=who,
        updated_by=who,
        description=body.text("description"),
        endpoints=body.texts("endpoints"),
        ip_ranges=check_ranges(body),
        models=body.texts("models"),
    )


def _find_lockout(call: Call, policy: Guardrail) -> list[str]:
    """Who would be shut out by it: the caller, at least, can be told."""
    return [call.principal.actor] if policy.shuts_out(call.source_ip, with_key=False) else []


def _check_lockout(call: Call, policy: Guardrail) -> None:
    if _find_lockout(call, policy):
        raise conflict("you would shut yourself out", "POLICY_LOCKOUT")


def validate_policy(call: Call) -> Answer:
    try:
        policy = _read(call)
    except Refusal as refusal:
        # A body that is no policy request at all is 400 as everywhere; this is about its content.
        if refusal.status != 400 or "field" not in refusal.details or "kind" not in call.body:
            raise
        return Answer({"valid": False, "diagnostics": [{"message": refusal.message}], "lockout": []})
    return Answer({"valid": True, "diagnostics": [], "lockout": _find_lockout(call, policy)})


def list_policies(call: Call) -> Answer:
    return Answer([_render(policy) for policy in GUARDRAILS.find(call.database, org_id=call.org_id)])


def get_policy(call: Call) -> Answer:
    return Answer(_render(_find(call)))


def update_policy(call: Call) -> Answer:
    require_manager(call)
    policy, body = _find(call), call.body
    if "cedarText" in body:
        raise Refusal(501, "the emulator does not evaluate Cedar policies", "NOT_IMPLEMENTED_BY_EMULATOR")
    changed = attrs.evolve(
        policy,
        name=body.name() if "name" in body else policy.name,
        description=body.text("description", policy.description),
        enabled=body.boolean("enabled", policy.enabled),
        endpoints=body.texts("endpoints") if "endpoints" in body else policy.endpoints,
        ip_ranges=check_ranges(body) if "ipRanges" in body else policy.ip_ranges,
        models=body.texts("models") if "models" in body else policy.models,
        updated_at=call.now,
        updated_by=call.principal.user_id or "",
    )
    _check_lockout(call, changed)
    GUARDRAILS.update(call.database, changed)
    call.audit("policy.updated", "policy", policy.id)
    return Answer(_render(changed))


def delete_policy(call: Call) -> Answer:
    require_manager(call)
    policy = _find(call)
    GUARDRAILS.delete(call.database, policy)
    call.audit("policy.deleted", "policy", policy.id, before=policy.guardrail)
    return NO_CONTENT


def get_settings(call: Call) -> Answer:
    return Answer(_render_settings(KEY_SETTINGS.get(call.database, call.org_id)))


def update_settings(call: Call) -> Answer:
    require_manager(call)
    days = call.body.bounded("maxKeyLifetimeDays", 0, least=0, most=_MOST_DAYS)
    before = KEY_SETTINGS.get(call.database, call.org_id)
    settings = KeySettings(call.org_id, call.org_id, days, call.now, call.principal.user_id or "")
    if before is None:
        KEY_SETTINGS.insert(call.database, settings)
    else:
        KEY_SETTINGS.update(call.database, settings)
    old = str(before.max_key_lifetime_days) if before else "0"
    call.audit("key_settings.updated", "organization", call.org_id, before=old, after=str(days))
    return Answer(_render_settings(settings))


def _render_settings(settings: KeySettings | None) -> dict[str, object]:
    if settings is None:
        return {"maxKeyLifetimeDays": 0}
    return {
        "maxKeyLifetimeDays": settings.max_key_lifetime_days,
        "updatedAt": moment(settings.updated_at),
        "updatedBy": settings.updated_by,
    }


def _find(call: Call) -> Guardrail:
    return call.require(GUARDRAILS, call.path["policyId"], "policy")


def _render(policy: Guardrail) -> dict[str, object]:
    return without_absent(
        {
            "id": policy.id,
            "name": policy.name,
            "kind": "guardrail",
            "guardrail": policy.guardrail,
            "enabled": policy.enabled,
            "description": policy.description or None,
            "endpoints": policy.endpoints or None,
            "ipRanges": policy.ip_ranges or None,
            "models": policy.models or None,
            "createdAt": moment(policy.created_at),
            "createdBy": policy.created_by,
            "updatedAt": moment(policy.updated_at),
            "updatedBy": policy.updated_by,
        }
    )


HANDLERS = {
    "createPolicy": create_policy,
    "validatePolicy": validate_policy,
    "listPolicies": list_policies,
    "getPolicy": get_policy,
    "updatePolicy": update_policy,
    "deletePolicy": delete_policy,
    "getKeySettings": get_settings,
    "updateKeySettings": update_settings,
}
