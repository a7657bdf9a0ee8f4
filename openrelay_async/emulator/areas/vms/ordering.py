"""Making a VM: what may be ordered, and finding room for it."""

from __future__ import annotations

import attrs

from openrelay_async.emulator.answers import Refusal, bad_request
from openrelay_async.emulator.areas.billing.ledger import require_credit
from openrelay_async.emulator.areas.catalog.rules import (
    CPU_SIZES,
    IMAGES,
    LARGEST_DISK,
    SMALLEST_DISK,
    TIERS,
    gpu_price,
)
from openrelay_async.emulator.areas.catalog.storage import allocate_cpus, allocate_gpus, release
from openrelay_async.emulator.areas.registry.storage import check_registry_credential
from openrelay_async.emulator.areas.ssh_keys.storage import choose_ssh_keys
from openrelay_async.emulator.areas.vms.rules import deploy
from openrelay_async.emulator.areas.vms.saving import save_vm
from openrelay_async.emulator.areas.vms.storage import Vm
from openrelay_async.emulator.call import Call
from openrelay_async.emulator.fields import Fields
from openrelay_async.emulator.fleet import GpuKind, Node
from openrelay_async.emulator.lifecycle import begin


@attrs.frozen
class Hardware:
    """What is ordered: GPUs of a model, or a size without."""

    gpu: GpuKind | None
    gpu_count: int
    resource_size: str
    price_per_hour_cents: int


def read_hardware(call: Call, body: Fields, tier: str) -> Hardware:
    """Raises 400 naming what cannot be ordered."""
    model_id = body.optional_text("gpuModelId")
    if not model_id:
        if body.integer("gpuCount"):
            raise bad_request("gpuModelId", "is required when gpuCount is more than 0")
        size = body.text("resourceSize", "small") or "small"
        if size not in CPU_SIZES:
            raise bad_request("resourceSize", f"must be one of {', '.join(CPU_SIZES)} without a GPU")
        return Hardware(None, 0, size, CPU_SIZES[size].cents_per_hour)
    kind = call.settings.fleet.kind(model_id)
    if kind is None:
        raise bad_request("gpuModelId", "is not in the catalog", "UNKNOWN_GPU_MODEL")
    count = body.bounded("gpuCount", 1, least=1, most=kind.node_size)
    price = gpu_price(kind, tier, body.text("computeClass")) * count
    return Hardware(kind, count, body.text("resourceSize") or "standard", price)


def take_room(call: Call, resource_id: str, hardware: Hardware) -> Node:
    """Raises 503 with a capacity code when there is none."""
    fleet = call.settings.fleet
    if hardware.gpu is None:
        vcpus = CPU_SIZES[hardware.resource_size].vcpus
        return allocate_cpus(call.database, fleet, resource_id, vcpus, call.now)
    return allocate_gpus(call.database, fleet, resource_id, hardware.gpu.id, hardware.gpu_count, call.now)


def take_room_again(call: Call, vm: Vm) -> Vm:
    """For a VM that had given its GPUs back; it may come to stand on another node."""
    require_credit(call.database, vm.org_id, call.now)
    release(call.database, vm.id)
    gpu = call.settings.fleet.kind(vm.gpu_model_id) if vm.gpu_model_id else None
    node = take_room(call, vm.id, Hardware(gpu, vm.gpu_count, vm.resource_size, vm.price_per_hour_cents))
    return attrs.evolve(vm, node_id=node.id, location_id=node.location_id)


def order_vm(call: Call, *, kind: str = "vm", require_name: bool = True, order: Fields | None = None) -> Vm:
    """Check an order (the body unless told otherwise), take the room, and write the VM down.

    Raises:
        Refusal: 400 naming the field, 402 without money, 503 without room.
    """
    body = call.body if order is None else order
    tier = body.text("tier") or "verified"
    if tier not in TIERS:
        raise bad_request("tier", f"must be one of {', '.join(TIERS)}")
    template_id = body.optional_text("templateId")
    if template_id and template_id not in [image.id for image in IMAGES]:
        raise bad_request("templateId", "is not in the catalog")
    name = body.name() if require_name or "name" in body else f"{kind}-{call.request_id[-6:]}"
    disk = body.bounded("diskSizeGb", 100, least=SMALLEST_DISK, most=LARGEST_DISK)
    port = body.optional_integer("containerPort")
    if port is not None and not 1 <= port <= 65535:
        raise bad_request("containerPort", "must be from 1 to 65535")
    ssh_key_ids = choose_ssh_keys(call.database, body.texts("sshKeyIds"), call.org_id)
    check_registry_credential(call.database, body.optional_text("registryCredentialId"), call.org_id)
    hardware = read_hardware(call, body, tier)
    wanted_node = body.optional_text("nodeId")
    if wanted_node and call.settings.fleet.node(wanted_node) is None:
        raise bad_request("nodeId", "is no node of the fleet")
    require_credit(call.database, call.org_id, call.now)
    vm_id = call.new_id(f"{kind}_")
    node = take_room(call, vm_id, hardware)
    if wanted_node and node.id != wanted_node:
        raise Refusal(503, "that node has no room now", "NODE_AT_CAPACITY")
    vm = Vm(
        id=vm_id,
        org_id=call.org_id,
        kind=kind,
        name=name,
        created_at=call.now,
        updated_at=call.now,
        timeline=begin(call.now, "deploying"),
        node_id=node.id,
        location_id=node.location_id,
        price_per_hour_cents=hardware.price_per_hour_cents,
        gpu_model_id=hardware.gpu.id if hardware.gpu else None,
        gpu_count=hardware.gpu_count,
        resource_size=hardware.resource_size,
        disk_size_gb=disk,
        tier=tier,
        public=body.boolean("public"),
        service_type=body.optional_text("serviceType"),
        image_url=body.optional_text("imageUrl") or body.optional_text("image"),
        template_id=template_id or (None if "imageUrl" in body or "image" in body else IMAGES[0].id),
        container_port=port if port is not None else body.optional_integer("httpPort"),
        compute_class=body.text("computeClass") or "on_demand",
        volume_gb=body.optional_integer("volumeGb"),
        ssh_key_ids=ssh_key_ids,
        sealed=seal_secrets(call, body),
    )
    return save_vm(call.database, deploy(vm, call.now), call.now, is_new=True)


def seal_secrets(call: Call, body: Fields) -> str | None:
    """What users hand over and nobody else may read in the file."""
    secrets = {name: body.raw[name] for name in ("envVars", "cloudInit") if body.raw.get(name)}
    return call.database.vault.seal(secrets) if secrets else None
