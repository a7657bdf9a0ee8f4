"""The answer of a call: its JSON as what the caller gets, or the error of an answer that makes no sense."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import TypeVar

import orjson

from openrelay_async.errors import InvalidResponse
from openrelay_async.messages import HttpRequest, HttpResponse
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
    """Return an answer as a model; a 204 is a model that has nothing, if there can be one.

    Raises:
        InvalidResponse: it is not JSON, or not what the API description says.
    """
    if not response.body.data:
        if response.status == 204:
            with suppress(StructureError):
                return structure_empty(model)
        raise invalid_answer(transport, "the answer has no body", request, response)
    return decode_answer(transport, request, response, find_reader(model).read)


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
