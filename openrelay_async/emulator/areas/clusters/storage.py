"""Records of clusters."""

from __future__ import annotations

import attrs

from openrelay_async.emulator.lifecycle import Timeline
from openrelay_async.emulator.storage import Collection


@attrs.frozen
class Cluster:
    id: str
    org_id: str
    name: str
    created_at: float
    updated_at: float
    timeline: Timeline
    """What was asked of it: `deploying`, `stopped`, `terminated` (or `failed`); the rest follows from the
    replicas.
    """
    full_from: float
    """When all replicas of the last deployment are healthy."""
    replicas: list[dict[str, object]]
    price_per_hour_cents: int
    """Of one replica."""
    gpu_model_id: str | None = None
    gpus_per_replica: int = 1
    resource_size: str = "standard"
    disk_size_gb: int = 100
    tier: str = "verified"
    allow_fallback: bool = False
    privileged: bool = False
    image_url: str | None = None
    container_port: int | None = None
    health_check_path: str | None = None
    health_check_port: int | None = None
    health_checks: list[str] = attrs.field(factory=list)
    preferred_regions: list[str] = attrs.field(factory=list)
    sealed: str | None = None


CLUSTERS = Collection("clusters", Cluster)
