"""Who is signed in: sessions of their own, short, ended by signing out, and the proof that a form is ours."""

from __future__ import annotations

import hmac

import attrs

from openrelay_async.emulator.answers import Refusal
from openrelay_async.emulator.areas.account.founding import open_session
from openrelay_async.emulator.areas.account.storage import SESSIONS
from openrelay_async.emulator.authentication import NOBODY, Principal, authenticate
from openrelay_async.emulator.storage import Database
from openrelay_async.emulator.vault import hash_token

LASTING = 3600
"""Seconds on the user's watch, whatever the speed of the emulator."""

_DEVICE = "Dashboard"


@attrs.frozen
class SignedIn:
    """A user in the dashboard."""

    principal: Principal
    token: str = attrs.field(repr=False)
    csrf: str = attrs.field(repr=False)
    """What every form must bring back: other sites cannot read it."""


def find_signed_in(database: Database, token: str | None, now: float) -> SignedIn | None:
    """The user whose session this is, if it has not ended."""
    if not token:
        return None
    try:
        principal = authenticate(database, f"Bearer {token}", now)
    except Refusal:
        return None
    if principal.session_id is None:
        return None  # an API key is no session
    return SignedIn(principal, token, database.vault.digest("dashboard form", hash_token(token)).hex())


def is_from_form(signed_in: SignedIn, proof: str) -> bool:
    return hmac.compare_digest(signed_in.csrf.encode(), proof.encode(errors="surrogateescape"))


def exchange_token(database: Database, token: str, now: float, lasting: float) -> str | None:
    """A session of the dashboard's own for a session token: it is shorter, and signing out ends only it."""
    signed_in = find_signed_in(database, token, now)
    principal = signed_in.principal if signed_in else NOBODY
    if principal.user_id is None:
        return None
    return open_session(
        database, principal.user_id, principal.org_id, now, lasting=lasting, device_name=_DEVICE
    )


def end(database: Database, signed_in: SignedIn, now: float) -> None:
    """Sign out: the session is over at the service, not only forgotten by the browser."""
    session = SESSIONS.get(database, signed_in.principal.session_id or "")
    if session is not None:
        SESSIONS.update(database, attrs.evolve(session, revoked_at=now))
