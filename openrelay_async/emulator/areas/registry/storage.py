"""Records of registry credentials, and finding the one that an order names."""

from __future__ import annotations

import attrs

from openrelay_async.emulator.answers import bad_request
from openrelay_async.emulator.storage import Collection, Database


@attrs.frozen
class RegistryCredential:
    """The credentials themselves are not kept: no emulated machine pulls an image with them."""

    id: str
    org_id: str
    name: str
    server: str
    auth_type: str
    created_at: float


REGISTRY_CREDENTIALS = Collection("registry_credentials", RegistryCredential)


def check_registry_credential(database: Database, id: str | None, org_id: str) -> None:
    """An order may name it, if it names one.

    Raises:
        Refusal: 400 if it is none of the organization's.
    """
    if not id:
        return
    credential = REGISTRY_CREDENTIALS.get(database, id)
    if credential is None or credential.org_id != org_id:
        raise bad_request("registryCredentialId", "is no registry credential of this organization")
