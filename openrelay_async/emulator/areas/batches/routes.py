"""Batches: create, look, list, cancel."""

from __future__ import annotations

from collections.abc import Iterator
from typing import cast

import attrs
import orjson

from openrelay_async.emulator.answers import Answer, bad_request, conflict, without_absent
from openrelay_async.emulator.areas.api_keys.editing import check_budget
from openrelay_async.emulator.areas.batches import rules
from openrelay_async.emulator.areas.batches.storage import BATCHES, Batch
from openrelay_async.emulator.areas.files.storage import FILES, StoredFile, add_file, delete_file, read_pieces
from openrelay_async.emulator.areas.roles.storage import GUARDRAILS
from openrelay_async.emulator.call import LARGEST_PAGE, Call
from openrelay_async.emulator.events import Planned, plan_events
from openrelay_async.emulator.lifecycle import begin, changed_at, entries, first_at, status_at, then

_LARGEST_METADATA = 16


def create_batch(call: Call) -> Answer:
    body = call.body
    metadata = body.mapping("metadata")
    if metadata is not None and len(metadata) > _LARGEST_METADATA:
        raise bad_request("metadata", f"must have at most {_LARGEST_METADATA} entries")
    check_budget(call)
    source = _find_input(call)
    batch_id = call.new_id("batch_")
    lines = rules.split_lines(read_pieces(call.database, source.id))
    outcome = rules.run(
        lines, body.text("endpoint"), body.optional_text("model"), batch_id, _allowed_models(call)
    )
    step, now = rules.STEP, call.now
    timeline = begin(now, "validating")
    if outcome.is_valid:
        timeline = then(timeline, now + step, "in_progress")
        timeline = then(timeline, now + 2 * step, "finalizing")
        timeline = then(timeline, now + 3 * step, "completed")
    else:
        timeline = then(timeline, now + step, "failed")
    ends = now + (3 if outcome.is_valid else 1) * step
    batch = Batch(
        id=batch_id,
        org_id=call.org_id,
        endpoint=body.text("endpoint"),
        input_file_id=source.id,
        created_at=now,
        timeline=timeline,
        total=outcome.total if outcome.is_valid else 0,
        failed=len(outcome.errors) if outcome.is_valid else 0,
        input_tokens=outcome.input_tokens,
        output_tokens=outcome.output_tokens,
        cost_nano_usd=outcome.cost_nano_usd if outcome.is_valid else 0,
        model=body.optional_text("model"),
        metadata=cast("dict[str, str] | None", metadata),
        output_file_id=_write(call, batch_id, "output", outcome.output, ends) if outcome.is_valid else None,
        error_file_id=_write(call, batch_id, "errors", outcome.errors, ends),
        key_id=call.principal.key.id if call.principal.key else None,
    )
    BATCHES.insert(call.database, batch)
    return _save(call, batch)


def _allowed_models(call: Call) -> set[str] | None:
    """The models that the key and the organization allow; None is all."""
    key = call.principal.key
    lists = [(key.restrictions or {}).get("models", []) if key else []]
    policies = GUARDRAILS.find(call.database, org_id=call.org_id)
    lists += [item.models for item in policies if item.enabled and item.guardrail == "model_allowlist"]
    allowed = [set(models) for models in lists if models]
    return set.intersection(*allowed) if allowed else None


def _find_input(call: Call) -> StoredFile:
    file_id, requests = call.body.optional_text("input_file_id"), call.body.raw.get("requests")
    if (file_id is None) == (requests is None):
        raise bad_request("input_file_id", "give either input_file_id or requests")
    if file_id is not None:
        file = FILES.get(call.database, file_id)
        if file is None or file.org_id != call.org_id or not file.is_there(call.now):
            raise bad_request("input_file_id", "is no file of this organization")
        return file
    lines = (orjson.dumps(request) + b"\n" for request in cast("list[object]", requests))
    return add_file(call.database, call.org_id, "requests.jsonl", "batch", lines, now=call.now, at=call.now)


def _write(call: Call, batch_id: str, kind: str, lines: list[bytes], at: float) -> str | None:
    if not lines:
        return None
    name, purpose = f"{batch_id}_{kind}.jsonl", "batch_output"
    return add_file(call.database, call.org_id, name, purpose, _join(lines), now=call.now, at=at).id


def _join(lines: list[bytes]) -> Iterator[bytes]:
    for start in range(0, len(lines), 1000):
        yield b"".join(lines[start : start + 1000])


