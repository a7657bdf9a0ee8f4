"""VMs: create, look, operate, terminate."""

from __future__ import annotations

import attrs

from openrelay_async.emulator.answers import NO_CONTENT, Answer, bad_request, not_found, page_answer
from openrelay_async.emulator.areas.catalog.rules import LARGEST_DISK
from openrelay_async.emulator.areas.catalog.storage import release
from openrelay_async.emulator.areas.ssh_keys.storage import SSH_KEYS
from openrelay_async.emulator.areas.vms import rules
from openrelay_async.emulator.areas.vms.ordering import order_vm, take_room_again
from openrelay_async.emulator.areas.vms.rendering import render_detail, render_summary
from openrelay_async.emulator.areas.vms.saving import save_vm
from openrelay_async.emulator.areas.vms.storage import VMS, Vm
from openrelay_async.emulator.call import Call
from openrelay_async.emulator.idempotency import create_once
from openrelay_async.emulator.lifecycle import status_at


def create_vm(call: Call) -> Answer:
    key = call.header("Idempotency-Key")
    vm_id, headers = create_once(call, key, lambda: order_vm(call).id)
    vm = call.require(VMS, vm_id, "VM")
    return Answer(_render(call, vm), headers=headers)


def list_vms(call: Call) -> Answer:
    only_active = call.query.boolean("activeOnly")
    keep = (lambda vm: rules.is_active(vm, call.now)) if only_active else None
    vms, cursor = call.page(VMS, keep=keep, org_id=call.org_id, kind="vm")
    return page_answer([_render(call, vm) for vm in vms], cursor)


def get_vm(call: Call) -> Answer:
    return Answer(_render(call, find_vm(call)))


def get_detail(call: Call) -> Answer:
    return Answer(render_detail(find_vm(call), call.settings.fleet, call.now))


def stop_vm(call: Call) -> Answer:
    vm = find_vm(call)
    rules.check_allowed("stop", vm, call.now)
    release(call.database, vm.id)
    return _save(call, rules.stop(vm, call.now))


def restart_vm(call: Call) -> Answer:
    vm = find_vm(call)
    rules.check_allowed("restart", vm, call.now)
    if status_at(vm.timeline, call.now) not in rules.HOLDING:
        vm = take_room_again(call, vm)
    return _save(call, rules.deploy(vm, call.now))


def reboot_vm(call: Call) -> Answer:
    vm = find_vm(call)
    rules.check_allowed("reboot", vm, call.now)
    VMS.update(call.database, rules.reboot(vm, call.now))
    return NO_CONTENT


def terminate_vm(call: Call) -> Answer:
    vm = find_vm(call)
    if status_at(vm.timeline, call.now) == "terminated":
        return Answer(_render(call, vm))  # again is as good as once
    release(call.database, vm.id)
    return _save(call, rules.terminate(vm, call.now))


def set_visibility(call: Call) -> Answer:
    vm = find_vm(call)
    public = call.body.boolean("public")
    rules.check_allowed("change", vm, call.now)
    return _save(call, attrs.evolve(vm, public=public, updated_at=call.now))


def resize_disk(call: Call) -> Answer:
    vm = find_vm(call)
    size = call.body.integer("newSizeGb")
    rules.check_allowed("change", vm, call.now)
    if not vm.disk_size_gb < size <= LARGEST_DISK:
        raise bad_request("newSizeGb", f"must be more than {vm.disk_size_gb} and at most {LARGEST_DISK}")
    VMS.update(call.database, attrs.evolve(vm, disk_size_gb=size, updated_at=call.now))
    return NO_CONTENT


def list_ssh_keys(call: Call) -> Answer:
    vm = find_vm(call)
    return Answer(
        [
            {
                "id": key.id,
                "name": key.name,
                "fingerprint": key.fingerprint,
                "attached": key.id in vm.ssh_key_ids,
                "crossOrg": False,
                "orgName": None,
            }
            for key in SSH_KEYS.find(call.database, org_id=vm.org_id)
        ]
    )


def attach_ssh_key(call: Call) -> Answer:
    vm = find_vm(call)
    key = SSH_KEYS.get(call.database, call.body.text("sshKeyId"))
    if key is None or key.org_id != vm.org_id:
        raise not_found("SSH key")
    rules.check_allowed("change", vm, call.now)
    if key.id not in vm.ssh_key_ids:
        _set_ssh_keys(call, vm, [*vm.ssh_key_ids, key.id])
    return NO_CONTENT


def detach_ssh_key(call: Call) -> Answer:
    vm = find_vm(call)
    if call.path["keyId"] not in vm.ssh_key_ids:
        raise not_found("SSH key on this VM")
    _set_ssh_keys(call, vm, [key_id for key_id in vm.ssh_key_ids if key_id != call.path["keyId"]])
    return NO_CONTENT


def _set_ssh_keys(call: Call, vm: Vm, key_ids: list[str]) -> None:
    VMS.update(call.database, attrs.evolve(vm, ssh_key_ids=key_ids, updated_at=call.now))


def find_vm(call: Call) -> Vm:
    """The VM that the path names.

    Raises:
        Refusal: 404.
    """
    return call.require(VMS, call.path.get("id") or call.path["vmId"], "VM")


def _save(call: Call, vm: Vm) -> Answer:
    return Answer(_render(call, save_vm(call.database, vm, call.now)))


def _render(call: Call, vm: Vm) -> dict[str, object]:
    return render_summary(vm, call.settings.fleet, call.now)


HANDLERS = {
    "createVm": create_vm,
    "listOrgVms": list_vms,
    "getVm": get_vm,
    "getVmDetail": get_detail,
    "stopVm": stop_vm,
    "restartVm": restart_vm,
    "rebootVm": reboot_vm,
    "terminateVm": terminate_vm,
    "setVmVisibility": set_visibility,
    "resizeVmDisk": resize_disk,
    "getVmSshKeys": list_ssh_keys,
    "attachVmSshKey": attach_ssh_key,
    "detachVmSshKey": detach_ssh_key,
}
