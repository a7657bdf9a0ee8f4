"""Records of invites."""

from __future__ import annotations

import attrs

from openrelay_async.emulator.storage import Collection

INVITE_SECONDS = 7 * 86400.0


@attrs.frozen
class Invite:
    id: str
    org_id: str
    email: str
    role: str
    invited_at: float
    invited_by: str | None
    role_id: str | None = None

    @property
    def expires_at(self) -> float:
        return self.invited_at + INVITE_SECONDS


INVITES = Collection("invites", Invite, indexed=("email",))
