"""Decoding pages of VMs into frozen models with aware times, open enums and unknown fields kept."""

from __future__ import annotations

import functools
import json
import time
from collections.abc import Callable
from datetime import datetime

import attrs
import cattrs
import msgspec
import orjson
from openrelay.models.vm_page import VmPage as OfficialPage

from benchmarks.load_server import page
from benchmarks.measuring import Figure, Point, compare, take_turns
from benchmarks.peers import OFFICIAL, OURS
from benchmarks.targets import at_most
from openrelay_async.models import VmSummary
from openrelay_async.structuring import structure_list

LIMIT = "msgspec.Struct"
WHOLE_PAGE = 1000
OTHER_PAGES = (1, 10, 100)


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


Decode = Callable[[bytes], object]


def _list_decoders(*, is_whole: bool) -> dict[str, Decode]:
    """Return what turns JSON text into objects; only of whole pages those that are there for orientation."""
    struct = msgspec.json.Decoder(StructPage)
    decoders: dict[str, Decode] = {
        LIMIT: struct.decode,
        OURS: lambda body: structure_list(orjson.loads(body)["items"], VmSummary),
        OFFICIAL: lambda body: OfficialPage.from_dict(json.loads(body)),  # as its `response.json()` does
    }
    if is_whole:
        plain = cattrs.Converter()
        decoders["orjson.loads alone"] = orjson.loads
        decoders["json.loads alone"] = json.loads
        decoders["json.loads and our models"] = lambda body: structure_list(
            json.loads(body)["items"], VmSummary
        )
        decoders["official, if it used orjson"] = lambda body: OfficialPage.from_dict(orjson.loads(body))
        decoders["cattrs as it comes"] = lambda body: plain.structure(
            orjson.loads(body)["items"], list[PlainVm]
        )
    return decoders


def _time(decode: Decode, body: bytes, size: int, items: int) -> float:
    """Return the µs of CPU an item, after decoding so many."""
    repeats = max(items // size, 1)
    began = time.process_time()
    for _ in range(repeats):
        decode(body)
    return (time.process_time() - began) / repeats / size * 1e6


def measure(*, quick: bool) -> list[Figure]:
    """Measure µs of CPU an item, JSON text to models, for pages of 1,000 and smaller ones."""
    rounds, items = (4, 2_000) if quick else (11, 15_000)
    figures = []
    for size in (*OTHER_PAGES, WHOLE_PAGE):
        is_whole = size == WHOLE_PAGE
        body = page(size, 0)
        runs = {
            name: functools.partial(_time, decode, body, size, items)
            for name, decode in _list_decoders(is_whole=is_whole).items()
        }
        targets = [at_most(2.8, times=LIMIT, stretch=1.6 / 0.68), at_most(1 / 2.2, times=OFFICIAL)]
        figures += compare(
            f"decoding a page of {size:,}",
            take_turns(runs, rounds=rounds),
            unit="µs of CPU an item",
            baseline=LIMIT,
            targets={OURS: targets} if is_whole else {},
            point=Point("page size, decoding", size),
        )
    return figures
