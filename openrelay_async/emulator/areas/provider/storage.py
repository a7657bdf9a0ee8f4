"""Records of provider applications, provisioning tokens and enrolled nodes."""

from __future__ import annotations

import attrs

from openrelay_async.emulator.storage import Collection


@attrs.frozen
class Application:
    """One for each organization; its id is the organization's."""

    id: str
    org_id: str
    note: str
    submitted_at: float


@attrs.frozen
class ProvisioningToken:
    id: str
    org_id: str
    token_hash: str
    prefix: str
    created_at: float
    max_nodes: int
    node_type: str
    name: str | None = None
    expires_at: float | None = None
    notice_seconds: int | None = None
    revoked_at: float | None = None
    used_at: float | None = None
    used_by: list[str] = attrs.field(factory=list)


@attrs.frozen
class ProviderNode:
    """A machine that a test enrolled."""

    id: str
    org_id: str
    hostname: str
    gpu_model_id: str
    gpus: int
    node_type: str
    created_at: float
    status: str = "online"
    notice_seconds: int | None = None
    terminate_at: float | None = None


APPLICATIONS = Collection("provider_applications", Application)
PROVISIONING_TOKENS = Collection("provisioning_tokens", ProvisioningToken, indexed=("token_hash",))
PROVIDER_NODES = Collection("provider_nodes", ProviderNode)
