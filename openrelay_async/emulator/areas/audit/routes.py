"""Audit events, newest first, filtered."""

from __future__ import annotations

from openrelay_async.emulator.answers import Answer, moment, page_answer, without_absent
from openrelay_async.emulator.areas.audit.storage import AUDIT_EVENTS, AuditEvent
from openrelay_async.emulator.call import Call
from openrelay_async.emulator.validation import parse_time


def list_events(call: Call) -> Answer:
    query = call.query
    wanted = {name: query.text(name) for name in ("actor", "event", "targetId") if name in query}
    for name in ("since", "until"):
        if name in query:
            call.validator.check("date-time", query.text(name), name)
    since = parse_time(query.text("since"), "since") if "since" in query else None
    until = parse_time(query.text("until"), "until") if "until" in query else None

    def keep(item: AuditEvent) -> bool:
        found = {"actor": item.actor, "event": item.event, "targetId": item.target_id}
        return (
            all(found[name] == value for name, value in wanted.items())
            and (since is None or item.created_at >= since)
            and (until is None or item.created_at < until)
        )

    events, cursor = call.page(AUDIT_EVENTS, keep=keep, org_id=call.org_id)
    return page_answer([_render(event) for event in events], cursor)


def _render(event: AuditEvent) -> dict[str, object]:
    return without_absent(
        {
            "id": event.id,
            "actor": event.actor,
            "event": event.event,
            "targetType": event.target_type,
            "targetId": event.target_id,
            "createdAt": moment(event.created_at),
            "requestId": event.request_id,
            "sourceIp": event.source_ip,
            "before": event.before,
            "after": event.after,
        }
    )


HANDLERS = {"listAuditEvents": list_events}
