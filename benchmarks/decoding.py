"""Decoding a page of 1,000 VMs into frozen models with aware times, open enums and unknown fields kept."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import datetime

import attrs
import cattrs
import msgspec
import orjson
from openrelay.models.vm_page import VmPage as OfficialPage

from benchmarks.load_server import page
from benchmarks.measuring import OURS, Figure, compare
from openrelay_async.models import VmSummary
from openrelay_async.structuring import structure_list

SIZE = 1000
BODY = page(SIZE, 0)


class StructVm(msgspec.Struct, rename="camel", frozen=True):
    """The same VM as msgspec reads it: the limit."""

    id: str
    name: str
    organization_id: str
    status: str
    created_at: datetime | None = None
    disk_size_gb: int | None = None
    endpoint_url: str | None = None
    gpu_count: int | None = None
    gpu_model_id: str | None = None
    gpu_model_name: str | None = None
    price_per_hour_cents: int | None = None
    provisioning_stage: str | None = None
    public: bool | None = None
    resource_size: str | None = None
    service_type: str | None = None
    status_reason: str | None = None
    tier: str | None = None


class StructPage(msgspec.Struct, rename="camel"):
    items: list[StructVm]
    next_cursor: str | None = None


@attrs.frozen
class PlainVm:
    """The same VM as cattrs reads it by itself, with the wire's names and times as text."""

    id: str
    name: str
    organizationId: str  # noqa: N815 - the wire's name
    status: str
    createdAt: str | None = None  # noqa: N815
    diskSizeGb: int | None = None  # noqa: N815
    endpointUrl: str | None = None  # noqa: N815
    gpuCount: int | None = None  # noqa: N815
    gpuModelId: str | None = None  # noqa: N815
    gpuModelName: str | None = None  # noqa: N815
    pricePerHourCents: int | None = None  # noqa: N815
    provisioningStage: str | None = None  # noqa: N815
    public: bool | None = None
    resourceSize: str | None = None  # noqa: N815
    serviceType: str | None = None  # noqa: N815
    statusReason: str | None = None  # noqa: N815
    tier: str | None = None


def measure(*, quick: bool) -> list[Figure]:
    """Measure µs of CPU an item, JSON text to models."""
    rounds, repeats = (7, 5) if quick else (15, 20)
    decoder = msgspec.json.Decoder(StructPage)
    converter = cattrs.Converter()

    def timed(decode: Callable[[], object]) -> Callable[[], float]:
        def run() -> float:
            began = time.process_time()
            for _ in range(repeats):
                decode()
            return (time.process_time() - began) / repeats / SIZE * 1e6

        return run

    return compare(
        "decoding a page of 1,000",
        {
            "msgspec.Struct": timed(lambda: decoder.decode(BODY)),
            "orjson.loads alone": timed(lambda: orjson.loads(BODY)),
            OURS: timed(lambda: structure_list(orjson.loads(BODY)["items"], VmSummary)),
            "official openrelay-sdk": timed(lambda: OfficialPage.from_dict(orjson.loads(BODY))),
            "cattrs as it comes": timed(
                lambda: converter.structure(orjson.loads(BODY)["items"], list[PlainVm])
            ),
        },
        baseline="msgspec.Struct",
        unit="µs of CPU an item",
        rounds=rounds,
        targets={OURS: 2.8},
    )
