"""Signatures of webhook deliveries: made, found in headers, compared. Pure.

A delivery carries `sha256=<hex HMAC-SHA256 of the raw body>`; the HMAC's key is the SHA-256 of the webhook's
secret (API reference, webhooks).
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from openrelay_async.config import check_readable
from openrelay_async.errors import WebhookError
from openrelay_async.redaction import Payload, Secret, conceal

SIGNATURE_HEADER: Final = "X-VectorLay-Signature"
"""The header of generation 2026-07. That of 2026-10 is not documented: where it differs, give its name."""

MISSING_SIGNATURE: Final = "SIGNATURE_MISSING"
MALFORMED_SIGNATURE: Final = "SIGNATURE_MALFORMED"
WRONG_SIGNATURE: Final = "SIGNATURE_MISMATCH"
NO_SECRET: Final = "NO_SECRET"  # noqa: S105 - a code
MALFORMED: Final = "MALFORMED"

SecretInput = str | Secret
HeadersInput = Mapping[str, str] | Iterable[tuple[str | bytes, str | bytes]]
"""Headers as any framework has them: a mapping, or pairs, also the bytes of ASGI."""

_SIGNATURE = re.compile(r"sha256=([0-9a-fA-F]{64})", re.ASCII)
# A service that rolls its own keys may send a few; more is somebody trying.
_MOST_SIGNATURES = 8


def sign(raw: bytes, secret: SecretInput) -> str:
    """Return the signature header's value for a body: for tests, and for a service that plays this one.

    Args:
        raw: the body, byte for byte as it is sent.
        secret: the webhook's secret (`whsec_…`).

    Raises:
        TypeError: the body is no bytes, or the secret neither `str` nor `Secret`.
        ConfigurationError: the secret was pickled.
    """
    secret = conceal(secret)
    hidden = check_readable(Secret(secret), "the webhook's secret")
    return f"sha256={_digest(raw, hidden).hex()}"


def check_signature(
    body: Payload, headers: HeadersInput, secrets: Sequence[Secret], signature_header: str
) -> None:
    """Return if one of the secrets made one of the signatures.

    Raises:
        WebhookError: there is none, or it is another. Neither a secret nor the right signature is in it.
    """
    usable = [secret for secret in secrets if _is_usable(secret)]
    if not usable:
        raise WebhookError(
            "there is no secret to verify with: all are blank, or were pickled", code=NO_SECRET
        )
    values = find_header(headers, signature_header)
    if not values:
        raise WebhookError(f"the header {signature_header} is missing", code=MISSING_SIGNATURE)
    matches = [_SIGNATURE.fullmatch(value.strip()) for value in values[:_MOST_SIGNATURES]]
    given = [bytes.fromhex(match[1]) for match in matches if match is not None]
    if not given:
        raise WebhookError(
            f"the header {signature_header} is not sha256= and 64 hexadecimal digits",
            code=MALFORMED_SIGNATURE,
        )
    if not _is_signed(body, usable, given):
        raise WebhookError(
            f"no secret of {len(usable)} made this signature: another secret, or a body that was changed "
            "(it must be verified as received, before any decoding)",
            code=WRONG_SIGNATURE,
        )


def find_header(headers: HeadersInput, name: str) -> list[str]:
    """Return all values of a header, whatever the case of its name.

    Raises:
        WebhookError: `headers` is neither a mapping nor pairs.
    """
    wanted = name.lower()
    try:
        items = getattr(headers, "items", None)
        pairs = headers if items is None else items()
        texts = [(_as_text(pair[0]), _as_text(pair[1])) for pair in pairs if len(pair) == 2]
    except Exception:
        # Headers are whatever the framework made of what a stranger sent: any error in them is the
        # stranger's.
        texts = None
    if texts is None:
        raise WebhookError("the headers are neither a mapping nor pairs", code=MALFORMED)
    return [value for key, value in texts if key.lower() == wanted]


def _as_text(value: object) -> str:
    if isinstance(value, bytes):
        return value.decode("latin-1")
    return value if isinstance(value, str) else ""


def _is_usable(secret: Secret) -> bool:
    # Anybody can sign with an empty secret, which is what a variable becomes that a deployment forgot to
    # fill.
    try:
        return bool(secret.reveal().strip())
    except ValueError:
        return False


def _is_signed(body: Payload, secrets: Sequence[Secret], given: Sequence[bytes]) -> bool:
    # The right signatures live in this frame only, which raises nothing.
    made = [_digest(body.data, secret) for secret in secrets]
    return any(hmac.compare_digest(ours, theirs) for ours in made for theirs in given)


def _digest(raw: bytes, secret: Secret) -> bytes:
    # Without the end of the line that a file, or a shell, puts behind a secret.
    key = hashlib.sha256(secret.reveal().strip().encode("utf-8", "surrogatepass")).digest()
    return hmac.digest(key, raw, "sha256")
