"""Records of VMs, and of pods, which share their lifecycle."""

from __future__ import annotations

import attrs

from openrelay_async.emulator.lifecycle import Timeline
from openrelay_async.emulator.storage import Collection


@attrs.frozen
class Vm:
    id: str
    org_id: str
    kind: str
    """`vm` or `pod`."""
    name: str
    created_at: float
    updated_at: float
    timeline: Timeline
    node_id: str
    location_id: str
    price_per_hour_cents: int
    """Locked in when it was created."""
    gpu_model_id: str | None = None
    gpu_count: int = 0
    resource_size: str = "standard"
    disk_size_gb: int = 100
    tier: str = "verified"
    public: bool = False
    service_type: str | None = None
    image_url: str | None = None
    template_id: str | None = None
    container_port: int | None = None
    compute_class: str = "on_demand"
    volume_gb: int | None = None
    ssh_key_ids: list[str] = attrs.field(factory=list)
    ssh_from: float | None = None
    """When SSH answers: a little after it runs, and again after a reboot."""
    billed_from: float = 0.0
    """What it cost before that, another organization paid."""
    sealed: str | None = None
    """Environment and cloud-init, sealed."""


VMS = Collection("vms", Vm, indexed=("kind",))
