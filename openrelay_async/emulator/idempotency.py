"""Idempotency keys: the same key and body give the same resource again, another body is a conflict."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeVar

import orjson

from openrelay_async.emulator.answers import conflict
from openrelay_async.emulator.call import Call

T = TypeVar("T")

REMEMBERED = 24 * 3600.0

TABLES = (
    "CREATE TABLE idempotency (org_id TEXT, operation TEXT, key TEXT, body TEXT NOT NULL, "
    "resource_id TEXT NOT NULL, created_at REAL NOT NULL, "
    "PRIMARY KEY (org_id, operation, key)) WITHOUT ROWID",
    "CREATE INDEX idempotency_age ON idempotency (created_at)",
)


def create_once(call: Call, key: str | None, make: Callable[[], str]) -> tuple[str, Mapping[str, str]]:
    """The id of what was created under `key`, and headers that say so if that was in an earlier request.

    The id is written in the same transaction as the resource: a key whose request failed is free again.
    Keys are remembered for 24 hours, for each organization and operation.

    Raises:
        Refusal: 409 `IDEMPOTENCY_KEY_REUSED` if the body differs.
    """
    if key is None:
        return make(), {}
    place = (call.org_id, call.operation.id, key)
    # Keyed, because a body may hold secrets that could be guessed from a plain hash.
    canonical = orjson.dumps(dict(call.body.raw), option=orjson.OPT_SORT_KEYS).decode()
    body = call.database.vault.digest("idempotency", canonical).hex()
    call.database.execute("DELETE FROM idempotency WHERE created_at < ?", (call.now - REMEMBERED,))
    row = call.database.execute(
        "SELECT body, resource_id FROM idempotency WHERE org_id = ? AND operation = ? AND key = ?", place
    ).fetchone()
    if row is not None:
        if row[0] != body:
            raise conflict("this idempotency key was used with another body", "IDEMPOTENCY_KEY_REUSED")
        return str(row[1]), {"Idempotent-Replayed": "true"}
    resource_id = make()
    call.database.execute(
        "INSERT INTO idempotency VALUES (?, ?, ?, ?, ?, ?)", (*place, body, resource_id, call.now)
    )
    return resource_id, {}
