"""Who may do what: the catalog of permissions, what somebody has, and what a request would be answered."""

from __future__ import annotations

from collections.abc import Mapping

import attrs

from openrelay_async.emulator.answers import Answer, bad_request, not_found, without_absent
from openrelay_async.emulator.areas.account.storage import MEMBERSHIPS
from openrelay_async.emulator.areas.api_keys.storage import API_KEYS, ApiKey
from openrelay_async.emulator.areas.roles.routes import DESCRIPTIONS, permissions_of_role
from openrelay_async.emulator.areas.roles.storage import GUARDRAILS, ROLES
from openrelay_async.emulator.call import Call
from openrelay_async.emulator.generated.routes import OPERATIONS
from openrelay_async.emulator.scopes import is_in_ranges, list_permissions, permissions_of

TEMPLATES: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "read-only": ("Look at everything", ("clusters:read", "vms:read", "billing:read")),
    "deploy": ("Run machines", ("clusters:write", "vms:write")),
    "inference": ("Call models", ("inference",)),
}
"""What keys are often made for: description and scopes."""


@attrs.frozen
class Access:
    """What one principal has."""

    kind: str
    id: str
    permissions: list[str]
    role_id: str | None = None
    role_name: str | None = None
    key: ApiKey | None = None
    is_active: bool = True


def find_access(call: Call, kind: str, principal_id: str) -> Access:
    """Raises 404 for who is not of the organization."""
    if kind == "api_key":
        key = API_KEYS.get(call.database, principal_id)
        if key is None or key.org_id != call.org_id:
            raise not_found("principal")
        limited = (key.restrictions or {}).get("permissions", [])
        permitted = permissions_of(key.scopes, with_session=False)
        permissions = [item for item in permitted if not limited or item in limited]
        is_active = key.revoked_at is None and (key.expires_at is None or call.now < key.expires_at)
        return Access(kind, key.id, permissions if is_active else [], key=key, is_active=is_active)
    found = MEMBERSHIPS.find(call.database, org_id=call.org_id, user_id=principal_id)
    if not found:
        raise not_found("principal")
    role = ROLES.get(call.database, found[0].role_id) if found[0].role_id else None
    if role is not None:
        return Access(kind, principal_id, role.permissions, role.id, role.name)
    name = found[0].role
    return Access(kind, principal_id, permissions_of_role(name), name, name.capitalize())


def get_effective(call: Call) -> Answer:
    kind, principal_id = call.query.text("principalType"), call.query.text("principalId")
    if bool(kind) != bool(principal_id):
        raise bad_request("principalId", "give principalType and principalId, or neither")
    if not kind:
        key = call.principal.key
        kind, principal_id = ("api_key", key.id) if key else ("member", call.principal.user_id or "")
    access = find_access(call, kind, principal_id)
    models = (access.key.restrictions or {}).get("models", []) if access.key else []
    return Answer(
        without_absent(
            {
                "principalType": access.kind,
                "principalId": access.id,
                "active": access.is_active,
                "permissions": access.permissions,
                "actions": access.permissions,
                "allModels": not models,
                "models": models or None,
                "keyKind": access.key.kind if access.key else None,
                "restrictions": access.key.restrictions if access.key else None,
                "roleId": access.role_id,
                "roleName": access.role_name,
            }
        )
    )


def check_access(call: Call) -> Answer:
    body = call.body
    action = body.text("action")
    if action not in list_permissions():
        raise bad_request("action", "is no permission")
    access = find_access(call, body.text("principalType"), body.text("principalId"))
    denied_by, message, policies = _decide(call, access, action)
    decision: dict[str, object] = {
        "allow": denied_by is None,
        "permission": action,
        "message": message,
        "policies": policies,
    }
    return Answer(decision | ({"deniedBy": denied_by} if denied_by else {}))


def _decide(call: Call, access: Access, action: str) -> tuple[str | None, str, list[dict[str, object]]]:
    source_ip = call.body.optional_text("sourceIp")
    if action not in access.permissions:
        return ("key" if access.key else "role"), f"lacks {action}", []
    ranges = (access.key.restrictions or {}).get("ipRanges", []) if access.key else []
    if source_ip and ranges and not is_in_ranges(source_ip, ranges):
        return "key", "the key may not be used from this address", []
    for policy in GUARDRAILS.find(call.database, org_id=call.org_id):
        if source_ip and policy.shuts_out(source_ip, with_key=access.key is not None):
            found: list[dict[str, object]] = [{"id": policy.id, "source": "guardrail"}]
            return "org_policy", "the organization does not allow this address", found
    return None, "allowed", []


def get_catalog(call: Call) -> Answer:
    session_only = {item.permission for item in OPERATIONS if item.permission and item.security == "session"}
    areas: dict[str, list[str]] = {}
    for permission in list_permissions():
        areas.setdefault(permission.partition(".")[0], []).append(permission)
    return Answer(
        {
            "areas": [
                {
                    "id": area,
                    "label": area.capitalize(),
                    "levels": [
                        {
                            "id": permission.partition(".")[2],
                            "label": permission,
                            "description": f"May do what needs {permission}",
                            "actions": [permission],
                            "sessionOnly": permission in session_only,
                        }
                        for permission in permissions
                    ],
                }
                for area, permissions in areas.items()
            ],
            "roles": [
                {
                    "id": name,
                    "name": name.capitalize(),
                    "description": description,
                    "grants": permissions_of_role(name),
                    "all": name == "owner",
                }
                for name, description in DESCRIPTIONS.items()
            ],
            "sessionOnlyActions": sorted(session_only),
            "templates": [
                {
                    "id": name,
                    "name": name.capitalize(),
                    "description": description,
                    "permissions": permissions_of(scopes, with_session=False),
                    "providerOnly": False,
                }
                for name, (description, scopes) in TEMPLATES.items()
            ],
        }
    )


def request_access(call: Call) -> Answer:
    for name in ("fullName", "product", "useCase", "workEmail"):
        if not call.body.text(name).strip():
            raise bad_request(name, "must not be blank")
    if "@" not in call.body.text("workEmail"):
        raise bad_request("workEmail", "is no e-mail address")
    return Answer({"id": call.new_id("acc_"), "status": "new"}, status=201)


HANDLERS = {
    "getEffectiveAccess": get_effective,
    "checkAccess": check_access,
    "getPermissionCatalog": get_catalog,
    "createAccessRequest": request_access,
}
