"""What generated methods call: arguments become a request, an answer becomes a model."""

from __future__ import annotations

import asyncio
import math
import uuid
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, TypeVar

import attrs
import orjson
from attrs import frozen

from openrelay_async.config import check_integer, check_seconds
from openrelay_async.errors import InvalidResponse, OpenRelayError, PermissionDenied, RequestTimeout
from openrelay_async.fork_guard import importing
from openrelay_async.messages import NO_HEADERS, HttpRequest, HttpResponse
from openrelay_async.operation import Operation
from openrelay_async.organization import DefaultOrganization
from openrelay_async.page_reading import check_cursor, page_query, read_page
from openrelay_async.pagination import Page, PagedCall
from openrelay_async.redaction import Payload, Secret
from openrelay_async.request_path import encode_path_id, expand_path
from openrelay_async.responses import encode_json_body, invalid_response
from openrelay_async.structuring import StructureError, find_reader, structure_empty
from openrelay_async.transport import Transport
from openrelay_async.wire import (
    Field,
    check_idempotency_key,
    encode_fields,
    encode_query,
)

if TYPE_CHECKING:
    # Most programs move no files: what does is loaded with the first one.
    from openrelay_async.download import BodyStream, DownloadCall
    from openrelay_async.upload import FileSource

T = TypeVar("T")

_JSON_HEADERS: Mapping[str, str] = {"Content-Type": "application/json"}


