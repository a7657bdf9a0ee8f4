"""The catalog: open to everyone with a key, whatever its scopes."""

from __future__ import annotations

from collections.abc import Mapping

from openrelay_async.emulator.answers import Answer, moment, without_absent
from openrelay_async.emulator.areas.catalog.rules import (
    CPU_SIZES,
    IMAGES,
    INFERENCE_MODELS,
    LARGEST_DISK,
    PLACES,
    SMALLEST_DISK,
    TIERS,
    gpu_price,
)
from openrelay_async.emulator.areas.catalog.storage import used_gpus
from openrelay_async.emulator.call import Call
from openrelay_async.emulator.clocks import DAY_ONE
from openrelay_async.emulator.fleet import GPU_KINDS, Fleet, GpuKind


def get_health(call: Call) -> Answer:
    return Answer({"service": "openrelay-emulator", "status": "ok"})


def list_gpu_models(call: Call) -> Answer:
    return Answer([render_model(kind) for kind in GPU_KINDS])


def render_model(kind: GpuKind) -> dict[str, object]:
    return {
        "id": kind.id,
        "name": kind.name,
        "manufacturer": kind.manufacturer,
        "architecture": kind.architecture,
        "formFactor": kind.form_factor,
        "vramGb": kind.vram_gb,
        "hidden": False,
        "createdAt": moment(DAY_ONE),
    }


def list_gpu_availability(call: Call) -> Answer:
    used = used_gpus(call.database, call.now)
    fleet = call.settings.fleet
    return Answer([_render_availability(fleet, kind, used) for kind in GPU_KINDS])


def _render_availability(fleet: Fleet, kind: GpuKind, used: Mapping[str, int]) -> dict[str, object]:
    nodes = fleet.with_model(kind.id)
    free = {node.id: node.gpus - used.get(node.id, 0) for node in nodes}
    most = max(free.values(), default=0)
    capacity = {
        "totalGpus": sum(node.gpus for node in nodes),
        "freeGpus": sum(free.values()),
        "maxPlaceableGpus": most,
        "placeableGpuCounts": [count for count in (1, 2, 4, 8, 16) if count <= most],
        "nodes": [
            {"nodeId": node.id, "freeGpus": free[node.id], "freeUnits": free[node.id], "unitSizes": [1]}
            for node in nodes
        ],
    }
    return {
        "gpuModelId": kind.id,
        "name": kind.name,
        "formFactor": kind.form_factor,
        "vramGb": kind.vram_gb,
        "vm": capacity,
        "cluster": capacity,
    }


def get_pricing(call: Call) -> Answer:
    return Answer(
        {
            "gpu": [
                {
                    "gpuModelId": kind.id,
                    "gpuModelName": kind.name,
                    "tier": tier,
                    "pricePerHourCents": gpu_price(kind, tier),
                    "vramGb": kind.vram_gb,
                }
                for kind in GPU_KINDS
                for tier in TIERS
            ],
            "cpu": [
                {
                    "resourceSize": name,
                    "vcpu": size.vcpus,
                    "ramMb": size.ram_mb,
                    "pricePerHourCents": size.cents_per_hour,
                }
                for name, size in CPU_SIZES.items()
            ],
            "vmDisk": {"minGb": SMALLEST_DISK, "maxGb": LARGEST_DISK},
        }
    )


def get_public_pricing(call: Call) -> Answer:
    return Answer(
        {
            "generatedAt": moment(call.now),
            "gpu": [
                {
                    "id": kind.id,
                    "name": kind.name,
                    "manufacturer": kind.manufacturer,
                    "architecture": kind.architecture,
                    "formFactor": kind.form_factor,
                    "vramGb": kind.vram_gb,
                    "verifiedCents": gpu_price(kind, "verified"),
                    "communityCents": gpu_price(kind, "community"),
                }
                for kind in GPU_KINDS
            ],
            "model": [
                {"id": model.id, "inputPerMTokens": model.input_price, "outputPerMTokens": model.output_price}
                for model in INFERENCE_MODELS
            ],
        }
    )


def list_locations(call: Call) -> Answer:
    return Answer(
        [
            {
                "id": place.id,
                "name": place.name,
                "city": place.city,
                "country": place.country,
                "region": place.region,
                "latitude": place.latitude,
                "longitude": place.longitude,
            }
            for place in PLACES
        ]
    )


def list_vm_templates(call: Call) -> Answer:
    return Answer(
        [
            without_absent(
                {
                    "id": image.id,
                    "name": image.name,
                    "slug": image.slug,
                    "description": image.description,
                    "filename": f"{image.slug}.qcow2",
                    "osType": image.os_type,
                    "osVersion": image.os_version,
                    "requiresGpu": image.requires_gpu,
                    "driverVersion": image.driver_version,
                    "isDefault": index == 0,
                    "sortOrder": index,
                    "compatibleGpuModelIds": [kind.id for kind in GPU_KINDS] if image.requires_gpu else None,
                }
            )
            for index, image in enumerate(IMAGES)
        ]
    )


def list_models(call: Call) -> Answer:
    apis = {False: ["/v1/audio/transcriptions"], True: ["/v1/chat/completions", "/v1/completions"]}
    return Answer(
        {
            "object": "list",
            "data": [
                {
                    "id": model.id,
                    "object": "model",
                    "created": int(DAY_ONE),
                    "owned_by": model.owned_by,
                    "status": "available",
                    "batch_eligible": model.batch_eligible,
                    "supported_apis": apis[model.batch_eligible],
                    "modalities": {
                        "input": ["text" if model.batch_eligible else "audio"],
                        "output": ["text"],
                    },
                    "pricing": {"input": model.input_price, "output": model.output_price},
                }
                for model in INFERENCE_MODELS
            ],
        }
    )


HANDLERS = {
    "getHealth": get_health,
    "listGpuModels": list_gpu_models,
    "getGpuAvailability": list_gpu_availability,
    "getPricing": get_pricing,
    "getPublicPricing": get_public_pricing,
    "listLocations": list_locations,
    "listVmTemplates": list_vm_templates,
    "listModels": list_models,
}
