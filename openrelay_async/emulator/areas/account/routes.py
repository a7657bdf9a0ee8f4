"""Who am I."""

from __future__ import annotations

import math

import attrs

from openrelay_async.emulator.answers import Answer, Refusal, bad_request, rfc3339, without_absent
from openrelay_async.emulator.areas.account.storage import (
    MEMBERSHIPS,
    ORGANIZATIONS,
    USERS,
    Organization,
    User,
    list_roles,
)
from openrelay_async.emulator.areas.api_keys.editing import describe_budget
from openrelay_async.emulator.areas.api_keys.storage import ApiKey
from openrelay_async.emulator.call import Call
from openrelay_async.emulator.scopes import ROLE_SCOPES


def whoami(call: Call) -> Answer:
    key = call.principal.key
    user = find_user(call)
    organization = ORGANIZATIONS.get(call.database, call.principal.org_id)
    roles = list_roles(call.database, user.id) if user else {}
    return Answer(
        without_absent(
            {
                "principalType": "api_key" if key else "user",
                "organizationId": call.principal.org_id,
                "organizationName": organization.name if organization else None,
                "scopes": list(call.principal.scopes),
                "email": user.email if user else None,
                "userId": user.id if user else None,
                "role": roles.get(call.principal.org_id) if not key else None,
                "availableOrgs": None if key else render_memberships(call, user),
                "keyKind": key.kind if key else None,
                "ownerUserId": key.owner_user_id if key else None,
                "key": _render_key(call, key) if key else None,
            }
        )
    )


def _render_key(call: Call, key: ApiKey) -> dict[str, object]:
    left = None if key.expires_at is None else math.ceil((key.expires_at - call.now) / 86400)
    return without_absent(
        {
            "id": key.id,
            "name": key.name,
            "prefix": key.prefix,
            "expiresAt": rfc3339(key.expires_at),
            "expiresInDays": left,
            "budget": describe_budget(call.database, key, call.now),
        }
    )


def get_me(call: Call) -> Answer:
    user = find_user(call)
    if user is None:
        raise Refusal(401, "this key belongs to no user: use a dashboard session", "UNAUTHORIZED")
    return Answer({"user": render_user(user), "organizations": render_memberships(call, user)})


def find_user(call: Call) -> User | None:
    """The user of the session, or the one who made the key."""
    user_id = call.principal.responsible_user_id
    return USERS.get(call.database, user_id) if user_id else None


def render_user(user: User) -> dict[str, object]:
    return without_absent(
        {
            "id": user.id,
            "email": user.email,
            "fullName": user.full_name,
            "avatarUrl": user.avatar_url,
            "defaultOrganizationId": user.org_id or None,
        }
    )


def render_memberships(call: Call, user: User | None) -> list[dict[str, object]]:
    """The organizations of a user; a key sees only its own."""
    if user is None:
        return []
    found: list[dict[str, object]] = []
    for membership in MEMBERSHIPS.find(call.database, user_id=user.id):
        organization = ORGANIZATIONS.get(call.database, membership.org_id)
        if organization is not None and organization.id in call.principal.grants:
            found.append(_render_membership(organization, membership.role))
    return found


def _render_membership(organization: Organization, role: str) -> dict[str, object]:
    return {
        "organizationId": organization.id,
        "name": organization.name,
        "role": role,
        "roleName": role.capitalize(),
        "permissions": list(ROLE_SCOPES.get(role, ())),
        "features": {"batch": True, "publicEndpoint": True},
    }


def update_profile(call: Call) -> Answer:
    user, body = find_user(call), call.body
    if user is None:
        raise Refusal(401, "this session belongs to no user", "UNAUTHORIZED")
    default = body.optional_text("defaultOrganizationId")
    if default and default not in call.principal.grants:
        raise bad_request("defaultOrganizationId", "is no organization of yours")
    changed = attrs.evolve(
        user,
        full_name=body.text("fullName", user.full_name),
        avatar_url=body.text("avatarUrl") or None if "avatarUrl" in body else user.avatar_url,
        org_id=default or user.org_id,
    )
    return Answer(render_user(USERS.update(call.database, changed)))


HANDLERS = {"whoami": whoami, "getMe": get_me, "updateProfile": update_profile}