@frozen(eq=False, repr=False)
class ClientCalls:
    """The calls of one view of a client. See `resource.Calls` for what each of them promises."""

    transport: Transport
    organization: DefaultOrganization

    def __repr__(self) -> str:
        return f"the client of {self.transport.endpoints.api}"

    @classmethod
    def over(cls, transport: Transport, org_id: str | None) -> ClientCalls:
        """Return the calls over a transport, for an organization or, with `None`, the key's own."""

        async def ask(limit: float) -> str:
            return await _ask_organization(transport, limit)

        return cls(transport, DefaultOrganization(org_id, ask, transport.shared.clock))

    async def call(
        self,
        operation: Operation,
        returns: type[T],
        *,
        path: Sequence[str] = (),
        query: Sequence[Field] = (),
        body: Sequence[Field] = (),
        org_id: str | None = None,
        idempotency_key: str | None = None,
        timeout: float | None = None,
    ) -> T:
        if "orgId" in operation.path_names:
            path, timeout = await self._with_organization(path, org_id, timeout, operation)
        elif timeout is not None:
            check_seconds("timeout", timeout)
        request = _make_request(operation, path, query, body, idempotency_key)
        response = await self.transport.send(request, timeout)
        return _decode_model(self.transport, request, response, returns)

    async def call_list(
        self,
        operation: Operation,
        item: type[T],
        *,
        path: Sequence[str] = (),
        query: Sequence[Field] = (),
        org_id: str | None = None,
        timeout: float | None = None,
    ) -> list[T]:
        path, timeout = await self._with_organization(path, org_id, timeout, operation)
        request = _make_request(operation, path, query)
        response = await self.transport.send(request, timeout)
        return _decode(self.transport, request, response, find_reader(item).read_list)

    async def call_nothing(
        self,
        operation: Operation,
        *,
        path: Sequence[str] = (),
        query: Sequence[Field] = (),
        body: Sequence[Field] = (),
        org_id: str | None = None,
        timeout: float | None = None,
    ) -> None:
        path, timeout = await self._with_organization(path, org_id, timeout, operation)
        request = attrs.evolve(_make_request(operation, path, query, body), expects_nothing=True)
        await self.transport.send(request, timeout)

    async def call_secret_text(
        self, operation: Operation, *, query: Sequence[Field] = (), timeout: float | None = None
    ) -> Secret:
        request = _make_request(operation, (), query)
        response = await self.transport.send(request, _checked(timeout))
        try:
            return Secret(response.body.data.decode())
        except UnicodeDecodeError:
            pass
        raise _invalid(self.transport, "the answer is not UTF-8 text", request, response)

    async def upload(
        self,
        operation: Operation,
        returns: type[T],
        *,
        file: FileSource,
        filename: str | None = None,
        form: Sequence[Field] = (),
        timeout: float | None = None,
    ) -> T:
        with importing:
            from openrelay_async.upload import Upload
        upload = Upload(file, filename=filename, form=dict(encode_query(form)))
        headers = {"Content-Type": upload.content_type}
        if (length := upload.content_length()) is not None:
            headers["Content-Length"] = str(length)
        request = HttpRequest(operation, operation.path, upload=upload, headers=headers)
        response = await self.transport.send(request, _checked(timeout))
        return _decode_model(self.transport, request, response, returns)

    def download(
        self, operation: Operation, *, path: Sequence[str] = (), timeout: float | None = None
    ) -> DownloadCall:
        with importing:
            from openrelay_async.download import DownloadCall
        request = HttpRequest(
            operation,
            expand_path(operation, path),
            headers={"Accept": "*/*", "Accept-Encoding": "identity"},
            streamed=True,
        )
        limit = _checked(timeout)

        async def open_stream() -> BodyStream:
            response = await self.transport.send(request, limit)
            if response.stream is None:
                raise _invalid(self.transport, "the answer has no content", request, response)
            return response.stream

        return DownloadCall(
            open_stream,
            operation=operation.id,
            largest=self.transport.shared.session.limits.max_body,
        )

    def paged(
        self,
        operation: Operation,
        item: type[T],
        *,
        path: Sequence[str] = (),
        query: Sequence[Field] = (),
        page_size: int | None = None,
        cursor: str | None = None,
        max_items: int | None = None,
        prefetch: bool = False,
        org_id: str | None = None,
        timeout: float | None = None,
    ) -> PagedCall[T]:
        if page_size is not None:
            check_integer("page_size", page_size, minimum=1)
        if cursor is not None:
            check_cursor(operation, cursor)
        filters = encode_query(query)
        limit = _checked(timeout)
        # Here, not at the first page: a wrong argument is told where it is given.
        ids = path if org_id is None else (org_id, *path)
        for name, value in zip(operation.path_names[-len(ids) :], ids, strict=False):
            encode_path_id(value, name)

        async def fetch(at: str | None) -> Page[T]:
            full_path, remaining = await self._with_organization(path, org_id, limit, operation)
            request = HttpRequest(
                operation,
                expand_path(operation, full_path),
                query=(*filters, *page_query(operation, page_size, at)),
            )
            response = await self.transport.send(request, remaining)
            return _decode(
                self.transport,
                request,
                response,
                lambda raw: read_page(operation, raw, item, at, page_size),
            )

        return PagedCall(fetch, operation=operation, cursor=cursor, max_items=max_items, prefetch=prefetch)

    async def find_organization(self, org_id: str | None, timeout: float | None = None) -> str:
        if org_id is not None:
            return org_id
        (found,), _ = await self._with_organization((), None, timeout)
        return found

    def for_polls(self) -> ClientCalls:
        shared = self.transport.shared
        transport = attrs.evolve(
            self.transport,
            retry=attrs.evolve(self.transport.retry, max_attempts=1),
            timeout=shared.timeout,
            attempt_timeout=shared.attempt_timeout,
        )
        return attrs.evolve(self, transport=transport)

    async def _with_organization(
        self,
        path: Sequence[str],
        org_id: str | None,
        timeout: float | None,
        operation: Operation | None = None,
    ) -> tuple[Sequence[str], float | None]:
        """Return the path's ids with the organization in front, and what is left of the time limit."""
        limit = _checked(timeout)
        if operation is not None and "orgId" not in operation.path_names:
            return path, limit
        if org_id is not None:
            return (org_id, *path), limit
        if operation is not None and operation.org_required:
            # A `None` that slipped in must not end the client's own organization.
            raise TypeError("org_id must be str, not NoneType")
        if self.organization.known is not None:
            return (self.organization.known, *path), limit
        clock = self.transport.shared.clock
        began = clock.monotonic()
        given = self.transport.timeout if limit is None else limit
        try:
            async with asyncio.timeout(None if given == math.inf else given):
                found = await self.organization.find(given)
        except TimeoutError as error:
            if isinstance(error, OpenRelayError):  # the question's own, such as `LocalQueueTimeout`
                raise
        else:
            return (found, *path), max(given - (clock.monotonic() - began), 1e-3)
        whoami = _whoami().operation
        raise RequestTimeout(
            f"the organization was not known within {given:.3g} s; org_id= on the client saves the question",
            operation=whoami.id,
            method=whoami.http_method,
            path=whoami.path,
        )


