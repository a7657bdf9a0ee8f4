"""What a VM shows of itself: logs and metrics that move with the clock, and stop with it. Pure rules."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping

from openrelay_async.emulator.answers import moment
from openrelay_async.emulator.areas.vms.rules import BILLED
from openrelay_async.emulator.areas.vms.storage import Vm
from openrelay_async.emulator.fleet import GpuKind
from openrelay_async.emulator.lifecycle import all_spans, status_at

LOG_EVERY = 10.0
"""Seconds between two lines."""
MOST_LINES = 500

RANGES: Mapping[str, tuple[int, int]] = {
    "1h": (3600, 60),
    "6h": (6 * 3600, 300),
    "24h": (86400, 1200),
    "7d": (7 * 86400, 3600),
}
"""Range → (seconds, seconds between two points)."""

_SERIES = (
    ("utilization_ratio", "ratio"),
    ("memory_used_bytes", "bytes"),
    ("memory_total_bytes", "bytes"),
    ("power_watts", "watts"),
    ("temperature_celsius", "celsius"),
)


def write_log(vm: Vm, now: float) -> str | None:
    """The last lines of the guest's log; None before it ever ran."""
    lines: list[str] = []
    for began, ended in all_spans(vm.timeline, BILLED):
        until = now if ended is None else min(ended, now)
        if began > now:
            break
        lines.append(f"{moment(began)} {vm.kind} {vm.name} started on {vm.node_id}")
        beats = int((until - began) // LOG_EVERY)
        first = max(1, beats - MOST_LINES + 1)
        lines += [f"{moment(began + beat * LOG_EVERY)} heartbeat {beat}" for beat in range(first, beats + 1)]
        if ended is not None and ended <= now:
            lines.append(f"{moment(ended)} {status_at(vm.timeline, ended)}")
    return "\n".join(lines[-MOST_LINES:]) + "\n" if lines else None


def measure(vm: Vm, kind: GpuKind | None, range_name: str, now: float) -> dict[str, object]:
    """Points of every GPU; null where the VM did not run."""
    length, step = RANGES[range_name]
    end = now - now % step
    times = [end - length + step * (index + 1) for index in range(length // step)]
    running = [
        any(began <= at and (ended is None or at < ended) for began, ended in _runs(vm)) for at in times
    ]
    busy = sum(running) * step
    gpus = [
        {
            "bdf": f"0000:{0x10 + index:02x}:00.0",
            "busySeconds": round(busy * 0.6, 3),
            "series": [
                {
                    "key": key,
                    "unit": unit,
                    "values": [
                        _point(vm, kind, key, index, at) if is_on else None
                        for at, is_on in zip(times, running, strict=True)
                    ],
                }
                for key, unit in _SERIES
            ],
        }
        for index in range(vm.gpu_count)
        if kind is not None
    ]
    return {
        "vmId": vm.id,
        "range": range_name,
        "start": moment(end - length),
        "end": moment(end),
        "stepSeconds": step,
        "pointCount": len(times),
        "gpus": gpus,
        "accelerator": _capability(vm, gpus, any(running)),
    }


def _runs(vm: Vm) -> list[tuple[float, float | None]]:
    return list(all_spans(vm.timeline, BILLED))


def _capability(vm: Vm, gpus: list[dict[str, object]], has_run: bool) -> dict[str, object]:
    if not gpus:
        return {"class": "accelerator", "status": "unavailable", "reason": "no_gpus_recorded"}
    if not has_run:
        return {"class": "accelerator", "status": "unavailable", "reason": "no_session_in_range"}
    return {"class": "accelerator", "status": "available", "source": "nvidia-smi"}


def _point(vm: Vm, kind: GpuKind | None, key: str, index: int, at: float) -> float:
    """Some value that looks like a GPU at work, the same whenever it is asked for."""
    memory = (kind.vram_gb if kind else 0) * 1024**3
    wave = 0.5 + 0.4 * math.sin(at / 900 + _phase(vm.id, index))
    return {
        "utilization_ratio": round(wave, 4),
        "memory_used_bytes": float(int(memory * (0.3 + wave / 2))),
        "memory_total_bytes": float(memory),
        "power_watts": round(80 + 300 * wave, 1),
        "temperature_celsius": round(38 + 35 * wave, 1),
    }[key]


def _phase(vm_id: str, index: int) -> float:
    return hashlib.sha256(f"{vm_id}:{index}".encode()).digest()[0] / 40
