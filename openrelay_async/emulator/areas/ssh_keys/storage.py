"""Records of SSH keys, and choosing among them."""

from __future__ import annotations

import attrs

from openrelay_async.emulator.answers import bad_request
from openrelay_async.emulator.storage import Collection, Database


@attrs.frozen
class SshKey:
    id: str
    org_id: str
    name: str
    public_key: str
    fingerprint: str
    created_at: float


SSH_KEYS = Collection("ssh_keys", SshKey, indexed=("fingerprint",))


def choose_ssh_keys(
    database: Database, ids: list[str], org_id: str, *, owner: str = "this organization"
) -> list[str]:
    """Each of these ids once.

    Raises:
        Refusal: 400 for one that is no key of the organization, which the message calls `owner`.
    """
    for index, key_id in enumerate(ids):
        key = SSH_KEYS.get(database, key_id)
        if key is None or key.org_id != org_id:
            raise bad_request(f"sshKeyIds[{index}]", f"is no SSH key of {owner}")
    return list(dict.fromkeys(ids))
