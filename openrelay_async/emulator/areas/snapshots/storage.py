"""Records of snapshots."""

from __future__ import annotations

import attrs

from openrelay_async.emulator.lifecycle import Timeline
from openrelay_async.emulator.storage import Collection


@attrs.frozen
class Snapshot:
    id: str
    org_id: str
    name: str
    source_vm_id: str
    created_at: float
    timeline: Timeline
    disk_size_gb: int
    chain_depth: int
    gpu_model_id: str | None
    gpu_count: int
    resource_size: str
    image_url: str | None
    template_id: str | None
    container_port: int | None
    node_id: str
    tier: str
    sealed: str | None


SNAPSHOTS = Collection("snapshots", Snapshot, indexed=("source_vm_id",))
