"""What an emulator can be started with."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Literal, TypedDict

from openrelay_async.clock import Clock
from openrelay_async.emulator.faults import Fault

Generation = Literal["2026-07", "2026-10", "both"]


class EmulatorOptions(TypedDict, total=False):
    """The arguments of `Emulator`, which says what they mean."""

    db: str
    host: str
    port: int
    speed: float
    clock: Clock | None
    generation: Generation
    faults: Iterable[Fault]
    rate_limit: float | None
    seed: int
    fleet: Mapping[str, int] | None
    organization: str
    credit_cents: int
    dashboard: bool
    control: bool
    password: str | None
