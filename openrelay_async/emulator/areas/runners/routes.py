"""Runner pools: connect, create, resize, delete; their jobs."""

from __future__ import annotations

import hmac
from collections import Counter
from datetime import UTC, datetime

import attrs

from openrelay_async.emulator.answers import Answer, bad_request, conflict, moment, rfc3339, without_absent
from openrelay_async.emulator.areas.runners import rules
from openrelay_async.emulator.areas.runners.storage import RUNNER_JOBS, RUNNER_POOLS, RunnerJob, RunnerPool
from openrelay_async.emulator.call import LARGEST_PAGE, Call
from openrelay_async.emulator.lifecycle import changed_at, first_at, status_at

_INSTALLATION = 1_000_001
_ACCOUNT = "acme"
"""The one installation that every emulated sign-in at GitHub finds."""
_DEFAULT_DISK = 80
_JOB_PAGE = 50


def get_connect_url(call: Call) -> Answer:
    state = call.database.vault.derive("", "runner state", call.org_id)[:24]
    url = f"https://github.example/login/oauth/authorize?state={state}"
    install = f"https://github.example/apps/openrelay-emulator/installations/new?state={state}"
    return Answer({"url": url, "installUrl": install, "oauth": True})


def list_installations(call: Call) -> Answer:
    if not call.body.text("code").strip():
        raise bad_request("code", "must not be blank")
    pools = RUNNER_POOLS.find(call.database, org_id=call.org_id)
    installation = {
        "installationId": _INSTALLATION,
        "account": _ACCOUNT,
        "accountType": "Organization",
        "alreadyConnected": any(pool.installation_id == _INSTALLATION for pool in pools),
        "connectGrant": _grant(call, _INSTALLATION),
    }
    return Answer({"installations": [installation]})


def _grant(call: Call, installation_id: int) -> str:
    return call.database.vault.derive("grant_", "installation", call.org_id, str(installation_id))


def create_pool(call: Call) -> Answer:
    body = call.body
    installation = body.integer("installationId")
    pools = RUNNER_POOLS.find(call.database, org_id=call.org_id)
    is_connected = any(pool.installation_id == installation for pool in pools)
    expected = _grant(call, installation)
    if not is_connected and not hmac.compare_digest(body.text("grant").encode(), expected.encode()):
        raise bad_request("grant", "is not one that listing the installations gave")
    name = body.name() if "name" in body else "default"
    if any(pool.name == name for pool in pools):
        raise conflict("the organization has a pool of this name", "NAME_TAKEN")
    pool = RunnerPool(
        id=call.new_id("rp_"),
        org_id=call.org_id,
        name=name,
        installation_id=installation,
        github_owner=body.text("githubOwner") or _ACCOUNT,
        github_owner_type=body.text("githubOwnerType") or "Organization",
        pool_ram_gb=_read_size(body.integer("poolRamGb", rules.POOL_SIZES[0])),
        disk_size_gb=body.bounded("diskSizeGb", _DEFAULT_DISK, least=10, most=1000),
        created_at=call.now,
        updated_at=call.now,
    )
    RUNNER_POOLS.insert(call.database, pool)
    return Answer(_render(pool))


def _read_size(gigabytes: int) -> int:
    if gigabytes not in rules.POOL_SIZES:
        raise bad_request("poolRamGb", f"must be one of {', '.join(map(str, rules.POOL_SIZES))}")
    return gigabytes


def list_pools(call: Call) -> Answer:
    return Answer([_render_item(call, pool) for pool in RUNNER_POOLS.find(call.database, org_id=call.org_id)])


def get_pool(call: Call) -> Answer:
    return Answer(_render_item(call, _find(call)))


def resize_pool(call: Call) -> Answer:
    pool = _find(call)
    changed = attrs.evolve(pool, pool_ram_gb=_read_size(call.body.integer("poolRamGb")), updated_at=call.now)
    return Answer(_render(RUNNER_POOLS.update(call.database, changed)))


def delete_pool(call: Call) -> Answer:
    pool = _find(call)
    RUNNER_POOLS.delete(call.database, pool)
    for job in RUNNER_JOBS.find(call.database, pool_id=pool.id):
        RUNNER_JOBS.delete(call.database, job)
    return Answer({"status": "deleted"})


