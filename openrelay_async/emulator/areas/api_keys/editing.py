"""Budgets, restrictions and other terms of a key."""

from __future__ import annotations

from datetime import UTC, datetime

import attrs

from openrelay_async.emulator.answers import Answer, Refusal, bad_request, moment
from openrelay_async.emulator.areas.api_keys.routes import render_key
from openrelay_async.emulator.areas.api_keys.storage import API_KEYS, ApiKey
from openrelay_async.emulator.areas.api_keys.terms import read_restrictions
from openrelay_async.emulator.areas.batches.storage import BATCHES
from openrelay_async.emulator.areas.usage.rules import day_start, month_start
from openrelay_async.emulator.call import Call
from openrelay_async.emulator.lifecycle import status_at
from openrelay_async.emulator.storage import Database


def update_key(call: Call) -> Answer:
    key, body = call.require(API_KEYS, call.path["id"], "API key"), call.body
    if (
        call.principal.roles.get(key.org_id) not in ("owner", "admin")
        and key.owner_user_id != call.principal.user_id
    ):
        raise Refusal(403, "needs an owner or admin, or who owns the key", "FORBIDDEN", deniedBy="role")
    budget = key.budget
    edit = body.fields("budget")
    if edit is not None:
        limit = edit.optional_integer("limitNanoUsd")
        if limit is not None and limit < 0:
            raise bad_request("budget.limitNanoUsd", "must not be negative")
        if limit is None and budget is None:
            raise bad_request("budget.limitNanoUsd", "is required where there was no budget")
        old = budget or {}
        budget = {
            "limitNanoUsd": old.get("limitNanoUsd") if limit is None else limit,
            "period": edit.text("period") or old.get("period", "lifetime"),
        }
    changed = attrs.evolve(
        key,
        name=body.name() if "name" in body else key.name,
        note=body.text("note") or None if "note" in body else key.note,
        budget=budget,
        restrictions=read_restrictions(body) if "restrictions" in body else key.restrictions,
    )
    API_KEYS.update(call.database, changed)
    call.audit("api_key.updated", "api_key", key.id)
    return Answer(render_key(changed, call.last_used.get(key.id, key.last_used_at)))


def check_budget(call: Call) -> None:
    """Raise 402 `BUDGET_EXCEEDED` if the key has spent what it may in its period."""
    key = call.principal.key
    if key is None or key.budget is None:
        return
    limit, spent = key.budget.get("limitNanoUsd"), spent_nano_usd(call.database, key, call.now)
    if isinstance(limit, int) and spent >= limit:
        raise Refusal(402, "the budget of this key is used up", "BUDGET_EXCEEDED")


def spent_nano_usd(database: Database, key: ApiKey, now: float) -> int:
    """What the batches of a key cost in the present period."""
    period = (key.budget or {}).get("period", "lifetime")
    since = {"daily": day_start(now), "monthly": month_start(now)}.get(str(period), 0.0)
    return sum(
        batch.cost_nano_usd
        for batch in BATCHES.find(database, org_id=key.org_id)
        if batch.key_id == key.id
        and batch.created_at >= since
        and status_at(batch.timeline, now) != "cancelled"
    )


def describe_budget(database: Database, key: ApiKey, now: float) -> dict[str, object] | None:
    """The budget with what is spent of it, and when its period ends."""
    if key.budget is None:
        return None
    shown = {**key.budget, "spentNanoUsd": spent_nano_usd(database, key, now)}
    if key.budget.get("period") == "daily":
        shown["periodEndsAt"] = moment(day_start(now) + 86400)
    elif key.budget.get("period") == "monthly":
        at = datetime.fromtimestamp(now, UTC)
        year, month = (at.year + 1, 1) if at.month == 12 else (at.year, at.month + 1)
        shown["periodEndsAt"] = moment(datetime(year, month, 1, tzinfo=UTC).timestamp())
    return shown


HANDLERS = {"updateOrgApiKey": update_key}
