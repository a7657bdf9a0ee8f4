"""The lifecycle of a VM. Pure rules."""

from __future__ import annotations

from collections.abc import Mapping

import attrs

from openrelay_async.emulator.answers import conflict
from openrelay_async.emulator.areas.vms.storage import Vm
from openrelay_async.emulator.lifecycle import begin, last_at, status_at, then

DEPLOYING = 2.0
"""Seconds from the order to `running`."""
SSH_DELAY = 1.0
"""Seconds from `running` (or a reboot) to SSH."""

ACTIVE = ("pending", "deploying", "running", "stopped", "interrupted")
BILLED = ("running",)
HOLDING = ("pending", "deploying", "running", "interrupted")
"""In these states it holds its GPUs; a stopped VM gives them back."""

# operation → states in which it may be asked for; `terminate` may always be.
_ALLOWED: Mapping[str, tuple[str, ...]] = {
    "stop": ("pending", "deploying", "running", "interrupted"),
    "restart": ("running", "stopped", "failed", "interrupted"),
    "reboot": ("running",),
    "snapshot": ("running", "stopped"),
    "change": ACTIVE,
}


def check_allowed(operation: str, vm: Vm, now: float) -> None:
    """Raise 409 unless `operation` may be asked for in the state of now."""
    status = status_at(vm.timeline, now)
    if status not in _ALLOWED[operation]:
        raise conflict(f"cannot {operation} a {vm.kind} that is {status}", "INVALID_VM_STATE")


def deploy(vm: Vm, now: float) -> Vm:
    """Deploying now, running soon, reachable a little later."""
    timeline = then(vm.timeline, now, "deploying") if vm.created_at < now else begin(now, "deploying")
    running = now + DEPLOYING
    return attrs.evolve(
        vm, timeline=then(timeline, running, "running"), ssh_from=running + SSH_DELAY, updated_at=now
    )


def stop(vm: Vm, now: float) -> Vm:
    return attrs.evolve(vm, timeline=then(vm.timeline, now, "stopped", "stopped by user"), updated_at=now)


def terminate(vm: Vm, now: float) -> Vm:
    return attrs.evolve(
        vm, timeline=then(vm.timeline, now, "terminated", "terminated by user"), updated_at=now
    )


def reboot(vm: Vm, now: float) -> Vm:
    """It stays `running`; SSH goes away for a moment."""
    return attrs.evolve(vm, ssh_from=now + SSH_DELAY, updated_at=now)


def move(vm: Vm, status: str, reason: str | None, at: float) -> Vm:
    """What a test script wants to happen at `at`."""
    ssh_from = at + SSH_DELAY if status == "running" else vm.ssh_from
    return attrs.evolve(vm, timeline=then(vm.timeline, at, status, reason), ssh_from=ssh_from)


def is_active(vm: Vm, now: float) -> bool:
    return status_at(vm.timeline, now) in ACTIVE


def is_ssh_ready(vm: Vm, now: float) -> bool:
    return status_at(vm.timeline, now) == "running" and vm.ssh_from is not None and vm.ssh_from <= now


def provisioning_stage(vm: Vm, now: float) -> str | None:
    """What a deploying VM is doing: half the time it is placed, half the time it boots."""
    if status_at(vm.timeline, now) not in ("pending", "deploying"):
        return None
    began = last_at(vm.timeline, "deploying", now) or now
    return "scheduling" if now < began + DEPLOYING / 2 else "booting"
