"""Members of an organization, and those who are invited."""

from __future__ import annotations

import attrs

from openrelay_async.emulator.answers import (
    NO_CONTENT,
    Answer,
    bad_request,
    conflict,
    moment,
    not_found,
    rfc3339,
    without_absent,
)
from openrelay_async.emulator.areas.account.founding import find_or_add_user
from openrelay_async.emulator.areas.account.storage import MEMBERSHIPS, ORGANIZATIONS, USERS, Membership
from openrelay_async.emulator.areas.api_keys.storage import API_KEYS
from openrelay_async.emulator.areas.organizations import rules
from openrelay_async.emulator.areas.organizations.storage import INVITES, Invite
from openrelay_async.emulator.areas.roles.storage import ROLES
from openrelay_async.emulator.call import Call


def list_members(call: Call) -> Answer:
    members = [_render_member(call, item) for item in MEMBERSHIPS.find(call.database, org_id=call.org_id)]
    invited = [_render_invited(call, invite) for invite in _open_invites(call)]
    return Answer(members + invited)


def add_member(call: Call) -> Answer:
    body = call.body
    email = rules.read_email(body.text("email"))
    role, role_id = _read_role(call)
    user = find_or_add_user(call.database, email)
    if _find_membership(call, user.id) is not None:
        raise conflict("is a member already", "ALREADY_MEMBER")
    for invite in INVITES.find(call.database, org_id=call.org_id, email=email):
        INVITES.delete(call.database, invite)  # a new invite replaces the old one
    inviter = call.principal.responsible_user_id
    invite = Invite(call.new_id("inv_"), call.org_id, email, role, call.now, inviter, role_id)
    INVITES.insert(call.database, invite)
    call.audit("member.invited", "member", user.id, after=role)
    return Answer(_render_invited(call, invite))


def _read_role(call: Call) -> tuple[str, str | None]:
    """A built-in role, or one of the organization's own; nobody gives more than they have."""
    role_id, role = call.body.optional_text("roleId"), call.body.text("role")
    if role_id:
        found = ROLES.get(call.database, role_id)
        if found is None or found.org_id != call.org_id:
            raise bad_request("roleId", "is no role of this organization")
        rules.check_grant(call.principal.grants[call.org_id], "admin")
        return "member", role_id
    if not role:
        raise bad_request("role", "give a role or a roleId")
    rules.check_grant(call.principal.grants[call.org_id], role)
    return role, None


def update_role(call: Call) -> Answer:
    membership = _require_membership(call)
    role, role_id = _read_role(call)
    rules.check_may_touch(_actor_role(call), membership.role, role)
    everyone = MEMBERSHIPS.find(call.database, org_id=call.org_id)
    rules.check_owner_left(everyone, membership, new_role=role)
    changed = attrs.evolve(membership, role=role, role_id=role_id)
    MEMBERSHIPS.update(call.database, changed)
    call.audit("member.role_changed", "member", membership.user_id, before=membership.role, after=role)
    return Answer(_render_member(call, changed))


def remove_member(call: Call) -> Answer:
    membership = _require_membership(call)
    rules.check_may_touch(_actor_role(call), membership.role)
    revoked = _remove(call, membership, "member.removed")
    if call.settings.generation == "2026-07":
        return NO_CONTENT
    return Answer({"revokedKeyIds": revoked})


def leave(call: Call) -> Answer:
    membership = _find_membership(call, call.principal.user_id or "")
    if membership is None:
        raise conflict("only a member can leave", "NOT_A_MEMBER")
    _remove(call, membership, "member.left")
    return NO_CONTENT


def _remove(call: Call, membership: Membership, event: str) -> list[str]:
    """Their own keys go with them; those of the organization stay."""
    rules.check_owner_left(MEMBERSHIPS.find(call.database, org_id=call.org_id), membership)
    MEMBERSHIPS.delete(call.database, membership)
    call.audit(event, "member", membership.user_id, before=membership.role)
    revoked: list[str] = []
    for key in API_KEYS.find(call.database, org_id=call.org_id):
        if key.owner_user_id == membership.user_id and key.revoked_at is None:
            API_KEYS.update(call.database, attrs.evolve(key, revoked_at=call.now))
            call.audit("api_key.revoked", "api_key", key.id)
            revoked.append(key.id)
    return revoked


def list_invites(call: Call) -> Answer:
    return Answer([_render_invite(call, invite) for invite in _open_invites(call)])


def revoke_invite(call: Call) -> Answer:
    email = call.path["email"].strip().lower()
    found = [invite for invite in _open_invites(call) if invite.email == email]
    if not found:
        raise not_found("invite")
    for invite in found:
        INVITES.delete(call.database, invite)
    call.audit("member.invite_revoked", "invite", found[0].id)
    return NO_CONTENT


