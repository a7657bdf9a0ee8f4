"""Records of audit events."""

from __future__ import annotations

import attrs

from openrelay_async.emulator.storage import Collection


@attrs.frozen
class AuditEvent:
    id: str
    org_id: str
    actor: str
    event: str
    target_type: str
    target_id: str
    created_at: float
    request_id: str
    source_ip: str | None = None
    before: str | None = None
    after: str | None = None


AUDIT_EVENTS = Collection("audit_events", AuditEvent)
