"""Error bodies, in the shape of the host that answers."""

from __future__ import annotations

import orjson

from openrelay_async.emulator.answers import Answer, Refusal
from openrelay_async.emulator.faults import Fault
from openrelay_async.emulator.operations import Operation

_INFERENCE_TYPES = {
    400: "invalid_request_error",
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    409: "conflict_error",
    413: "invalid_request_error",
    429: "rate_limit_error",
}

# The description gives their 400 a shape of its own.
_DIAGNOSED = ("createPolicy", "updatePolicy")


def answer_refusal(refusal: Refusal, operation: Operation | None, request_id: str) -> Answer:
    """The error body of a refusal: `Error`, or `InferenceError` on the inference host."""
    body: dict[str, object]
    if operation is not None and operation.inference:
        kind = _INFERENCE_TYPES.get(refusal.status, "api_error")
        error = {"message": refusal.message, "type": kind}
        body = {"error": error | ({"code": refusal.code} if refusal.code else {})}
    else:
        body = {"error": refusal.message}
        if refusal.code:
            body["code"] = refusal.code
        body |= {"requestId": request_id, **refusal.details}
        if operation is not None and operation.id in _DIAGNOSED and refusal.status == 400:
            body |= {"code": "POLICY_INVALID", "diagnostics": [{"message": refusal.message}]}
    return Answer(body, refusal.status, refusal.headers)


def refusal_of(fault: Fault) -> Refusal | None:
    """What a fault with a status answers instead of doing anything."""
    if fault.status is None:
        return None
    retry_after = fault.retry_after_header()
    headers = {} if retry_after is None else {"Retry-After": retry_after}
    return Refusal(fault.status, fault.message or "a fault that was asked for", fault.code, headers=headers)


def encode(answer: Answer) -> bytes:
    """The body as bytes."""
    if isinstance(answer.body, bytes):
        return answer.body
    return b"" if answer.status == 204 else orjson.dumps(answer.body)