def list_my_invites(call: Call) -> Answer:
    return Answer([_render_mine(call, invite) for invite in _my_invites(call)])


def accept_invite(call: Call) -> Answer:
    invite = _require_mine(call)
    user_id = call.principal.user_id or ""
    INVITES.delete(call.database, invite)
    membership = Membership(
        call.new_id("mem_"), invite.org_id, user_id, invite.role, call.now, invite.role_id
    )
    MEMBERSHIPS.insert(call.database, membership)
    user = USERS.get(call.database, user_id)
    if user is not None and not user.org_id:
        USERS.update(call.database, attrs.evolve(user, org_id=invite.org_id))
    call.audit("member.joined", "member", user_id, after=invite.role, org_id=invite.org_id)
    return Answer({"organizationId": invite.org_id, "role": invite.role})


def decline_invite(call: Call) -> Answer:
    for invite in _my_invites(call):
        if invite.org_id == call.path["orgId"]:
            INVITES.delete(call.database, invite)
    return NO_CONTENT  # none is as good as declined


def _my_invites(call: Call) -> list[Invite]:
    user = USERS.get(call.database, call.principal.user_id or "")
    found = INVITES.find(call.database, email=user.email) if user else []
    return [invite for invite in found if call.now < invite.expires_at]


def _require_mine(call: Call) -> Invite:
    found = [invite for invite in _my_invites(call) if invite.org_id == call.path["orgId"]]
    if not found:
        raise not_found("invite")
    return found[0]


def _open_invites(call: Call) -> list[Invite]:
    found = INVITES.find(call.database, org_id=call.org_id)
    return [invite for invite in found if call.now < invite.expires_at]


def _actor_role(call: Call) -> str | None:
    """A key may as much as an admin: what concerns owners needs the owner."""
    membership = None if call.principal.key else _find_membership(call, call.principal.user_id or "")
    return membership.role if membership else None


def _find_membership(call: Call, user_id: str) -> Membership | None:
    found = MEMBERSHIPS.find(call.database, org_id=call.org_id, user_id=user_id)
    return found[0] if found else None


def _require_membership(call: Call) -> Membership:
    membership = _find_membership(call, call.path["userId"])
    if membership is None:
        raise not_found("member")
    return membership


def _role_name(call: Call, role: str, role_id: str | None) -> str:
    custom = ROLES.get(call.database, role_id) if role_id else None
    return custom.name if custom else role.capitalize()


def _render_member(call: Call, membership: Membership) -> dict[str, object]:
    user = USERS.get(call.database, membership.user_id)
    return without_absent(
        {
            "userId": membership.user_id,
            "email": user.email if user else None,
            "fullName": user.full_name if user else None,
            "avatarUrl": user.avatar_url if user else None,
            "role": membership.role,
            "roleName": _role_name(call, membership.role, membership.role_id),
            "status": "active",
            "joinedAt": rfc3339(membership.joined_at),
        }
    )


def _render_invited(call: Call, invite: Invite) -> dict[str, object]:
    user = find_or_add_user(call.database, invite.email)
    return {
        "userId": user.id,
        "email": invite.email,
        "role": invite.role,
        "roleName": _role_name(call, invite.role, invite.role_id),
        "status": "invited",
        "invitedAt": moment(invite.invited_at),
    }


def _render_invite(call: Call, invite: Invite) -> dict[str, object]:
    inviter = USERS.get(call.database, invite.invited_by) if invite.invited_by else None
    return without_absent(
        {
            "email": invite.email,
            "role": invite.role,
            "invitedAt": moment(invite.invited_at),
            "expiresAt": rfc3339(invite.expires_at),
            "invitedBy": inviter.email if inviter else None,
        }
    )


def _render_mine(call: Call, invite: Invite) -> dict[str, object]:
    organization = ORGANIZATIONS.get(call.database, invite.org_id)
    shown = _render_invite(call, invite)
    return without_absent(
        {
            "organizationId": invite.org_id,
            "organizationName": organization.name if organization else None,
            "role": invite.role,
            "invitedAt": shown["invitedAt"],
            "expiresAt": shown["expiresAt"],
            "inviterEmail": shown.get("invitedBy"),
        }
    )


HANDLERS = {
    "listOrgMembers": list_members,
    "addOrgMember": add_member,
    "updateOrgMemberRole": update_role,
    "removeOrgMember": remove_member,
    "leaveOrgMember": leave,
    "listOrgInvites": list_invites,
    "revokeOrgInvite": revoke_invite,
    "listMyInvites": list_my_invites,
    "acceptOrgInvite": accept_invite,
    "declineOrgInvite": decline_invite,
}
