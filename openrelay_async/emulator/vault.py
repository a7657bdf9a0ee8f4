"""What an emulator knows and its database does not: one random master key, and what is made from it.

Three kinds of secrets, three treatments:

- API keys and session tokens only have to be recognised. They are 256 random bits, so their SHA-256 can be
  kept: there is nothing to guess that a slow hash would protect, as there is with passwords.
- Webhook secrets, kubeconfig tokens and the like are ours to invent and must be told again or signed with:
  they are derived from the master key and an id (HMAC-SHA256), and not stored at all.
- What users hand over and read back (environment variables, cloud-init) is sealed under the master key.

For a database file the master key stands beside it in `FILE.secret`, readable by its owner only.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
import secrets
from collections.abc import Mapping
from pathlib import Path

import orjson

_NONCE = 16
_TAG = 32


def hash_token(token: str) -> str:
    """What is kept of a key or a session token."""
    # Header values may carry bytes that are no text.
    return hashlib.sha256(token.encode(errors="surrogateescape")).hexdigest()


def new_token(prefix: str) -> str:
    """A random credential of 256 bits."""
    return prefix + secrets.token_urlsafe(32)


def hash_password(password: str, salt: bytes) -> str:
    """Passwords are guessable: these get a slow hash."""
    return hashlib.scrypt(password.encode(), salt=salt, n=2**14, r=8, p=1).hex()


class Vault:
    """Derives and seals under one master key."""

    __slots__ = ("_master",)

    def __init__(self, master: bytes) -> None:
        self._master = master

    def __repr__(self) -> str:
        return "Vault(•••)"

    def __reduce__(self) -> str:
        raise TypeError("a vault is not pickled: it holds a key")

    def digest(self, *parts: str) -> bytes:
        """32 bytes that only this vault can make from `parts`."""
        # Each part carries its length, so that ("ab", "c") and ("a", "bc") differ.
        text = b"".join(b"%d:%s" % (len(raw), raw) for raw in (part.encode() for part in parts))
        return hmac.digest(self._master, text, "sha256")

    def derive(self, prefix: str, *parts: str) -> str:
        """A secret text that can be told again at any time."""
        return prefix + base64.urlsafe_b64encode(self.digest("secret", *parts)).decode().rstrip("=")

    def seal(self, fields: Mapping[str, object]) -> str:
        """JSON under lock and key.

        The standard library has no cipher, and the emulator adds no dependency for one: this is HMAC-SHA256
        in counter mode as a stream, then a MAC over the whole (encrypt-then-MAC), with a fresh nonce each
        time.
        """
        plain = orjson.dumps(dict(fields))
        nonce = os.urandom(_NONCE)
        locked = nonce + self._apply_stream(nonce, plain)
        return base64.b64encode(locked + self._tag(locked)).decode()

    def unseal(self, sealed: str | None) -> dict[str, object]:
        """The fields that were sealed; none if nothing was.

        Raises:
            ValueError: it was sealed under another key, or changed since.
        """
        if sealed is None:
            return {}
        raw = base64.b64decode(sealed)
        locked, tag = raw[:-_TAG], raw[-_TAG:]
        if not hmac.compare_digest(self._tag(locked), tag):
            raise ValueError("sealed under another key")
        fields: dict[str, object] = orjson.loads(self._apply_stream(locked[:_NONCE], locked[_NONCE:]))
        return fields

    def _apply_stream(self, nonce: bytes, data: bytes) -> bytes:
        key = self.digest("stream")
        blocks = (
            hmac.digest(key, nonce + index.to_bytes(8, "big"), "sha256")
            for index in range(len(data) // 32 + 1)
        )
        stream = b"".join(blocks)[: len(data)]
        return (int.from_bytes(data, "big") ^ int.from_bytes(stream, "big")).to_bytes(len(data), "big")

    def _tag(self, locked: bytes) -> bytes:
        return hmac.digest(self.digest("tag"), locked, "sha256")


def load_master_key(db: str, *, is_new: bool) -> bytes:
    """The master key of a database: random in memory, from `FILE.secret` beside a file.

    Raises:
        FileNotFoundError: the database exists and its secret does not.
    """
    if db == ":memory:":
        return os.urandom(32)
    path = Path(db + ".secret")
    if not is_new or path.exists():
        return path.read_bytes()
    key = os.urandom(32)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(key)
        file.flush()
        os.fsync(file.fileno())
    return key
