"""What ran, from when to when, and at which price: the source of usage, burn and balance.

Times are whole microseconds, so that sums are exact: cents are rounded once, at the end.
"""

from __future__ import annotations

from collections.abc import Iterable

import attrs

from openrelay_async.emulator.storage import Database

TABLES = (
    "CREATE TABLE spans (resource_id TEXT NOT NULL, org_id TEXT NOT NULL, item TEXT NOT NULL, "
    "cents_per_hour INTEGER NOT NULL, began INTEGER NOT NULL, ended INTEGER)",
    "CREATE INDEX spans_resource ON spans (resource_id)",
    "CREATE INDEX spans_org ON spans (org_id, ended)",
)

MICROSECONDS = 1_000_000
HOUR = 3600 * MICROSECONDS


@attrs.frozen
class Span:
    """A time in which something ran; `ended` is None while it does."""

    resource_id: str
    item: str
    """What is billed, such as `rtx-4090`."""
    cents_per_hour: int
    began: int
    ended: int | None

    def length(self, since: int, until: int) -> int:
        """Microseconds of it between two times."""
        return max(0, min(until if self.ended is None else self.ended, until) - max(self.began, since))


def ticks(at: float) -> int:
    """Seconds as whole microseconds."""
    return round(at * MICROSECONDS)


def write_spans(
    database: Database,
    org_id: str,
    resource_id: str,
    item: str,
    cents_per_hour: int,
    times: Iterable[tuple[float, float | None]],
) -> None:
    """All times in which a resource ran, or is going to run."""
    database.execute("DELETE FROM spans WHERE resource_id = ?", (resource_id,))
    for began, ended in times:
        values = (ticks(began), None if ended is None else ticks(ended))
        database.execute(
            "INSERT INTO spans VALUES (?, ?, ?, ?, ?, ?)",
            (resource_id, org_id, item, cents_per_hour, *values),
        )


def close_account(database: Database, resource_id: str, reason: str, at: float) -> None:
    """What it cost up to `at` stays with whom it was metered for, whatever becomes of the resource."""
    end_span(database, resource_id, at)
    closed = f"{resource_id}@{reason}"
    database.execute("UPDATE spans SET resource_id = ? WHERE resource_id = ?", (closed, resource_id))
    database.execute(
        "UPDATE spans SET ended = ? WHERE resource_id = ? AND ended > ?", (ticks(at), closed, ticks(at))
    )


def end_span(database: Database, resource_id: str, at: float) -> None:
    """It stops at `at`; what would have begun later does not happen."""
    database.execute("DELETE FROM spans WHERE resource_id = ? AND began >= ?", (resource_id, ticks(at)))
    database.execute(
        "UPDATE spans SET ended = ? WHERE resource_id = ? AND ended IS NULL", (ticks(at), resource_id)
    )


def read_spans(database: Database, org_id: str, since: float, until: float) -> list[Span]:
    """What of an organization ran between two times."""
    rows = database.execute(
        "SELECT resource_id, item, cents_per_hour, began, ended FROM spans "
        "WHERE org_id = ? AND began < ? AND (ended IS NULL OR ended > ?)",
        (org_id, ticks(until), ticks(since)),
    )
    return [
        Span(str(r[0]), str(r[1]), int(r[2]), int(r[3]), None if r[4] is None else int(r[4])) for r in rows
    ]


def burn_per_hour(database: Database, org_id: str, now: float) -> int:
    """US cents per hour of what runs now."""
    row = database.execute(
        "SELECT COALESCE(SUM(cents_per_hour), 0) FROM spans "
        "WHERE org_id = ? AND began <= ? AND (ended IS NULL OR ended > ?)",
        (org_id, ticks(now), ticks(now)),
    ).fetchone()
    return int(row[0])


def estimate_cents(database: Database, org_id: str, until: float) -> float:
    """All usage up to a time, as SQLite adds it up: fast, and near enough to decide on credit."""
    end = ticks(until)
    row = database.execute(
        "SELECT TOTAL(cents_per_hour * 1.0 * (MIN(COALESCE(ended, ?), ?) - began)) FROM spans "
        "WHERE org_id = ? AND began < ?",
        (end, end, org_id, end),
    ).fetchone()
    return float(row[0]) / HOUR
