"""The request of a call: its arguments as path, query, JSON body and headers."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence

from openrelay_async.messages import NO_HEADERS, HttpRequest
from openrelay_async.operation import Operation
from openrelay_async.redaction import Payload
from openrelay_async.request_path import expand_path
from openrelay_async.responses import encode_json_body
from openrelay_async.unset import UNSET, Unset
from openrelay_async.wire import Field, check_idempotency_key, encode_fields, encode_query

_JSON_HEADERS: Mapping[str, str] = {"Content-Type": "application/json"}


def make_request(
    operation: Operation,
    path: Sequence[str],
    query: Sequence[Field],
    body: Sequence[Field] = (),
    idempotency_key: str | Unset | None = UNSET,
) -> HttpRequest:
    """Return the request for an operation; absent fields are `UNSET`.

    Args:
        path: all ids of the path, in the template's order.
        idempotency_key: by default one is made, where the operation takes one; in a header `None` asks for
            that too.

    Raises:
        TypeError: an argument has a type that the API description does not allow there.
        ValueError: an id, a time or a key that cannot be sent.
    """
    place = operation.idempotency_key
    if place is None and operation.body is None and not query:
        return HttpRequest(operation, expand_path(operation, path))
    payload, headers, key = None, NO_HEADERS, None
    if place is not None:
        is_left_out = idempotency_key is UNSET or (idempotency_key is None and place.place == "header")
        # Made once, before the first attempt: every attempt carries the same.
        key = check_idempotency_key(str(uuid.uuid4()) if is_left_out else idempotency_key)
    if operation.body is not None:
        payload = _encode_payload(operation, body, key)
        headers = NO_HEADERS if payload is None else _JSON_HEADERS
    if place is not None and place.place == "header" and key is not None:
        headers = {**headers, place.name: key}
    return HttpRequest(
        operation,
        expand_path(operation, path),
        query=encode_query(query) if query else (),
        body=payload,
        headers=headers,
        idempotency_key=key,
    )


def _encode_payload(
    operation: Operation, body: Sequence[Field], idempotency_key: str | None
) -> Payload | None:
    """Return the JSON body; an optional one without any property is not sent, a required one is `{}`."""
    properties = encode_fields(body)
    place = operation.idempotency_key
    if place is not None and place.place == "body":
        properties[place.name] = idempotency_key
    if not properties and operation.body == "optional":
        return None
    return encode_json_body(properties)
