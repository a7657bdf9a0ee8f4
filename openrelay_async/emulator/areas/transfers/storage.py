"""Records of transfers. They belong to the organization that gives."""

from __future__ import annotations

import attrs

from openrelay_async.emulator.storage import Collection

EXPIRES = 7 * 86400.0


@attrs.frozen
class Transfer:
    id: str
    org_id: str
    target_org_id: str
    resource_type: str
    resource_id: str
    resource_name: str
    created_at: float
    initiated_by: str | None
    note: str | None = None
    state: str = "pending"
    """`pending` → `accepted`, `rejected` or `cancelled`; `expired` follows from the clock."""
    responded_at: float | None = None
    responded_by: str | None = None

    @property
    def expires_at(self) -> float:
        return self.created_at + EXPIRES

    def status_at(self, now: float) -> str:
        return "expired" if self.state == "pending" and now >= self.expires_at else self.state


TRANSFERS = Collection("transfers", Transfer, indexed=("target_org_id", "resource_id"))
