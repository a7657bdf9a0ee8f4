"""Records of batches."""

from __future__ import annotations

import attrs

from openrelay_async.emulator.lifecycle import Timeline
from openrelay_async.emulator.storage import Collection


@attrs.frozen
class Batch:
    id: str
    org_id: str
    endpoint: str
    input_file_id: str
    created_at: float
    timeline: Timeline
    total: int = 0
    failed: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cost_nano_usd: int = 0
    model: str | None = None
    metadata: dict[str, str] | None = None
    output_file_id: str | None = None
    error_file_id: str | None = None
    key_id: str | None = None
    """The key that ordered it: its budget pays."""


BATCHES = Collection("batches", Batch)