def list_jobs(call: Call) -> Answer:
    pool = _find(call)
    limit = call.query.bounded("limit", _JOB_PAGE, least=1, most=LARGEST_PAGE)
    offset = call.query.bounded("offset", 0, least=0, most=2**31)
    newest = RUNNER_JOBS.find(call.database, pool_id=pool.id)[::-1]
    return Answer([_render_job(job, call.now) for job in newest[offset : offset + limit]])


def get_metrics(call: Call) -> Answer:
    pool = _find(call)
    jobs = RUNNER_JOBS.find(call.database, pool_id=pool.id)
    totals = rules.add_up(jobs, call.now)
    days: dict[str, Counter[str]] = {}
    for job in jobs:
        day = datetime.fromtimestamp(changed_at(job.timeline, call.now), UTC).date().isoformat()
        days.setdefault(day, Counter())[status_at(job.timeline, call.now)] += 1
    return Answer(
        {
            "summary": {
                "totalJobs": totals.total,
                "completedJobs": totals.completed,
                "failedJobs": totals.failed,
                "avgDurationSec": totals.average_seconds,
                "avgQueueTimeSec": totals.average_queue_seconds,
            },
            "cost": {
                "vectorlayCostCents": totals.our_cents,
                "githubCostCents": totals.github_cents,
                "savedCents": totals.github_cents - totals.our_cents,
            },
            "daily": [
                {"date": day}
                | {name: counts[name] for name in ("completed", "failed", "cancelled", "running")}
                for day, counts in sorted(days.items())
            ],
        }
    )


def _find(call: Call) -> RunnerPool:
    return call.require(RUNNER_POOLS, call.path["id"], "runner pool")


def _render(pool: RunnerPool) -> dict[str, object]:
    return {
        "id": pool.id,
        "organizationId": pool.org_id,
        "name": pool.name,
        "status": "active",
        "githubInstallationId": pool.installation_id,
        "githubOwner": pool.github_owner,
        "githubOwnerType": pool.github_owner_type,
        "poolRamGb": pool.pool_ram_gb,
        "diskSizeGb": pool.disk_size_gb,
        "createdAt": moment(pool.created_at),
        "updatedAt": moment(pool.updated_at),
    }


def _render_item(call: Call, pool: RunnerPool) -> dict[str, object]:
    jobs = RUNNER_JOBS.find(call.database, pool_id=pool.id)
    active = [job for job in jobs if status_at(job.timeline, call.now) in ("provisioning", "running")]
    queued = [job for job in jobs if status_at(job.timeline, call.now) == "queued"]
    return {
        **_render(pool),
        "activeRunners": len(active),
        "usedRamMb": sum(job.ram_mb for job in active),
        "queuedRunners": len(queued),
        "queuedRamMb": sum(job.ram_mb for job in queued),
    }


def _render_job(job: RunnerJob, now: float) -> dict[str, object]:
    def seen(status: str) -> str | None:
        at = first_at(job.timeline, status)
        return rfc3339(at) if at is not None and at <= now else None

    status = status_at(job.timeline, now)
    return without_absent(
        {
            "id": job.id,
            "organizationId": job.org_id,
            "runnerPoolId": job.pool_id,
            "githubRepo": job.repository,
            "runnerSizeLabel": job.size,
            "runnerName": f"openrelay-{job.id[-8:]}",
            "cpus": job.cpus,
            "ramMb": job.ram_mb,
            "status": status,
            "queuedAt": seen("queued"),
            "provisioningAt": seen("provisioning"),
            "runningAt": seen("running"),
            "completedAt": seen("completed") or seen("failed"),
            "failureReason": "the job failed" if status == "failed" else None,
        }
    )


HANDLERS = {
    "getRunnerConnectUrl": get_connect_url,
    "listRunnerInstallations": list_installations,
    "createRunnerPool": create_pool,
    "listRunnerPools": list_pools,
    "getRunnerPool": get_pool,
    "resizeRunnerPool": resize_pool,
    "deleteRunnerPool": delete_pool,
    "listRunnerJobs": list_jobs,
    "getRunnerJobMetrics": get_metrics,
}