def _save(call: Call, batch: Batch) -> Answer:
    BATCHES.update(call.database, batch)
    planned = [
        Planned(f"{index}:{status}", f"batch.{status}", at, _announce(batch, status, at))
        for index, (at, status) in enumerate(entries(batch.timeline))
        if status in rules.FINAL
    ]
    plan_events(call.database, batch.org_id, batch.id, planned, call.now)
    return Answer(render_batch(batch, call.now))


def _announce(batch: Batch, status: str, at: float) -> dict[str, object]:
    return {
        "batch_id": batch.id,
        "status": status,
        "output_file_id": batch.output_file_id,
        "error_file_id": batch.error_file_id,
        "request_counts": _count(batch, at),
        "cost_nano_usd": batch.cost_nano_usd,
    }


def get_batch(call: Call) -> Answer:
    return Answer(render_batch(_find(call), call.now))


def list_batches(call: Call) -> Answer:
    limit = call.query.bounded("limit", 20, least=1, most=LARGEST_PAGE)
    newest = BATCHES.find(call.database, org_id=call.org_id)[::-1]
    after = call.query.optional_text("after")
    if after:
        positions = [index for index, batch in enumerate(newest) if batch.id == after]
        if not positions:
            raise bad_request("after", "is no batch of this organization", "INVALID_CURSOR")
        newest = newest[positions[0] + 1 :]
    page = newest[:limit]
    answer: dict[str, object] = {
        "object": "list",
        "data": [render_batch(batch, call.now) for batch in page],
        "has_more": len(newest) > limit,
    }
    if page:
        answer |= {"first_id": page[0].id, "last_id": page[-1].id}
    return Answer(answer)


def cancel_batch(call: Call) -> Answer:
    batch = _find(call)
    status = status_at(batch.timeline, call.now)
    if status in ("cancelling", "cancelled"):
        return Answer(render_batch(batch, call.now))  # again is as good as once
    if status in rules.FINAL:
        raise conflict(f"the batch is {status} already", "BATCH_ENDED")
    timeline = then(batch.timeline, call.now, "cancelling")
    timeline = then(timeline, call.now + rules.STEP, "cancelled")
    for file_id in (batch.output_file_id, batch.error_file_id):
        file = FILES.get(call.database, file_id) if file_id else None
        if file is not None:
            delete_file(call.database, file)
    cancelled = attrs.evolve(
        batch, timeline=timeline, output_file_id=None, error_file_id=None, cost_nano_usd=0, failed=0
    )
    return _save(call, cancelled)


def _find(call: Call) -> Batch:
    return call.require(BATCHES, call.path["id"], "batch")


def render_batch(batch: Batch, now: float) -> dict[str, object]:
    status = status_at(batch.timeline, now)
    has_ended = status in ("completed", "failed")
    ended = int(changed_at(batch.timeline, now))
    usage = {
        "input_tokens": batch.input_tokens,
        "output_tokens": batch.output_tokens,
        "cost_nano_usd": batch.cost_nano_usd,
    }
    return without_absent(
        {
            "id": batch.id,
            "object": "batch",
            "endpoint": batch.endpoint,
            "status": status,
            "input_file_id": batch.input_file_id,
            "output_file_id": batch.output_file_id if has_ended else None,
            "error_file_id": batch.error_file_id if has_ended else None,
            "completion_window": "24h",
            "created_at": int(batch.created_at),
            "expires_at": int(batch.created_at + rules.WINDOW),
            "completed_at": ended if status == "completed" else None,
            "failed_at": ended if status == "failed" else None,
            "cancelled_at": ended if status == "cancelled" else None,
            "request_counts": _count(batch, now),
            "usage": usage if status == "completed" else None,
            "model": batch.model,
            "metadata": batch.metadata,
        }
    )


def _count(batch: Batch, now: float) -> dict[str, object]:
    """Requests are answered evenly while it is in progress."""
    began = first_at(batch.timeline, "in_progress")
    share = 0.0 if began is None else min(1.0, max(0.0, (now - began) / rules.STEP))
    is_cancelled = status_at(batch.timeline, now) in ("cancelling", "cancelled")
    answered = 0 if is_cancelled else int((batch.total - batch.failed) * share)
    failed = 0 if is_cancelled else int(batch.failed * share)
    return {
        "total": batch.total if began is not None and began <= now else 0,
        "completed": answered,
        "failed": failed,
    }


HANDLERS = {
    "createBatch": create_batch,
    "getBatch": get_batch,
    "listBatches": list_batches,
    "cancelBatch": cancel_batch,
}
