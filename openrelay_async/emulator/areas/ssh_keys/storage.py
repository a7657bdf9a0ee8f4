"""Records of SSH keys."""

from __future__ import annotations

import attrs

from openrelay_async.emulator.storage import Collection


@attrs.frozen
class SshKey:
    id: str
    org_id: str
    name: str
    public_key: str
    fingerprint: str
    created_at: float


SSH_KEYS = Collection("ssh_keys", SshKey, indexed=("fingerprint",))
