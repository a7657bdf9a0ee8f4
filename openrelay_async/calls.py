"""What generated methods call: arguments become a request, an answer becomes a model."""

from __future__ import annotations

from collections.abc import Coroutine, Sequence
from functools import partial
from typing import TYPE_CHECKING, TypeVar

import attrs
from attrs import frozen

from openrelay_async.call_answer import decode_answer, decode_model, expect_nothing, invalid_answer
from openrelay_async.call_request import make_request
from openrelay_async.config import check_integer, check_seconds
from openrelay_async.fork_guard import importing
from openrelay_async.messages import HttpRequest, HttpResponse
from openrelay_async.operation import Operation
from openrelay_async.organization import DefaultOrganization
from openrelay_async.page_reading import check_cursor, page_query, read_page
from openrelay_async.pagination import Page, PagedCall
from openrelay_async.redaction import Secret
from openrelay_async.request_path import encode_path_id, expand_path
from openrelay_async.structuring import find_reader
from openrelay_async.transport import Transport
from openrelay_async.unset import UNSET, Unset
from openrelay_async.wire import Field, encode_query

if TYPE_CHECKING:
    # Most programs move no files: what does is loaded with the first one.
    from openrelay_async.download import BodyStream, DownloadCall
    from openrelay_async.upload import FileSource

T = TypeVar("T")

_NOT_KNOWN_YET = "organization"
"""The stand-in for the client's organization in the path of a request that is made before it is known."""


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
        return cls(transport, DefaultOrganization(org_id, transport))

    async def call(
        self,
        operation: Operation,
        returns: type[T],
        *,
        path: Sequence[str] = (),
        query: Sequence[Field] = (),
        body: Sequence[Field] = (),
        org_id: str | None = None,
        idempotency_key: str | Unset | None = UNSET,
        timeout: float | None = None,
    ) -> T:
        limit = _check_timeout(timeout)
        must_ask = False
        if operation.takes_org:
            must_ask = self._must_ask(operation, org_id)
            path = self._add_organization(path, org_id)
        request = make_request(operation, path, query, body, idempotency_key)
        response = await self._send(request, path, must_ask, limit)
        return decode_model(self.transport, request, response, returns)

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
        limit = _check_timeout(timeout)
        must_ask = False
        if operation.takes_org:
            must_ask = self._must_ask(operation, org_id)
            path = self._add_organization(path, org_id)
        request = make_request(operation, path, query)
        response = await self._send(request, path, must_ask, limit)
        return decode_answer(self.transport, request, response, find_reader(item).read_list)

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
        limit = _check_timeout(timeout)
        must_ask = False
        if operation.takes_org:
            must_ask = self._must_ask(operation, org_id)
            path = self._add_organization(path, org_id)
        request = make_request(operation, path, query, body)
        response = await self._send(request, path, must_ask, limit)
        expect_nothing(self.transport, request, response)

    async def call_secret_text(
        self, operation: Operation, *, query: Sequence[Field] = (), timeout: float | None = None
    ) -> Secret:
        request = make_request(operation, (), query)
        response = await self.transport.send(request, _check_timeout(timeout))
        try:
            return Secret(response.body.data.decode())
        except UnicodeDecodeError:
            pass
        raise invalid_answer(self.transport, "the answer is not UTF-8 text", request, response)

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
        response = await self.transport.send(request, _check_timeout(timeout))
        return decode_model(self.transport, request, response, returns)

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
        limit = _check_timeout(timeout)

        async def open_stream() -> BodyStream:
            response = await self.transport.send(request, limit)
            if response.stream is None:
                raise invalid_answer(self.transport, "the answer has no content", request, response)
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
        limit = _check_timeout(timeout)
        # Here, not at the first page: a wrong argument is told where it is given.
        ids = path if org_id is None else (org_id, *path)
        for name, value in zip(operation.path_names[-len(ids) :], ids, strict=False):
            encode_path_id(value, name)
        fetch = partial(self._read_page, operation, item, path, filters, page_size)
        return PagedCall(
            partial(fetch, org_id=org_id, timeout=limit),
            operation=operation,
            cursor=cursor,
            max_items=max_items,
            prefetch=prefetch,
            admit=self.transport.shared.admit,
        )

    async def _read_page(
        self,
        operation: Operation,
        item: type[T],
        path: Sequence[str],
        filters: tuple[tuple[str, str | Secret], ...],
        page_size: int | None,
        cursor: str | None,
        *,
        org_id: str | None,
        timeout: float | None,
    ) -> Page[T]:
        """Return the page that a cursor asks for; `None` asks for the first."""
        must_ask = False
        if operation.takes_org:
            must_ask = self._must_ask(operation, org_id)
            path = self._add_organization(path, org_id)
        request = HttpRequest(
            operation,
            expand_path(operation, path),
            query=(*filters, *page_query(operation, page_size, cursor)),
        )
        response = await self._send(request, path, must_ask, timeout)
        return decode_answer(
            self.transport,
            request,
            response,
            lambda raw: read_page(operation, raw, item, cursor, page_size),
        )

    async def find_organization(self, org_id: str | None, timeout: float | None = None) -> str:
        if org_id is not None:
            return org_id
        found, _ = await self._ask_organization(_check_timeout(timeout))
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

    def _must_ask(self, operation: Operation, org_id: str | None) -> bool:
        """Return whether the client's organization is needed and not known yet."""
        if org_id is None and operation.org_required:
            # A `None` that slipped in must not end the client's own organization.
            raise TypeError("org_id must be str, not NoneType")
        return org_id is None and self.organization.known is None

    def _add_organization(self, path: Sequence[str], org_id: str | None) -> Sequence[str]:
        """Return the path's ids, in front of them the organization: given, the client's, or its stand-in."""
        if org_id is None:
            org_id = self.organization.known or _NOT_KNOWN_YET
        return (org_id, *path)

    def _send(
        self, request: HttpRequest, ids: Sequence[str], must_ask: bool, limit: float | None
    ) -> Coroutine[object, object, HttpResponse]:
        # Not a coroutine itself: of thousands of calls, each would hold one frame more.
        return self._ask_first(request, ids, limit) if must_ask else self.transport.send(request, limit)

    async def _ask_first(self, request: HttpRequest, ids: Sequence[str], limit: float | None) -> HttpResponse:
        """Send a request whose organization is the client's, which is asked for within the call's time.

        A client that drains meanwhile takes both requests as one call.

        Args:
            request: made with the stand-in, so that no wrong argument comes this far.
            ids: those of its path, the stand-in first.
        """
        operation = request.operation
        with self.transport.shared.admit(operation):
            org_id, left = await self._ask_organization(limit)
            found = attrs.evolve(request, path=expand_path(operation, (org_id, *ids[1:])))
            return await self.transport.send(found, left)

    def _ask_organization(self, limit: float | None) -> Coroutine[object, object, tuple[str, float]]:
        return self.organization.find(self.transport.timeout if limit is None else limit)


def _check_timeout(timeout: float | None) -> float | None:
    return None if timeout is None else check_seconds("timeout", timeout)
