"""Registry credentials: create, list, delete."""

from __future__ import annotations

import re

from openrelay_async.emulator.answers import NO_CONTENT, Answer, bad_request, conflict, moment
from openrelay_async.emulator.areas.registry.storage import REGISTRY_CREDENTIALS, RegistryCredential
from openrelay_async.emulator.call import Call

# What the other kinds need is not described.
_BASIC = ("username", "password")


def create_credential(call: Call) -> Answer:
    body = call.body
    name, server, kind = body.name(), body.text("server").strip(), body.text("authType")
    if not re.fullmatch(r"[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?(:\d{1,5})?(/[\w./-]*)?", server, re.ASCII):
        raise bad_request("server", "must be a host, such as ghcr.io")
    given = body.mapping("credentials") or {}
    if kind == "basic":
        missing = [field for field in _BASIC if not given.get(field)]
        if missing:
            raise bad_request(f"credentials.{missing[0]}", f"is required with {kind}")
    elif not given:
        raise bad_request("credentials", f"must not be empty with {kind}")
    if any(item.name == name for item in REGISTRY_CREDENTIALS.find(call.database, org_id=call.org_id)):
        raise conflict("the organization has credentials of this name", "NAME_TAKEN")
    record = RegistryCredential(call.new_id("reg_"), call.org_id, name, server, kind, call.now)
    REGISTRY_CREDENTIALS.insert(call.database, record)
    call.audit("registry_credential.created", "registry_credential", record.id)
    return Answer(_render(record))


def list_credentials(call: Call) -> Answer:
    return Answer([_render(item) for item in REGISTRY_CREDENTIALS.find(call.database, org_id=call.org_id)])


def delete_credential(call: Call) -> Answer:
    record = call.require(REGISTRY_CREDENTIALS, call.path["id"], "registry credential")
    REGISTRY_CREDENTIALS.delete(call.database, record)
    call.audit("registry_credential.deleted", "registry_credential", record.id)
    return NO_CONTENT


def _render(record: RegistryCredential) -> dict[str, object]:
    return {
        "id": record.id,
        "name": record.name,
        "server": record.server,
        "authType": record.auth_type,
        "createdAt": moment(record.created_at),
    }


HANDLERS = {
    "createOrgRegistryCredential": create_credential,
    "listOrgRegistryCredentials": list_credentials,
    "deleteOrgRegistryCredential": delete_credential,
}
