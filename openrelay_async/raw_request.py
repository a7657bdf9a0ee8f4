"""Requests that have no generated method: checked as strictly, sent the same way."""

from __future__ import annotations

import re
from collections.abc import Mapping
from urllib.parse import unquote

import orjson

from openrelay_async.config import check_headers, merge_headers
from openrelay_async.messages import HttpRequest, HttpResponse
from openrelay_async.operation import Operation
from openrelay_async.redaction import Secret
from openrelay_async.responses import encode_json_body
from openrelay_async.unset import UNSET
from openrelay_async.wire import check_idempotency_key, encode_json, query_text, refuse_type

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
) -> HttpRequest | Exception:
    """Return the request for `AsyncClient.request`, or the error to raise instead.

    It is returned, and without its traceback, because the frames that find it hold what was given:

    * `ValueError`: no HTTP method, or a path that is not one on this service.
    * `TypeError`: a body or parameter that JSON or a query cannot have.
    """
    try:
        return _make_request(method, path, json, params, headers, idempotency_key)
    except Exception as error:
        error.__cause__ = error.__context__ = None
        return error.with_traceback(None)


def _make_request(
    method: str,
    path: str,
    json: object,
    params: Mapping[str, object] | None,
    headers: Mapping[str, str] | None,
    idempotency_key: str | None,
) -> HttpRequest:
    method = _check_method(method)
    _check_path(path)
    own_headers, key = _split_idempotency_key(headers)
    extra = check_headers(own_headers, name="headers")
    if idempotency_key is not None or key is not None:
        idempotency_key = check_idempotency_key(key if idempotency_key is None else idempotency_key)
        extra["Idempotency-Key"] = idempotency_key
    payload = None
    if json is not None and json is not UNSET:
        payload = encode_json_body(encode_json(json, "json"))
        extra = merge_headers({"Content-Type": "application/json"}, extra)
    _check_mapping("params", params)
    given = {name: value for name, value in (params or {}).items() if value is not None}
    query = [
        (name, query_text(_encode_parameter(each, name)))
        for name, value in given.items()
        for each in (value if isinstance(value, list | tuple) else (value,))
    ]
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
        query=tuple(query),
        body=payload,
        headers=extra,
        idempotency_key=idempotency_key,
    )


def _split_idempotency_key(headers: object) -> tuple[object, object]:
    """Return the headers without the idempotency key, and the key: with one, a change may be sent again."""
    if not isinstance(headers, Mapping):
        return headers, None
    found = [value for name, value in headers.items() if _is_idempotency_key(name)]
    others = {name: value for name, value in headers.items() if not _is_idempotency_key(name)}
    key = found[-1] if found else None
    return others, key.reveal() if isinstance(key, Secret) else key


def _is_idempotency_key(name: object) -> bool:
    return isinstance(name, str) and name.lower() == "idempotency-key"


def _check_method(method: object) -> str:
    if not isinstance(method, str):
        raise refuse_type("method", "str", method)
    if method.upper() not in _METHODS:
        raise ValueError(f"method must be one of {', '.join(sorted(_METHODS))}")
    return method.upper()


def _check_path(path: object) -> None:
    if not isinstance(path, str):
        raise refuse_type("path", "str", path)
    # An absolute URL, or `//host`, would carry the key to another host.
    segments = [unquote(segment) for segment in path.split("/")]
    if not _PATH.fullmatch(path) or path.startswith("//") or {".", ".."} & set(segments):
        raise ValueError(
            "path must start with one / and be percent-encoded, without `.`, `..` or a query (use params=)"
        )


def _check_mapping(name: str, value: object) -> None:
    if value is not None and not isinstance(value, Mapping):
        raise refuse_type(name, "a mapping", value)
    if any(not isinstance(key, str) for key in value or ()):
        raise TypeError(f"{name} must have str keys")


def _encode_parameter(value: object, name: str) -> object:
    encoded = encode_json(value, name)
    if isinstance(encoded, dict | list):
        raise refuse_type(f"params[{name!r}]", "one value", value)
    return encoded


def read_raw_answer(response: HttpResponse) -> object:
    """Return an answer's JSON value, its text if it is something else, its bytes if it is no text either.

    `None` if it is empty.
    """
    data = response.body.data
    if not data:
        return None
    for read in (orjson.loads, bytes.decode):
        try:
            value: object = read(data)
        except ValueError:
            continue
        return value
    return data
