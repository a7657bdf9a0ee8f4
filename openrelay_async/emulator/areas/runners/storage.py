"""Records of runner pools and their jobs."""

from __future__ import annotations

import attrs

from openrelay_async.emulator.lifecycle import Timeline
from openrelay_async.emulator.storage import Collection


@attrs.frozen
class RunnerPool:
    id: str
    org_id: str
    name: str
    installation_id: int
    github_owner: str
    github_owner_type: str
    pool_ram_gb: int
    disk_size_gb: int
    created_at: float
    updated_at: float


@attrs.frozen
class RunnerJob:
    """A job that a test let happen: nothing here talks to GitHub."""

    id: str
    org_id: str
    pool_id: str
    repository: str
    size: str
    cpus: int
    ram_mb: int
    timeline: Timeline


RUNNER_POOLS = Collection("runner_pools", RunnerPool)
RUNNER_JOBS = Collection("runner_jobs", RunnerJob, indexed=("pool_id",))
