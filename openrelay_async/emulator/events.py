"""Events that are going to happen, planned with the change that causes them and in the same transaction.

A VM that is created now will be running in two seconds: its `vm.running` is written down at once, with its
time. A later change drops what is not due yet. So an event is never lost, whatever happens to the process,
and never announces what did not happen.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import attrs
import orjson

from openrelay_async.emulator.storage import Database

TABLES = (
    "CREATE TABLE events (seq INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, "
    "org_id TEXT NOT NULL, subject TEXT NOT NULL, key TEXT NOT NULL, type TEXT NOT NULL, due REAL NOT NULL, "
    "data BLOB NOT NULL, dispatched INTEGER NOT NULL DEFAULT 0, UNIQUE (subject, key))",
    "CREATE INDEX events_due ON events (dispatched, due)",
)


@attrs.frozen
class Planned:
    """One event of a subject. `key` tells it from the subject's others: planned twice, it happens once."""

    key: str
    type: str
    due: float
    data: Mapping[str, object]


@attrs.frozen
class Event:
    id: str
    org_id: str
    type: str
    due: float
    data: dict[str, object]


def plan_events(
    database: Database, org_id: str, subject: str, planned: Iterable[Planned], now: float
) -> None:
    """Replace what is still to come of `subject`; what is past stays as it was."""
    known = {
        str(row[0])
        for row in database.execute("SELECT key FROM events WHERE subject = ? AND due <= ?", (subject, now))
    }
    database.execute("DELETE FROM events WHERE subject = ? AND due > ?", (subject, now))
    for event in planned:
        # A past entry of a timeline that is not known was past before this event existed in the plan.
        if event.due < now or event.key in known:
            continue
        values = (database.new_id("evt_"), org_id, subject, event.key, event.type, event.due)
        statement = (
            "INSERT INTO events (id, org_id, subject, key, type, due, data) VALUES (?, ?, ?, ?, ?, ?, ?)"
        )
        database.execute(statement, (*values, orjson.dumps(dict(event.data))))


def take_due_events(database: Database, now: float) -> list[Event]:
    """Events that have come due, oldest first; they are marked as taken."""
    rows = database.execute(
        "SELECT id, org_id, type, due, data FROM events WHERE dispatched = 0 AND due <= ? ORDER BY due, seq",
        (now,),
    ).fetchall()
    if rows:
        database.execute("UPDATE events SET dispatched = 1 WHERE dispatched = 0 AND due <= ?", (now,))
    return [Event(str(r[0]), str(r[1]), str(r[2]), float(r[3]), orjson.loads(r[4])) for r in rows]


def next_event_due(database: Database) -> float | None:
    row = database.execute("SELECT MIN(due) FROM events WHERE dispatched = 0").fetchone()
    return None if row[0] is None else float(row[0])
