"""SSH keys: create, list, delete."""

from __future__ import annotations

from openrelay_async.emulator.answers import NO_CONTENT, Answer, conflict, moment
from openrelay_async.emulator.areas.ssh_keys.rules import read_fingerprint
from openrelay_async.emulator.areas.ssh_keys.storage import SSH_KEYS, SshKey
from openrelay_async.emulator.areas.vms.rules import is_active
from openrelay_async.emulator.areas.vms.storage import VMS, Vm
from openrelay_async.emulator.call import Call


def create_key(call: Call) -> Answer:
    name = call.body.name()
    public_key = call.body.text("publicKey").strip()
    fingerprint = read_fingerprint(public_key)
    if SSH_KEYS.find(call.database, org_id=call.org_id, fingerprint=fingerprint):
        raise conflict("this organization has that key already", "SSH_KEY_EXISTS")
    key = SshKey(call.new_id("ssh_"), call.org_id, name, public_key, fingerprint, call.now)
    SSH_KEYS.insert(call.database, key)
    call.audit("ssh_key.created", "ssh_key", key.id, after=fingerprint)
    return Answer(_render(key, []))


def list_keys(call: Call) -> Answer:
    vms = _active_vms(call)
    return Answer([_render(key, vms) for key in SSH_KEYS.find(call.database, org_id=call.org_id)])


def _active_vms(call: Call) -> list[Vm]:
    """VMs and pods of the organization."""
    return [vm for vm in VMS.find(call.database, org_id=call.org_id) if is_active(vm, call.now)]


def _render(key: SshKey, vms: list[Vm]) -> dict[str, object]:
    blocking = _find_blocking(key, vms)
    facts: dict[str, object] = {
        "id": key.id,
        "name": key.name,
        "publicKey": key.public_key,
        "fingerprint": key.fingerprint,
        "createdAt": moment(key.created_at),
        "attachedVmCount": sum(key.id in vm.ssh_key_ids for vm in vms),
    }
    return facts | ({"blockingVms": blocking} if blocking else {})


def _find_blocking(key: SshKey, vms: list[Vm]) -> list[str]:
    """VMs that nobody could reach any more without this key."""
    return [vm.id for vm in vms if vm.ssh_key_ids == [key.id]]


def delete_key(call: Call) -> Answer:
    key = call.require(SSH_KEYS, call.path["id"], "SSH key")
    blocking = _find_blocking(key, _active_vms(call))
    if blocking:
        raise conflict(f"it is the only key of {len(blocking)} running VMs", "SSH_KEY_IN_USE")
    SSH_KEYS.delete(call.database, key)
    call.audit("ssh_key.deleted", "ssh_key", key.id, before=key.fingerprint)
    return NO_CONTENT


HANDLERS = {"createOrgSshKey": create_key, "listOrgSshKeys": list_keys, "deleteOrgSshKey": delete_key}
