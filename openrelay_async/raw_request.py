"""Requests that have no generated method: checked as strictly, sent the same way."""

from __future__ import annotations

import re
from collections.abc import Mapping

import orjson

from openrelay_async.config import check_headers
from openrelay_async.messages import HttpRequest, HttpResponse
from openrelay_async.operation import Operation
from openrelay_async.responses import encode_json_body
from openrelay_async.unset import UNSET
from openrelay_async.wire import check_idempotency_key, encode_json, encode_query

_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_RESENDABLE = _METHODS - {"POST", "PATCH"}
_PATH = re.compile(r"(?:/(?:[A-Za-z0-9._~!$&'()*+,;=:@-]|%[0-9A-Fa-f]{2})*)+")


def make_raw_request(
    method: str,
    path: str,
    *,
    json: object,
    params: Mapping[str, object] | None,
    headers: Mapping[str, str] | None,
    idempotency_key: str | None,
) -> HttpRequest:
    """Return the request for `AsyncClient.request`.

    Raises:
        ValueError: no HTTP method, or a path that is not one on this service.
        TypeError: a body or parameter that JSON or a query cannot have.
    """
    method = method.upper()
    if method not in _METHODS:
        raise ValueError(f"method must be one of {', '.join(sorted(_METHODS))}")
    # An absolute URL, or `//host`, would carry the key to another host.
    if not _PATH.fullmatch(path) or path.startswith("//") or {".", ".."} & set(path.split("/")):
        raise ValueError(
            "path must start with one / and be percent-encoded, without `.`, `..` or a query (use params=)"
        )
    extra = check_headers(headers, name="headers")
    if idempotency_key is not None:
        extra["Idempotency-Key"] = check_idempotency_key(idempotency_key)
    payload = None
    if json is not UNSET:
        payload = encode_json_body(encode_json(json, "json"))
        extra.setdefault("Content-Type", "application/json")
    query = [(name, encode_json, value) for name, value in (params or {}).items() if value is not None]
    operation = Operation(
        id="request",
        resource="client",
        method="request",
        http_method=method,
        path=path,
        idempotent=method in _RESENDABLE,
        authentication="optional",
    )
    return HttpRequest(
        operation,
        path,
        query=encode_query(query),
        body=payload,
        headers=extra,
        idempotency_key=idempotency_key,
        expects_nothing=method == "DELETE",
    )


def read_raw_answer(response: HttpResponse) -> object:
    """Return an answer's JSON value, its text if it is something else, `None` if it is empty."""
    if not response.body.data:
        return None
    try:
        value: object = orjson.loads(response.body.data)
    except orjson.JSONDecodeError:
        return response.body.data.decode(errors="replace")
    return value
