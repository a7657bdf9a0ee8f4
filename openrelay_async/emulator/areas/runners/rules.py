"""Sizes, states and costs of runners. Pure rules."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import attrs

from openrelay_async.emulator.areas.runners.storage import RunnerJob
from openrelay_async.emulator.lifecycle import Timeline, begin, changed_at, first_at, status_at, then

PROVISIONING = 2.0
"""Seconds that a job is provisioned for after it was queued for as long."""
POOL_SIZES = (8, 16, 32, 64, 128, 256)
"""GB of memory that a pool can have."""
SIZES: Mapping[str, tuple[int, int]] = {"small": (2, 4096), "medium": (4, 8192), "large": (8, 16384)}
"""Label → (CPUs, MiB)."""
_GITHUB_CENTS_PER_MINUTE = 0.8
_OUR_CENTS_PER_MINUTE = 0.2
ENDED = ("completed", "failed", "cancelled")


@attrs.frozen
class Totals:
    """What the jobs of a pool come to."""

    completed: int
    failed: int
    total: int
    average_seconds: int
    average_queue_seconds: int
    our_cents: int
    github_cents: int


def job_timeline(now: float, lasting: float, *, fails: bool) -> Timeline:
    """Queued now, provisioned, running, and over `lasting` seconds after it began to run."""
    timeline = then(begin(now, "queued"), now + PROVISIONING, "provisioning")
    timeline = then(timeline, now + 2 * PROVISIONING, "running")
    return then(timeline, now + 2 * PROVISIONING + lasting, "failed" if fails else "completed")


def add_up(jobs: Sequence[RunnerJob], now: float) -> Totals:
    ended = [job for job in jobs if status_at(job.timeline, now) in ENDED]
    lengths = [changed_at(job.timeline, now) - (first_at(job.timeline, "running") or now) for job in ended]
    queued = [
        (first_at(job.timeline, "running") or now) - (first_at(job.timeline, "queued") or now)
        for job in ended
    ]
    minutes = sum(lengths) / 60
    return Totals(
        completed=sum(status_at(job.timeline, now) == "completed" for job in ended),
        failed=sum(status_at(job.timeline, now) == "failed" for job in ended),
        total=len(jobs),
        average_seconds=round(sum(lengths) / len(ended)) if ended else 0,
        average_queue_seconds=round(sum(queued) / len(ended)) if ended else 0,
        our_cents=round(minutes * _OUR_CENTS_PER_MINUTE * 100) // 100,
        github_cents=round(minutes * _GITHUB_CENTS_PER_MINUTE * 100) // 100,
    )
