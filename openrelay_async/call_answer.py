"""The answer of a call: its JSON as what the caller gets, or the error of an answer that makes no sense."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import TypeVar
from urllib.parse import unquote

import orjson

from openrelay_async.errors import InvalidResponse
from openrelay_async.messages import HttpRequest, HttpResponse
from openrelay_async.model_classes import WireField
from openrelay_async.responses import invalid_response
from openrelay_async.structuring import StructureError, find_reader, structure_empty
from openrelay_async.transport import Transport

T = TypeVar("T")


def decode_answer(
    transport: Transport, request: HttpRequest, response: HttpResponse, read: Callable[[object], T]
) -> T:
    """Return what `read` makes of an answer's JSON.

    The decoded body is never a local of a frame that the error shows: it may hold secrets.

    Raises:
        InvalidResponse: it is not JSON, or `read` raises `StructureError`.
    """
    try:
        return read(orjson.loads(response.body.data))
    except orjson.JSONDecodeError:
        problem = "the answer is not JSON"
    except StructureError as error:
        problem = str(error)
    raise invalid_answer(transport, problem, request, response)


def decode_model(transport: Transport, request: HttpRequest, response: HttpResponse, model: type[T]) -> T:
    """Return an answer as a model; a 204 is a model of what can be known without a body, if that is enough.

    Raises:
        InvalidResponse: it is not JSON, or not what the API description says.
    """
    if not response.body.data:
        if response.status == 204:
            with suppress(StructureError):
                return _read_no_body(model, request)
        raise invalid_answer(transport, "the answer has no body", request, response)
    return decode_answer(transport, request, response, find_reader(model).read)


def _read_no_body(model: type[T], request: HttpRequest) -> T:
    """Return the model of a success without a body; of a deletion, its id and that it is deleted are known.

    Raises:
        StructureError: the model requires more.
    """
    if request.operation.http_method == "DELETE":
        known = {"id": unquote(request.path.rpartition("/")[2]), "status": "deleted"}
        fields: Sequence[WireField] = getattr(model, "wire_fields", ())
        required = [name for _, name, _, is_required, _ in fields if is_required]
        if known.keys() & required:
            return find_reader(model).read({name: known[name] for name in required if name in known})
    return structure_empty(model)


def expect_nothing(transport: Transport, request: HttpRequest, response: HttpResponse) -> None:
    """Accept a success of which nothing is read: any JSON, or no body.

    Raises:
        InvalidResponse: it is something else, such as the login page of a network in between.
    """
    if response.body.data:
        decode_answer(transport, request, response, lambda _: None)


def invalid_answer(
    transport: Transport, problem: str, request: HttpRequest, response: HttpResponse
) -> InvalidResponse:
    """Return the error of an answer that does not keep to the API description."""
    return invalid_response(problem, request, response, transport.known_secrets(request))
