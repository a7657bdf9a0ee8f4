"""Who is calling, and may they: 401 before 403."""

from __future__ import annotations

import hmac
from collections.abc import Mapping

import attrs

from openrelay_async.emulator.answers import Refusal
from openrelay_async.emulator.areas.account.storage import MEMBERSHIPS, SESSIONS, Session
from openrelay_async.emulator.areas.api_keys.storage import API_KEYS, ApiKey
from openrelay_async.emulator.areas.roles.storage import GUARDRAILS, ROLES
from openrelay_async.emulator.operations import Operation
from openrelay_async.emulator.scopes import ROLE_SCOPES, is_in_ranges, scopes_of
from openrelay_async.emulator.storage import Database
from openrelay_async.emulator.vault import hash_token
from openrelay_async.scope_rules import allows


@attrs.frozen
class Principal:
    """Who is calling: a key, a user with a session, or nobody."""

    org_id: str = ""
    """Where it acts when the path names no organization."""
    grants: Mapping[str, tuple[str, ...]] = attrs.field(factory=dict[str, tuple[str, ...]])
    """Organization → scopes in it."""
    permissions: Mapping[str, tuple[str, ...]] = attrs.field(factory=dict[str, tuple[str, ...]])
    """Organization → what a role of its own allows one by one."""
    roles: Mapping[str, str] = attrs.field(factory=dict[str, str])
    """Organization → role of a user."""
    user_id: str | None = None
    """The user of the session, or the owner of a personal key."""
    session_id: str | None = None
    key: ApiKey | None = None

    @property
    def scopes(self) -> tuple[str, ...]:
        return self.grants.get(self.org_id, ())

    @property
    def responsible_user_id(self) -> str | None:
        """The user of the session, or the one who made the key."""
        return self.key.created_by if self.key else self.user_id

    @property
    def actor(self) -> str:
        """How the audit log names it."""
        return f"api_key:{self.key.id}" if self.key else f"user:{self.user_id}"

    def may_do(self, operation: Operation, org_id: str) -> bool:
        """Has it the scope of the operation, or a role of its own making that names the permission?"""
        granted = self.grants.get(org_id)
        if granted is None:
            return False
        if operation.scope is None or allows(granted, operation.scope):
            return True
        return operation.permission in self.permissions.get(org_id, ())


NOBODY = Principal()


def authenticate(database: Database, authorization: str | None, now: float) -> Principal:
    """The holder of a bearer token.

    Raises:
        Refusal: 401; the code tells a revoked and an expired key from an unknown one.
    """
    scheme, _, token = (authorization or "").strip().partition(" ")
    token = token.strip()
    if scheme.lower() != "bearer" or not token:
        raise _unauthenticated("send Authorization: Bearer <API key>", "UNAUTHORIZED")
    token_hash = hash_token(token)
    # The index finds a candidate by hash, which an attacker cannot steer towards a guess; the comparison
    # that decides takes the same time whatever differs.
    for key in API_KEYS.find(database, key_hash=token_hash):
        if hmac.compare_digest(key.key_hash, token_hash):
            return _accept_key(key, now)
    for session in SESSIONS.find(database, token_hash=token_hash):
        if hmac.compare_digest(session.token_hash, token_hash):
            if session.revoked_at is not None or session.expires_at <= now:
                raise _unauthenticated("the session has ended", "SESSION_EXPIRED")
            return _accept_session(database, session)
    raise _unauthenticated("unknown API key", "UNAUTHORIZED")


def _accept_session(database: Database, session: Session) -> Principal:
    grants: dict[str, tuple[str, ...]] = {}
    permissions: dict[str, tuple[str, ...]] = {}
    roles: dict[str, str] = {}
    for membership in MEMBERSHIPS.find(database, user_id=session.user_id):
        roles[membership.org_id] = membership.role
        grants[membership.org_id] = ROLE_SCOPES.get(membership.role, ())
        custom = ROLES.get(database, membership.role_id) if membership.role_id else None
        if custom is not None:
            grants[membership.org_id] = scopes_of(custom.permissions)
            permissions[membership.org_id] = tuple(custom.permissions)
    org_id = session.org_id if session.org_id in grants else next(iter(grants), "")
    return Principal(org_id, grants, permissions, roles, session.user_id, session.id)


def _accept_key(key: ApiKey, now: float) -> Principal:
    if key.revoked_at is not None:
        raise _unauthenticated("this API key was revoked", "REVOKED_API_KEY")
    if key.expires_at is not None and key.expires_at <= now:
        raise _unauthenticated("this API key has expired", "EXPIRED_API_KEY")
    return Principal(key.org_id, {key.org_id: tuple(key.scopes)}, user_id=key.owner_user_id, key=key)


def _unauthenticated(message: str, code: str) -> Refusal:
    return Refusal(401, message, code, headers={"WWW-Authenticate": "Bearer"})


# Documented as session-only by the reference, shown with a key by the introduction: the emulator answers
# both.
_KEYS_TOO = ("getMe",)


def authorize(
    database: Database,
    operation: Operation,
    principal: Principal,
    path: Mapping[str, str],
    source_ip: str | None,
) -> None:
    """Raise 403 unless `principal` may do `operation` in the organization of the path (or in its own)."""
    if operation.security == "open" or principal is NOBODY:
        return
    if operation.security == "session" and principal.key and operation.id not in _KEYS_TOO:
        raise Refusal(403, "this operation needs a dashboard session, not an API key", "SESSION_REQUIRED")
    named = organization_of(operation, path)
    org_id = named or principal.org_id
    if (named is not None or operation.scope is not None) and org_id not in principal.grants:
        raise Refusal(403, "the organization is not one of yours", "FORBIDDEN")
    if operation.scope is not None and not principal.may_do(operation, org_id):
        denied_by = "key" if principal.key else "role"
        raise _forbidden(operation, f"needs the scope {operation.scope}", denied_by)
    if principal.key is not None:
        _check_restrictions(operation, principal.key, source_ip)
    _check_guardrails(database, operation, principal, org_id, source_ip)


def _check_restrictions(operation: Operation, key: ApiKey, source_ip: str | None) -> None:
    restrictions = key.restrictions or {}
    ranges = restrictions.get("ipRanges", [])
    if ranges and not is_in_ranges(source_ip, ranges):
        raise _forbidden(operation, "the key may not be used from this address", "key")
    permissions = restrictions.get("permissions", [])
    if permissions and operation.permission is not None and operation.permission not in permissions:
        raise _forbidden(operation, f"the key lacks the permission {operation.permission}", "key")


def _check_guardrails(
    database: Database, operation: Operation, principal: Principal, org_id: str, source_ip: str | None
) -> None:
    for policy in GUARDRAILS.find(database, org_id=org_id):
        if policy.shuts_out(source_ip, with_key=principal.key is not None):
            refusal = _forbidden(operation, "the organization does not allow this address", "org_policy")
            refusal.details["policies"] = [policy.id]
            raise refusal


def _forbidden(operation: Operation, message: str, denied_by: str) -> Refusal:
    refusal = Refusal(403, message, "FORBIDDEN", deniedBy=denied_by)
    if operation.permission is not None:
        refusal.details["permission"] = operation.permission
    return refusal


def organization_of(operation: Operation, path: Mapping[str, str]) -> str | None:
    """The organization that the path names: `/v1/orgs/{orgId}/…` (an invite's path names one not yet
    joined).
    """
    parts = operation.path.split("/", 4)
    if len(parts) > 3 and parts[2] == "orgs" and parts[3].startswith("{"):
        return path[parts[3][1:-1]]
    return None
