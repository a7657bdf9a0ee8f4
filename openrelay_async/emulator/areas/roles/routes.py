"""Roles: built-in ones, and those of the organization's own making."""

from __future__ import annotations

from collections.abc import Mapping

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
from openrelay_async.emulator.areas.account.storage import MEMBERSHIPS, USERS
from openrelay_async.emulator.areas.roles.storage import ROLES, Role
from openrelay_async.emulator.call import Call
from openrelay_async.emulator.fields import Fields
from openrelay_async.emulator.scopes import ROLE_SCOPES, check_permissions, is_range, permissions_of

DESCRIPTIONS: Mapping[str, str] = {
    "owner": "Everything, owners included",
    "admin": "Everything but what concerns owners",
    "member": "Machines and inference; money to look at",
    "viewer": "Everything to look at",
    "billing": "Money",
    "inference": "Inference",
}


def require_manager(call: Call) -> None:
    """Raise 403 unless an owner or admin is at it."""
    if call.principal.roles.get(call.org_id) not in ("owner", "admin"):
        permission = call.operation.permission
        raise Refusal(403, "needs an owner or admin", "FORBIDDEN", deniedBy="role", permission=permission)


def permissions_of_role(name: str) -> list[str]:
    """The permissions that a built-in role amounts to."""
    return permissions_of(ROLE_SCOPES.get(name, ()), with_session=True)


def list_roles(call: Call) -> Answer:
    own = [_render(call, role) for role in ROLES.find(call.database, org_id=call.org_id)]
    return Answer([_render_builtin(call, name) for name in DESCRIPTIONS] + own)


def get_role(call: Call) -> Answer:
    if call.path["roleId"] in DESCRIPTIONS:
        return Answer(_render_builtin(call, call.path["roleId"]))
    return Answer(_render(call, _find(call)))


def create_role(call: Call) -> Answer:
    require_manager(call)
    body = call.body
    name = body.name()
    _check_name(call, name)
    role = Role(
        id=call.new_id("role_"),
        org_id=call.org_id,
        name=name,
        permissions=read_permissions(body),
        created_at=call.now,
        updated_at=call.now,
        created_by=_who(call),
        updated_by=_who(call),
        description=body.text("description"),
        endpoints=body.texts("endpoints"),
        ip_ranges=check_ranges(body),
        models=body.texts("models"),
    )
    ROLES.insert(call.database, role)
    call.audit("role.created", "role", role.id, after=" ".join(role.permissions))
    return Answer(_render(call, role))


def update_role(call: Call) -> Answer:
    require_manager(call)
    role, body = _find(call), call.body
    name = body.name() if "name" in body else role.name
    if name != role.name:
        _check_name(call, name)
    changed = attrs.evolve(
        role,
        name=name,
        description=body.text("description", role.description),
        permissions=read_permissions(body) if "permissions" in body else role.permissions,
        endpoints=body.texts("endpoints") if "endpoints" in body else role.endpoints,
        ip_ranges=check_ranges(body) if "ipRanges" in body else role.ip_ranges,
        models=body.texts("models") if "models" in body else role.models,
        updated_at=call.now,
        updated_by=_who(call),
    )
    ROLES.update(call.database, changed)
    before, after = " ".join(role.permissions), " ".join(changed.permissions)
    call.audit("role.updated", "role", role.id, before=before, after=after)
    return Answer(_render(call, changed))


def delete_role(call: Call) -> Answer:
    require_manager(call)
    role = _find(call)
    holders = [
        item.user_id
        for item in MEMBERSHIPS.find(call.database, org_id=call.org_id)
        if item.role_id == role.id
    ]
    if holders:
        raise Refusal(409, "members have this role", "ROLE_IN_USE", members=holders)
    ROLES.delete(call.database, role)
    call.audit("role.deleted", "role", role.id)
    return NO_CONTENT


def read_permissions(body: Fields) -> list[str]:
    """Raise 400 for a permission that no operation asks for."""
    return sorted(set(check_permissions(body.texts("permissions"), "permissions")))


def check_ranges(body: Fields) -> list[str]:
    """Raise 400 for what is no network."""
    for index, text in enumerate(body.texts("ipRanges")):
        if not is_range(text):
            raise bad_request(f"ipRanges[{index}]", "must be an address or a range such as 10.0.0.0/8")
    return body.texts("ipRanges")


def _check_name(call: Call, name: str) -> None:
    taken = {role.name.lower() for role in ROLES.find(call.database, org_id=call.org_id)} | set(DESCRIPTIONS)
    if name.lower() in taken:
        raise conflict("a role of this name exists", "NAME_TAKEN")


def _find(call: Call) -> Role:
    if call.path["roleId"] in DESCRIPTIONS:
        raise Refusal(403, "built-in roles do not change", "BUILTIN_ROLE")
    return call.require(ROLES, call.path["roleId"], "role")


def _who(call: Call) -> str:
    user = USERS.get(call.database, call.principal.user_id or "")
    return user.email if user else ""


def _render_builtin(call: Call, name: str) -> dict[str, object]:
    members = MEMBERSHIPS.find(call.database, org_id=call.org_id)
    return {
        "id": name,
        "name": name.capitalize(),
        "description": DESCRIPTIONS[name],
        "builtin": True,
        "permissions": permissions_of_role(name),
        "memberCount": sum(member.role == name and member.role_id is None for member in members),
    }


def _render(call: Call, role: Role) -> dict[str, object]:
    members = MEMBERSHIPS.find(call.database, org_id=call.org_id)
    return without_absent(
        {
            "id": role.id,
            "name": role.name,
            "description": role.description or None,
            "builtin": False,
            "permissions": role.permissions,
            "endpoints": role.endpoints or None,
            "ipRanges": role.ip_ranges or None,
            "models": role.models or None,
            "memberCount": sum(member.role_id == role.id for member in members),
            "createdAt": moment(role.created_at),
            "createdBy": role.created_by,
            "updatedAt": moment(role.updated_at),
            "updatedBy": role.updated_by,
        }
    )


HANDLERS = {
    "listRoles": list_roles,
    "getRole": get_role,
    "createRole": create_role,
    "updateRole": update_role,
    "deleteRole": delete_role,
}
