"""What creating takes, as types: the arguments of leases."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal, Required, TypedDict

from openrelay_async.redaction import Secret


class VmOrder(TypedDict, total=False):
    """What `create` takes: the arguments of a lease."""

    name: Required[str]
    allow_fallback: bool
    container_command: Sequence[str]
    container_port: int
    disk_size_gb: int
    env_vars: Mapping[str, str | Secret]
    gpu_count: int
    gpu_model_id: str
    health_check_path: str
    health_check_port: int
    health_checks: Sequence[str]
    image_url: str
    kernel_modules: Sequence[str]
    preferred_regions: Sequence[str]
    privileged: bool
    public: bool
    registry_credential_id: str
    resource_size: str
    service_type: str
    ssh_key_ids: Sequence[str]
    template_id: str
    tier: str
    cloud_init: str | Secret
    guest_mem_mb: int
    node_id: str
    org_id: str | None


class ClusterOrder(TypedDict, total=False):
    """What `create` takes: the arguments of a lease."""

    name: Required[str]
    allow_fallback: bool
    container_command: Sequence[str]
    container_port: int
    disk_size_gb: int
    env_vars: Mapping[str, str | Secret]
    gpu_model_id: str
    gpus_per_replica: int
    health_check_path: str
    health_check_port: int
    health_checks: Sequence[str]
    image_url: str
    kernel_modules: Sequence[str]
    preferred_regions: Sequence[str]
    privileged: bool
    registry_credential_id: str
    replica_count: int
    resource_size: str
    template_id: str
    tier: str
    org_id: str | None


class PodOrder(TypedDict, total=False):
    """What `create` takes: the arguments of a lease."""

    image: Required[str]
    ssh_key_ids: Required[Sequence[str]]
    compute_class: Literal["interruptible", "on_demand", "reserved"] | str
    env_vars: Mapping[str, str | Secret]
    gpu_count: int
    gpu_model_id: str
    http_port: int
    name: str
    public: bool
    shm_size_gb: int
    volume_gb: int
