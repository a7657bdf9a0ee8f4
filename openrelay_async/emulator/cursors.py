"""Cursors: opaque, made for one list, and worthless when changed."""

from __future__ import annotations

import base64
import binascii
import hmac

from openrelay_async.emulator.answers import Refusal
from openrelay_async.emulator.vault import Vault

_TAG = 12


def make_cursor(vault: Vault, scope: str, position: int) -> str:
    """A cursor into the list that `scope` names."""
    place = str(position)
    tag = vault.digest("cursor", scope, place)[:_TAG]
    return base64.urlsafe_b64encode(tag + place.encode()).decode().rstrip("=")


def read_cursor(vault: Vault, scope: str, cursor: str) -> int:
    """The position in a cursor.

    Raises:
        Refusal: 400 `INVALID_CURSOR` for anything that `make_cursor` did not make for this list.
    """
    try:
        raw = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
        tag, place = raw[:_TAG], raw[_TAG:].decode()
    except (binascii.Error, ValueError):
        tag, place = b"", ""
    if not hmac.compare_digest(tag, vault.digest("cursor", scope, place)[:_TAG]):
        raise Refusal(400, "cursor: is not one that this list gave", "INVALID_CURSOR", field="cursor")
    return int(place)
