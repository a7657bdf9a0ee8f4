"""Minting, listing and revoking keys."""

from __future__ import annotations

import attrs

from openrelay_async.emulator.answers import (
    NO_CONTENT,
    Answer,
    Refusal,
    bad_request,
    moment,
    rfc3339,
    without_absent,
)
from openrelay_async.emulator.areas.account.founding import visible_prefix
from openrelay_async.emulator.areas.api_keys.rules import decide_expiry, decide_scopes
from openrelay_async.emulator.areas.api_keys.storage import API_KEYS, ApiKey
from openrelay_async.emulator.areas.api_keys.terms import limit_to, read_budget, read_restrictions
from openrelay_async.emulator.areas.roles.storage import longest_key_life
from openrelay_async.emulator.call import Call
from openrelay_async.emulator.scopes import check_permissions
from openrelay_async.emulator.vault import hash_token, new_token


def create_key(call: Call) -> Answer:
    body = call.body
    name = body.name()
    granted = call.principal.grants[call.org_id]
    scopes = decide_scopes(body.texts("scopes") if "scopes" in body else None, granted)
    if "serviceAccountId" in body:
        raise Refusal(501, "service accounts are not modelled", "NOT_IMPLEMENTED_BY_EMULATOR")
    if "template" in body:
        raise Refusal(501, "key templates are not modelled: name scopes", "NOT_IMPLEMENTED_BY_EMULATOR")
    restrictions = _read_limits(call)
    expires_at = decide_expiry(body.optional_integer("expiresInSeconds"), call.now)
    _check_lifetime(call, expires_at)
    kind = body.text("kind") or "legacy"
    owner = call.principal.user_id or call.principal.responsible_user_id
    key = new_token(call.settings.key_prefix)
    record = ApiKey(
        id=call.new_id("key_"),
        org_id=call.org_id,
        name=name,
        key_hash=hash_token(key),
        prefix=visible_prefix(key),
        scopes=scopes,
        created_at=call.now,
        created_by=call.principal.responsible_user_id,
        kind=kind,
        owner_user_id=owner if kind == "personal" else None,
        note=body.optional_text("note") or None,
        budget=read_budget(body),
        restrictions=restrictions,
        expires_at=expires_at,
    )
    API_KEYS.insert(call.database, record)
    call.audit("api_key.created", "api_key", record.id, after=" ".join(scopes))
    return Answer(
        without_absent(
            {
                "id": record.id,
                "organizationId": record.org_id,
                "name": name,
                "key": key,  # here, and never again
                "keyPrefix": record.prefix,
                "scopes": scopes,
                "kind": record.kind,
                "createdAt": moment(record.created_at),
                "expiresAt": rfc3339(record.expires_at),
                "ownerUserId": record.owner_user_id,
                "budget": record.budget,
                "restrictions": restrictions,
                "permissions": (restrictions or {}).get("permissions"),
            }
        )
    )


def _read_limits(call: Call) -> dict[str, list[str]] | None:
    """`permissions` beside the restrictions means the same as inside them."""
    body, maker = call.body, call.principal.key
    restrictions = read_restrictions(body)
    if "permissions" in body:
        permissions = check_permissions(body.texts("permissions"), "permissions")
        restrictions = {**(restrictions or {}), "permissions": permissions}
    return limit_to(restrictions, maker.restrictions if maker else None)


def _check_lifetime(call: Call, expires_at: float | None) -> None:
    days = longest_key_life(call.database, call.org_id)
    if days and (expires_at is None or expires_at > call.now + days * 86400):
        raise bad_request("expiresInSeconds", f"the organization lets keys live for {days} days at most")


def list_keys(call: Call) -> Answer:
    keys = API_KEYS.find(call.database, org_id=call.org_id)
    return Answer([render_key(key, call.last_used.get(key.id, key.last_used_at)) for key in keys])


def render_key(key: ApiKey, last_used_at: float | None) -> dict[str, object]:
    return without_absent(
        {
            "id": key.id,
            "name": key.name,
            "keyPrefix": key.prefix,
            "scopes": key.scopes,
            "kind": key.kind,
            "createdAt": moment(key.created_at),
            "createdBy": key.created_by,
            "expiresAt": rfc3339(key.expires_at),
            "revokedAt": rfc3339(key.revoked_at),
            "lastUsedAt": rfc3339(last_used_at),
            "note": key.note,
            "ownerUserId": key.owner_user_id,
            "budget": key.budget,
            "restrictions": key.restrictions,
        }
    )


def revoke_key(call: Call) -> Answer:
    key = call.require(API_KEYS, call.path["id"], "API key")
    if key.revoked_at is None:  # a second time is as good as once
        API_KEYS.update(call.database, attrs.evolve(key, revoked_at=call.now))
        call.audit("api_key.revoked", "api_key", key.id)
    return NO_CONTENT


HANDLERS = {"createOrgApiKey": create_key, "listOrgApiKeys": list_keys, "revokeOrgApiKey": revoke_key}
