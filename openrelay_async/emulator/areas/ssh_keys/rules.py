"""Reading a public key. Pure."""

from __future__ import annotations

import base64
import binascii
import hashlib

from openrelay_async.emulator.answers import bad_request

KINDS = (
    "ssh-ed25519",
    "ssh-rsa",
    "ecdsa-sha2-nistp256",
    "ecdsa-sha2-nistp384",
    "ecdsa-sha2-nistp521",
    "sk-ssh-ed25519@openssh.com",
    "sk-ecdsa-sha2-nistp256@openssh.com",
)


def read_fingerprint(public_key: str) -> str:
    """`SHA256:…`, as `ssh-keygen -l` shows it.

    Raises:
        Refusal: 400 if this is not one line of an authorized_keys file, as RFC 4253 section 6.6 has them.
    """
    parts = public_key.split()
    if "\n" in public_key.strip() or len(parts) < 2 or parts[0] not in KINDS:
        raise bad_request("publicKey", f"must be one line that begins with {', '.join(KINDS[:3])} …")
    try:
        blob = base64.b64decode(parts[1], validate=True)
    except (binascii.Error, ValueError):
        blob = b""
    # The blob begins with the length and the text of its kind again.
    if not blob.startswith(len(parts[0]).to_bytes(4, "big") + parts[0].encode()):
        raise bad_request("publicKey", "is damaged")
    return "SHA256:" + base64.b64encode(hashlib.sha256(blob).digest()).decode().rstrip("=")