def _whoami() -> HttpRequest:
    with importing:
        from openrelay_async.generated.operation_rows.account import WHOAMI
    return HttpRequest(WHOAMI, WHOAMI.path)


async def _ask_organization(transport: Transport, limit: float) -> str:
    request = _whoami()
    response = await transport.send(request, limit)
    org_id = _decode(transport, request, response, _read_organization)
    if org_id is not None:
        return org_id
    raise PermissionDenied(
        "the key belongs to no organization: give org_id= to the client or the call",
        operation=request.operation.id,
        method=request.operation.http_method,
        path=request.operation.path,
        attempts=response.attempts,
    )


def _read_organization(raw: object) -> str | None:
    org_id = raw.get("organizationId") if isinstance(raw, dict) else None
    return org_id if isinstance(org_id, str) and org_id else None


def _checked(timeout: float | None) -> float | None:
    return None if timeout is None else check_seconds("timeout", timeout)


def _make_request(
    operation: Operation,
    path: Sequence[str],
    query: Sequence[Field],
    body: Sequence[Field] = (),
    idempotency_key: str | None = None,
) -> HttpRequest:
    place = operation.idempotency_key
    if place is None and operation.body is None and not query:
        return HttpRequest(operation, expand_path(operation, path))
    payload, headers = None, NO_HEADERS
    if place is not None:
        # Made once, before the first attempt: every attempt carries the same.
        given = str(uuid.uuid4()) if idempotency_key is None else idempotency_key
        idempotency_key = check_idempotency_key(given)
    if operation.body is not None:
        payload = _encode_payload(operation, body, idempotency_key)
        headers = NO_HEADERS if payload is None else _JSON_HEADERS
    if place is not None and place.place == "header" and idempotency_key is not None:
        headers = {**headers, place.name: idempotency_key}
    return HttpRequest(
        operation,
        expand_path(operation, path),
        query=encode_query(query) if query else (),
        body=payload,
        headers=headers,
        idempotency_key=idempotency_key,
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


def _decode(
    transport: Transport, request: HttpRequest, response: HttpResponse, read: Callable[[object], T]
) -> T:
    """Return what `read` makes of an answer's JSON.

    The decoded body is never a local of a frame that the error shows: it may hold secrets.
    """
    try:
        return read(orjson.loads(response.body.data))
    except orjson.JSONDecodeError:
        problem = "the answer is not JSON"
    except StructureError as error:
        problem = str(error)
    raise _invalid(transport, problem, request, response)


def _decode_model(transport: Transport, request: HttpRequest, response: HttpResponse, model: type[T]) -> T:
    if not response.body.data:
        try:
            return structure_empty(model)
        except StructureError:
            pass
        raise _invalid(transport, "the answer has no body", request, response)
    return _decode(transport, request, response, find_reader(model).read)


def _invalid(
    transport: Transport, problem: str, request: HttpRequest, response: HttpResponse
) -> InvalidResponse:
    return invalid_response(problem, request, response, transport.known_secrets(request))
