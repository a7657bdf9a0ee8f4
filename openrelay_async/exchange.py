"""The short way of a request that goes out in one piece: its bytes on a connection of aiohttp's pool.

Nearly all requests are a head and perhaps some JSON, and their answers fit in memory. aiohttp's session gets
every request ready for cookies, redirects, authentication, compression, tracing and streaming, which is two
thirds of what such a request costs. Here aiohttp gives the connection (its pool, names, TLS) and reads the
answer, and nothing stands in between.

The session's own way stays for all else: uploads, downloads, proxies. It is also taken where somebody has
put themselves into it: a tracer, or a test that replaces `ClientSession._request`, as aioresponses does.
"""

from __future__ import annotations

import asyncio
from types import FunctionType
from typing import TYPE_CHECKING, cast

import aiohttp
from aiohttp import ClientRequest, ClientSession
from aiohttp.http import StreamWriter
from multidict import CIMultiDict
from yarl import URL

from openrelay_async.answer_body import read_body, read_refusal
from openrelay_async.connector import AttemptState
from openrelay_async.credentials import Credential
from openrelay_async.messages import HttpRequest, HttpResponse
from openrelay_async.redaction import Payload
from openrelay_async.request_target import WITHOUT_BODY, write_target

if TYPE_CHECKING:
    from aiohttp.client_proto import ResponseHandler
    from aiohttp.connector import Connection

TRIED_VERSIONS = ("3.14.",)
"""Versions of aiohttp with which this way was tried: it needs more of aiohttp than aiohttp promises."""

NO_LIMIT = aiohttp.ClientTimeout(total=None, connect=None, sock_connect=None, sock_read=None)
"""aiohttp's limits are off: its total includes waiting for the pool, and ours are one timer."""


class _Origin:
    """What all requests to a base URL have in common."""

    __slots__ = ("any_request", "headers", "path")

    def __init__(self, any_request: ClientRequest, path: str, headers: CIMultiDict[str]) -> None:
        """Take what is sent each time.

        Args:
            any_request: tells aiohttp's pool where to connect to.
            path: the base URL's own, which requests continue.
        """
        self.any_request = any_request
        self.path = path
        self.headers = headers


class Exchange:
    """Requests and their answers on the connections of one session."""

    __slots__ = ("_connector", "_headers", "_is_tried", "_loop", "_origins", "_session")

    def __init__(
        self, session: ClientSession, connector: aiohttp.BaseConnector, headers: CIMultiDict[str]
    ) -> None:
        """Take the headers of every request."""
        self._headers = headers
        self._session = session
        self._connector = connector
        self._loop = asyncio.get_running_loop()
        self._origins: dict[str, _Origin] = {}
        self._is_tried = aiohttp.__version__.startswith(TRIED_VERSIONS)

    def takes(self, request: HttpRequest) -> bool:
        """Return whether a request may go this way."""
        if request.streamed or request.upload is not None:
            return False
        return self._is_tried and not is_observed(self._session)

    async def ask(
        self,
        base_url: str,
        request: HttpRequest,
        credential: Credential | None,
        state: AttemptState,
        *,
        limit: int,
    ) -> HttpResponse:
        """Send a request and return its answer.

        Args:
            limit: bytes that the answer's body may have.

        Raises:
            Exception: aiohttp's and the operating system's; `state` says whether anything was sent.
        """
        if self._connector.closed:
            # It would connect, and only then say so.
            raise aiohttp.ClientConnectionError
        origin = self._origins.get(base_url) or self._prepare(base_url)
        connection = await self._connector.connect(origin.any_request, [], NO_LIMIT)
        try:
            protocol = cast("ResponseHandler", connection.protocol)
            method = request.operation.http_method
            protocol.set_response_params(
                skip_payload=method == "HEAD", read_until_eof=True, auto_decompress=False
            )
            writer = StreamWriter(protocol, self._loop)
            await writer.write_headers(
                f"{method} {origin.path}{write_target(request)} HTTP/1.1",
                _make_head(origin, request, credential),
            )
            # From here on the request is being written: what fails later may have reached the server.
            state.connected = True
            if request.body:
                # Not drained: the answer to a large body may come before the server has read all of it.
                await writer.write(request.body.data, drain=False)
            else:
                writer.set_eof()
            message, content = await protocol.read()
            while 100 <= message.code < 200 and message.code != 101:
                message, content = await protocol.read()
            read = read_body if message.code < 400 else read_refusal
            body = await read(content, message.headers, limit)
        except BaseException:
            connection.close()
            raise
        if body is None or (request.body and _has_unsent(connection)):
            # Its rest is still to come, or to go: the next request would stand in line behind it.
            connection.close()
        else:
            connection.release()
        return HttpResponse(message.code, message.headers, Payload(body or b""))

    def _prepare(self, base_url: str) -> _Origin:
        url = URL(base_url, encoded=True)
        headers = CIMultiDict({"Host": url.host_port_subcomponent or ""})
        headers.update(self._headers)
        request = ClientRequest("GET", url, loop=self._loop, session=self._session)
        origin = _Origin(request, url.raw_path.rstrip("/"), headers)
        self._origins[base_url] = origin
        return origin


def is_observed(session: ClientSession) -> bool:
    """Return whether somebody looks at a session's requests, or answers them in its place."""
    return (
        is_replaced(ClientSession._request)
        or is_replaced(ClientSession.request)
        or bool(session.trace_configs)
    )


def is_replaced(method: object) -> bool:
    """Return whether what `ClientSession` has as a method is not aiohttp's own."""
    # A mock has the name and the module of what it stands for, but not its code.
    neighbour = ClientSession.__aexit__
    if not isinstance(method, FunctionType) or not isinstance(neighbour, FunctionType):
        return True
    return method.__code__.co_filename != neighbour.__code__.co_filename


def _has_unsent(connection: Connection) -> bool:
    transport = connection.transport
    return transport is not None and transport.get_write_buffer_size() > 0


def _make_head(origin: _Origin, request: HttpRequest, credential: Credential | None) -> CIMultiDict[str]:
    head = CIMultiDict(origin.headers)
    if request.headers:
        head.update(request.headers)
    if credential is not None:
        head["Authorization"] = credential.header
    if request.body is not None or request.operation.http_method not in WITHOUT_BODY:
        head["Content-Length"] = str(len(request.body or b""))
    return head
