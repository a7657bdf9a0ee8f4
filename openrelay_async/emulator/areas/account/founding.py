"""Founding an organization: its first user, that user's session, its first key."""

from __future__ import annotations

import re

import attrs

from openrelay_async.emulator.areas.account.storage import (
    MEMBERSHIPS,
    ORGANIZATIONS,
    SESSIONS,
    USERS,
    Membership,
    Organization,
    Session,
    User,
)
from openrelay_async.emulator.areas.api_keys.storage import API_KEYS, ApiKey
from openrelay_async.emulator.areas.billing.ledger import open_account
from openrelay_async.emulator.call import Settings
from openrelay_async.emulator.scopes import ALL_SCOPES
from openrelay_async.emulator.storage import Database
from openrelay_async.emulator.vault import hash_token, new_token

SESSION_SECONDS = 12 * 3600.0


@attrs.frozen
class FoundedOrganization:
    """An organization that was seeded, with what is needed to act in it."""

    org_id: str
    name: str
    user_id: str
    api_key: str = attrs.field(repr=False)
    session_token: str = attrs.field(repr=False)


def found_organization(
    database: Database, settings: Settings, name: str, now: float, *, email: str | None = None
) -> FoundedOrganization:
    """A new organization with an owner, a key with every scope, and a session."""
    slug = free_slug(database, name)
    org_id = database.new_id("org_")
    owner_email = (email or f"owner@{slug}.example").lower()
    user = User(database.new_id("usr_"), org_id, owner_email, f"Owner of {name}")
    ORGANIZATIONS.insert(database, Organization(org_id, name, slug, now, owner_email))
    USERS.insert(database, user)
    membership = Membership(database.new_id("mem_"), org_id, user.id, "owner", now)
    MEMBERSHIPS.insert(database, membership)
    key = new_token(settings.key_prefix)
    record = ApiKey(
        id=database.new_id("key_"),
        org_id=org_id,
        name="bootstrap",
        key_hash=hash_token(key),
        prefix=visible_prefix(key),
        scopes=list(ALL_SCOPES),
        created_at=now,
        created_by=user.id,
    )
    API_KEYS.insert(database, record)
    open_account(database, org_id, settings.credit_cents, now)
    token = open_session(database, user.id, org_id, now)
    return FoundedOrganization(org_id, name, user.id, key, token)


def find_first_owner(database: Database) -> User | None:
    """The owner of the oldest organization, acting in it; None while there is none."""
    for organization in ORGANIZATIONS.find(database):
        for membership in MEMBERSHIPS.find(database, org_id=organization.id):
            user = USERS.get(database, membership.user_id)
            if membership.role == "owner" and user is not None:
                return attrs.evolve(user, org_id=organization.id)
    return None


def sign_in(database: Database, email: str, now: float) -> str:
    """A session of the user with this address, who is made if there is none."""
    user = find_or_add_user(database, email)
    return open_session(database, user.id, user.org_id, now)


def find_or_add_user(database: Database, email: str) -> User:
    """E-mail addresses are compared without regard to case."""
    address = email.strip().lower()
    found = USERS.find(database, email=address)
    if found:
        return found[0]
    name = address.partition("@")[0]
    return USERS.insert(database, User(database.new_id("usr_"), "", address, name))


def free_slug(database: Database, name: str) -> str:
    """A slug made of the name that no other organization has."""
    wanted = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-") or "organization"
    slug, number = wanted, 1
    while ORGANIZATIONS.find(database, slug=slug):
        number += 1
        slug = f"{wanted}-{number}"
    return slug


def open_session(
    database: Database,
    user_id: str,
    org_id: str,
    now: float,
    *,
    lasting: float = SESSION_SECONDS,
    device_name: str | None = None,
) -> str:
    """A session token, good for `lasting` seconds; only its hash is kept."""
    token = new_token("ors_")
    session = Session(
        id=database.new_id("ses_"),
        org_id=org_id,
        user_id=user_id,
        token_hash=hash_token(token),
        created_at=now,
        expires_at=now + lasting,
        device_name=device_name,
    )
    SESSIONS.insert(database, session)
    return token


def visible_prefix(key: str) -> str:
    """`vl_abc12`: enough to tell keys apart, too little to guess one."""
    return key[:8]
