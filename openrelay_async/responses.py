"""From answers to values and errors: JSON and error bodies, without I/O."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import TypeGuard

import orjson
from attrs import field, frozen

from openrelay_async.errors import (
    CapacityUnavailable,
    ConnectionFailed,
    InvalidResponse,
    OpenRelayError,
    RequestTimeout,
    error_class_for,
)
from openrelay_async.messages import AttemptFailure, HttpRequest, HttpResponse
from openrelay_async.redaction import Payload, Secret, clean_text, clean_word
from openrelay_async.retry import CAPACITY_CODES, may_have_acted

_MOST_DETAILS = 32
_NAMED_BY_403 = ("permission", "deniedBy", "policies")
_OAUTH_ERROR = r"[a-z]+(_[a-z]+)+"
"""What RFC 6749 and 8628 have in `error`, without a `code` beside it: `slow_down`."""


def invalid_response(
    message: str, request: HttpRequest, response: HttpResponse, known: Iterable[Secret]
) -> InvalidResponse:
    """Return the error of an answer that does not keep to the API description.

    Args:
        message: what is wrong; it may name a property of the answer.
        known: the secrets in use, which no text may show.
    """
    operation = request.operation
    secrets = tuple(known)
    request_id = response.headers.get("X-Request-Id")
    return InvalidResponse(
        clean_text(message, secrets),
        status=response.status,
        request_id=None if request_id is None else clean_word(request_id, secrets),
        **operation.facts(),
        idempotency_key=request.idempotency_key,
        maybe_applied=not request.changes_nothing() and response.status < 300,
        attempts=response.attempts,
    )


# No tuple: what crash reporters know as one, they show item by item.
@frozen(eq=False, repr=False)
class ErrorBody:
    """What the body of an error says, as it came: scrub it before it goes anywhere."""

    message: str = ""
    code: str | None = None
    request_id: str | None = None
    fields: Mapping[str, object] = field(factory=dict[str, object])


_NO_BODY = ErrorBody()


def parse_error_body(response: HttpResponse, known: Iterable[Secret] = ()) -> ErrorBody:
    """Return what an error's body says; anything that is not the documented shape says nothing.

    Understands `{"error": message, "code": …}` of the API and `{"error": {"message", "code"}}` of the
    inference host, and `{"error": code}` of OAuth. The code is clean already: it goes into reasons, which
    hooks see.

    Args:
        known: the secrets in use.
    """
    try:
        body = orjson.loads(response.body.data)
    except orjson.JSONDecodeError:
        return _NO_BODY
    if not _is_object(body):
        return _NO_BODY
    nested = body.get("error")
    inner = nested if _is_object(nested) else {"message": nested, "code": body.get("code")}
    code, message = inner.get("code"), _text(inner.get("message")) or ""
    if code is None and re.fullmatch(_OAUTH_ERROR, message):
        code = message
    others = {key: value for key, value in body.items() if key not in {"error", "code", "requestId"}}
    others |= {key: value for key, value in inner.items() if key not in {"message", "code"}}
    return ErrorBody(
        message=message,
        code=_clean_code(code, tuple(known)),
        request_id=_text(body.get("requestId")),
        fields=others,
    )


def _clean_code(code: object, known: tuple[Secret, ...]) -> str | None:
    text = _text(code)
    return None if text is None else clean_word(text, known)


def _is_object(value: object) -> TypeGuard[dict[str, object]]:
    return isinstance(value, dict)


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and value else None


def error_from_response(
    request: HttpRequest,
    response: HttpResponse,
    body: ErrorBody,
    *,
    attempts: int,
    retry_after: float | None,
    maybe_applied: bool,
    known: Iterable[Secret],
) -> OpenRelayError:
    """Return the error of an answer that is not a success.

    Args:
        maybe_applied: whether an earlier attempt may have taken effect.
        known: the secrets in use, which no text may show.
    """
    operation = request.operation
    secrets = tuple(known)

    def clean(text: str | None) -> str | None:
        return None if text is None else clean_text(text, secrets)

    request_id = response.headers.get("X-Request-Id") or body.request_id
    common: dict[str, object] = {
        "status": response.status,
        "request_id": None if request_id is None else clean_word(request_id, secrets),
        **operation.facts(),
        "idempotency_key": request.idempotency_key,
        "attempts": attempts,
    }
    if response.status < 400:
        moved = 300 <= response.status < 400
        message = "the service redirects, which is never followed" if moved else "not a final status"
        return InvalidResponse(message)._with(**common, maybe_applied=not request.changes_nothing())
    kind = error_class_for(response.status)
    if response.status == 503 and body.code in CAPACITY_CODES:
        kind = CapacityUnavailable
    error = kind(clean(body.message) or "the service gave no reason")._with(
        **common,
        code=body.code,
        retry_after=retry_after,
        maybe_applied=maybe_applied or may_have_acted(request, response, body.code),
        details=_scrub_value(_other_fields(body, response.status), secrets, depth=4),
    )
    if response.status == 403:
        policies = body.fields.get("policies")
        error._with(
            permission=clean(_text(body.fields.get("permission"))),
            denied_by=clean(_text(body.fields.get("deniedBy"))),
            policies=[
                clean(policy) for policy in (policies if isinstance(policies, list) else []) if _text(policy)
            ],
        )
    return error


def _other_fields(body: ErrorBody, status: int) -> dict[str, object]:
    """Return the fields of an error's body for which the error has no attribute."""
    names = [name for name in body.fields if status != 403 or name not in _NAMED_BY_403]
    return {name: body.fields[name] for name in names[:_MOST_DETAILS]}


def _scrub_value(value: object, secrets: tuple[Secret, ...], depth: int) -> object:
    """Return a JSON value without secrets, cut to a size that fits in an error."""
    if isinstance(value, str):
        return clean_text(value, secrets)
    if depth == 0 and isinstance(value, dict | list):
        return "…"
    if _is_object(value):
        items = list(value.items())[:_MOST_DETAILS]
        return {clean_text(str(key), secrets): _scrub_value(item, secrets, depth - 1) for key, item in items}
    if isinstance(value, list):
        return [_scrub_value(item, secrets, depth - 1) for item in value[:_MOST_DETAILS]]
    return value


def error_from_failure(
    request: HttpRequest, failure: AttemptFailure, *, attempts: int, maybe_applied: bool, advice: str = ""
) -> OpenRelayError:
    """Return the error of a call that got no answer.

    Args:
        maybe_applied: whether an earlier attempt may have taken effect.
        advice: what could be done about it.
    """
    kind: type[OpenRelayError] = ConnectionFailed
    if failure.kind == "timeout":
        kind = RequestTimeout
    elif failure.kind == "too_large":
        kind = InvalidResponse
    operation = request.operation
    return kind(
        f"{failure.message}{advice}",
        **operation.facts(),
        attempts=attempts,
        idempotency_key=request.idempotency_key,
        maybe_applied=maybe_applied or may_have_acted(request, failure),
    )


def encode_json_body(value: object) -> Payload:
    """Return a JSON value as the bytes of a request; here, and only here, secrets are revealed."""
    secrets: list[Secret] = []

    def reveal(value: object) -> str:
        if isinstance(value, Secret):
            secrets.append(value)
            return value.reveal()
        raise TypeError(f"{type(value).__name__} has no JSON form")

    return Payload(orjson.dumps(value, default=reveal), secrets)
