"""Records of users, organizations, memberships and sessions."""

from __future__ import annotations

import attrs

from openrelay_async.emulator.storage import Collection, Database


@attrs.frozen
class User:
    id: str
    org_id: str
    """The organization that a session acts in unless told otherwise."""
    email: str
    full_name: str
    avatar_url: str | None = None
    password_salt: str | None = None
    password_hash: str | None = None
    """Unused, like the salt: they stay because the users in files of this schema version have them."""


@attrs.frozen
class Organization:
    id: str
    name: str
    slug: str
    created_at: float
    billing_email: str
    is_provider: bool = False
    billing_details: dict[str, str] = attrs.field(factory=dict)
    deleted_at: float | None = None

    @property
    def org_id(self) -> str:
        return self.id


@attrs.frozen
class Membership:
    id: str
    org_id: str
    user_id: str
    role: str
    joined_at: float
    role_id: str | None = None
    """A role of the organization's own making, instead of a built-in one."""


@attrs.frozen
class Session:
    id: str
    org_id: str
    user_id: str
    token_hash: str
    created_at: float
    expires_at: float
    device_name: str | None = None
    """Set for sessions that came from the device login, and for those of the dashboard."""
    revoked_at: float | None = None


@attrs.frozen
class DeviceLogin:
    """A command line that waits to be let in; it belongs to an organization once it is approved."""

    id: str
    org_id: str
    device_hash: str
    user_code: str
    device_name: str
    client_ip: str | None
    requested_at: float
    state: str = "pending"
    """`pending` → `approved` → `used`, or `denied`."""
    user_id: str | None = None
    polled_at: float | None = None


USERS = Collection("users", User, indexed=("email",))
ORGANIZATIONS = Collection("organizations", Organization, indexed=("slug",))
MEMBERSHIPS = Collection("memberships", Membership, indexed=("user_id",))
DEVICE_LOGINS = Collection("device_logins", DeviceLogin, indexed=("device_hash", "user_code"))
SESSIONS = Collection("sessions", Session, indexed=("token_hash", "user_id"))


def list_roles(database: Database, user_id: str) -> dict[str, str]:
    """Organization → role of a user."""
    return {item.org_id: item.role for item in MEMBERSHIPS.find(database, user_id=user_id)}
