"""Who is calling, and may they: 401 before 403."""

from __future__ import annotations

import hmac
from collections.abc import Mapping

import attrs

from openrelay_async.emulator.answers import Refusal
from openrelay_async.emulator.areas.account.storage import SESSIONS, list_roles
from openrelay_async.emulator.areas.api_keys.storage import API_KEYS, ApiKey
from openrelay_async.emulator.operations import Operation
from openrelay_async.emulator.scopes import ROLE_SCOPES, allows
from openrelay_async.emulator.secrets import hash_token
from openrelay_async.emulator.storage import Database


@attrs.frozen
class Principal:
    """Who is calling: a key, a user with a session, or nobody."""

    org_id: str = ""
    """Where it acts when the path names no organization."""
    grants: Mapping[str, tuple[str, ...]] = attrs.field(factory=dict[str, tuple[str, ...]])
    """Organization → scopes in it."""
    user_id: str | None = None
    session_id: str | None = None
    key: ApiKey | None = None

    @property
    def scopes(self) -> tuple[str, ...]:
        return self.grants.get(self.org_id, ())

    @property
    def actor(self) -> str:
        """How the audit log names it."""
        return f"api_key:{self.key.id}" if self.key else f"user:{self.user_id}"

    def may(self, scope: str | None, org_id: str) -> bool:
        granted = self.grants.get(org_id)
        return granted is not None and (scope is None or allows(granted, scope))


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
            roles = list_roles(database, session.user_id)
            grants = {org_id: ROLE_SCOPES.get(role, ()) for org_id, role in roles.items()}
            return Principal(session.org_id, grants, session.user_id, session.id)
    raise _unauthenticated("unknown API key", "UNAUTHORIZED")


def _accept_key(key: ApiKey, now: float) -> Principal:
    if key.revoked_at is not None:
        raise _unauthenticated("this API key was revoked", "REVOKED_API_KEY")
    if key.expires_at is not None and key.expires_at <= now:
        raise _unauthenticated("this API key has expired", "EXPIRED_API_KEY")
    return Principal(key.org_id, {key.org_id: tuple(key.scopes)}, key.owner_user_id, key=key)


def _unauthenticated(message: str, code: str) -> Refusal:
    return Refusal(401, message, code, headers={"WWW-Authenticate": "Bearer"})


# Documented as session-only by the reference, shown with a key by the introduction: the emulator answers
# both.
_KEYS_TOO = ("getMe",)


def authorize(operation: Operation, principal: Principal, path: Mapping[str, str]) -> None:
    """Raise 403 unless `principal` may do `operation` in the organization of the path (or in its own)."""
    if operation.security == "open" or principal is NOBODY:
        return
    if operation.security == "session" and principal.key and operation.id not in _KEYS_TOO:
        raise Refusal(403, "this operation needs a dashboard session, not an API key", "SESSION_REQUIRED")
    org_id = organization_of(operation, path) or principal.org_id
    if org_id not in principal.grants:
        raise Refusal(403, "the organization is not one of yours", "FORBIDDEN")
    if operation.scope is not None and not principal.may(operation.scope, org_id):
        refusal = Refusal(
            403,
            f"needs the scope {operation.scope}",
            "FORBIDDEN",
            deniedBy="key" if principal.key else "role",
        )
        if operation.permission is not None:
            refusal.details["permission"] = operation.permission
        raise refusal


def organization_of(operation: Operation, path: Mapping[str, str]) -> str | None:
    """The organization that the path names: `/v1/orgs/{orgId}/…` (an invite's path names one not yet
    joined).
    """
    parts = operation.path.split("/", 4)
    if len(parts) > 3 and parts[2] == "orgs" and parts[3].startswith("{"):
        return path[parts[3][1:-1]]
    return None
