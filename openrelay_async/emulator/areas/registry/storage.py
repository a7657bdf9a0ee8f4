"""Records of registry credentials."""

from __future__ import annotations

import attrs

from openrelay_async.emulator.storage import Collection


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
