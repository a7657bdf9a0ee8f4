"""HTTP around the service: aiohttp's low-level server, body limits, faults on the wire, the list of requests.

Imported when an emulator starts, and not before: `aiohttp.web` takes a fifth of a second to load.
"""

from __future__ import annotations

import logging
import socket
import struct
from collections.abc import Iterator
from email.utils import formatdate
from typing import TYPE_CHECKING, cast

import attrs
from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

from openrelay_async.emulator.answers import Answer, Refusal, bad_request
from openrelay_async.emulator.control import PREFIX as CONTROL_PREFIX
from openrelay_async.emulator.control import Control
from openrelay_async.emulator.faults import Fault
from openrelay_async.emulator.responding import answer_refusal, encode, refusal_of
from openrelay_async.emulator.seen import RequestLog, SeenRequest, mask_headers
from openrelay_async.emulator.service import Exchange, Service
from openrelay_async.emulator.storage import EmulatorError
from openrelay_async.emulator.uploads import read_file, read_form
from openrelay_async.redaction import Payload, Secret

if TYPE_CHECKING:
    from openrelay_async.emulator.dashboard.handling import Dashboard

LARGEST_JSON = 1024 * 1024
_GARBAGE = b"\x00\xff<html>this is not what you asked for"
_SLOW_STEPS = 10

logger = logging.getLogger("openrelay_async.emulator")


class Server:
    """Listens for requests and hands them to the service."""

    def __init__(
        self,
        service: Service,
        requests: RequestLog,
        dashboard: Dashboard | None = None,
        control: Control | None = None,
    ) -> None:
        self._service = service
        self._dashboard = dashboard
        self._control = control
        self._requests = requests
        self._runner: web.ServerRunner | None = None
        self._dates: tuple[int, str] = (0, "")
        self.url = ""

    async def start(self, host: str, port: int) -> None:
        """Accept requests from now on.

        Raises:
            EmulatorError: the address is taken, or not ours.
        """
        server = web.Server(self._handle, access_log=None)
        self._runner = web.ServerRunner(server, shutdown_timeout=0.2)
        await self._runner.setup()
        site = web.TCPSite(self._runner, host, port, reuse_address=True)
        try:
            await site.start()
        except (OSError, OverflowError) as error:
            await self._runner.cleanup()
            reason = (getattr(error, "strerror", None) or str(error)).lower()
            raise EmulatorError(f"cannot listen on {host} port {port}: {reason}") from None
        address = self._runner.addresses[0]
        self.url = f"http://{host}:{address[1]}"

    async def stop(self) -> None:
        """Close the socket; requests that run have a moment to end."""
        if self._runner is not None:
            await self._runner.cleanup()

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        try:
            response = await self._respond(request)
        except ConnectionError:
            response = None  # the client has gone, in the middle of its body or of the answer
        # After a reset nothing can be written any more; aiohttp still wants to be given something.
        return response or web.Response(status=500)

    async def _respond(self, request: web.BaseRequest) -> web.StreamResponse | None:
        """Answer; None if the connection was reset instead."""
        raw_path, _, raw_query = request.raw_path.partition("?")
        if not raw_path.startswith("/"):  # RFC 9112 section 3.2: the absolute form, as for a proxy
            raw_path, raw_query = request.rel_url.raw_path, request.rel_url.raw_query_string
        if self._dashboard is not None and self._dashboard.serves(raw_path):
            return await self._dashboard.handle(request)
        if self._control is not None and raw_path.startswith(CONTROL_PREFIX):
            return await self._operate(self._control, request, raw_path)
        exchange = self._service.begin(request.method, raw_path, request.headers, self.url, request.remote)
        exchange.raw_query = raw_query
        status: int | None = None
        try:
            answer = await self._answer(exchange, request)
            response = None if answer is None else await self._write(exchange, answer, request)
            status = None if answer is None or response is None else answer.status
        finally:
            self._requests.add(_seen(exchange, status))
        return response

    async def _operate(self, control: Control, request: web.BaseRequest, raw_path: str) -> web.StreamResponse:
        try:
            body = await _read_body(request, LARGEST_JSON)
            answer = control.answer(request.method, raw_path, request.content_type, body)
        except Refusal as refusal:
            answer = answer_refusal(refusal, None, "control")
        except EmulatorError as error:
            answer = answer_refusal(Refusal(409, str(error), "CONFLICT"), None, "control")
        headers = {"Content-Type": answer.content_type, "Cache-Control": "no-store"}
        return web.Response(status=answer.status, headers=headers, body=encode(answer))

    async def _answer(self, exchange: Exchange, request: web.BaseRequest) -> Answer | None:
        """The answer; None if the connection was reset instead."""
        try:
            try:
                fault = self._service.route(exchange)
            finally:  # also what is refused is looked at by tests
                too_large = await _receive(exchange, request)
            if fault is not None:
                await self._strike_before(fault, request)
                if fault.reset == "before":
                    return None
            self._service.admit(exchange)
            if too_large is not None:
                raise too_large
            answer = await self._perform(exchange, request)
        except Refusal as refusal:
            return answer_refusal(refusal, exchange.operation, exchange.request_id)
        except (HttpProcessingError, web.RequestPayloadError):
            # aiohttp found out while the body was read that it is not what its headers say.
            problem = bad_request("body", "is not what its headers say")
            return answer_refusal(problem, exchange.operation, exchange.request_id)
        except ConnectionError:
            return None
        except Exception:
            # A mistake in the emulator: never let it look like an answer of the service.
            logger.exception("%s %s failed", exchange.method, exchange.operation and exchange.operation.id)
            mistake = Refusal(500, "a mistake in the emulator: see its log", "EMULATOR_MISTAKE")
            return answer_refusal(mistake, exchange.operation, exchange.request_id)
        if fault is not None and fault.reset == "after":
            _reset(request)
            return None
        return answer

    async def _perform(self, exchange: Exchange, request: web.BaseRequest) -> Answer:
        if not _takes_file(exchange):
            return self._service.perform(exchange)
        is_form = exchange.operation is not None and exchange.operation.media == "multipart/form-data"
        upload = await (read_form(request) if is_form else read_file(request))
        try:
            return self._service.perform(exchange, upload)
        finally:
            upload.close()

    async def _strike_before(self, fault: Fault, request: web.BaseRequest) -> None:
        if fault.delay and fault.body != "slow":
            await self._service.clock.sleep(fault.delay)
        if fault.reset == "before":
            _reset(request)
            return
        refusal = refusal_of(fault)
        if refusal is not None:
            raise refusal

    async def _write(
        self, exchange: Exchange, answer: Answer, request: web.BaseRequest
    ) -> web.StreamResponse | None:
        headers = {
            "X-Request-Id": exchange.request_id,
            "Date": self._date(),
            **exchange.extra_headers,
            **answer.headers,
        }
        fault = exchange.fault
        if isinstance(answer.body, Iterator):
            if fault is None or fault.body is None:
                return await _stream(request, answer, headers)
            answer = attrs.evolve(answer, body=b"".join(answer.body), headers={})
            headers.pop("Content-Length", None)
        body = encode(answer)
        if body:
            headers["Content-Type"] = answer.content_type
        if fault is None or fault.body is None:
            return web.Response(status=answer.status, headers=headers, body=body)
        if fault.body == "garbage":
            return web.Response(status=answer.status, headers=headers, body=_GARBAGE)
        response = web.StreamResponse(status=answer.status, headers=headers)
        response.content_length = len(body)
        await response.prepare(request)
        if fault.body == "truncated":
            await response.write(body[: len(body) // 2])
            if request.transport is not None:
                request.transport.close()  # what was written arrives, and then the end
            return response
        step = max(1, -(-len(body) // _SLOW_STEPS))
        for start in range(0, len(body), step):
            await self._service.clock.sleep((fault.delay or 1.0) / _SLOW_STEPS)
            await response.write(body[start : start + step])
        return response

    def _date(self) -> str:
        """The service's idea of now: clients measure their own clock's error by it."""
        now = int(self._service.clock.wall())
        if now != self._dates[0]:
            self._dates = (now, formatdate(now, usegmt=True))
        return self._dates[1]


async def _stream(request: web.BaseRequest, answer: Answer, headers: dict[str, str]) -> web.StreamResponse:
    """A body in pieces: what is large is never in memory as a whole."""
    headers["Content-Type"] = answer.content_type
    response = web.StreamResponse(status=answer.status, headers=headers)
    await response.prepare(request)
    for piece in cast("Iterator[bytes]", answer.body):
        await response.write(piece)
    return response


def _reset(request: web.BaseRequest) -> None:
    """End the connection with RST: zero linger makes closing drop what is unsent, without a goodbye."""
    transport = request.transport
    if transport is None:
        return
    raw = transport.get_extra_info("socket")
    if raw is not None:
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()


def _takes_file(exchange: Exchange) -> bool:
    return exchange.operation is not None and exchange.operation.media != "application/json"


async def _receive(exchange: Exchange, request: web.BaseRequest) -> Refusal | None:
    """Take the body in unless it is a file; the refusal of one that is too large, for when its turn comes."""
    if _takes_file(exchange):
        return None
    try:
        exchange.body = Payload(await _read_body(request, LARGEST_JSON))
    except Refusal as too_large:
        return too_large
    return None


async def _read_body(request: web.BaseRequest, limit: int) -> bytes:
    """The body, up to a limit that also holds for what a compressed one unpacks to.

    Raises:
        Refusal: 413.
    """
    if not request.can_read_body:
        return b""
    too_large = Refusal(413, f"the body is larger than {limit} bytes", "PAYLOAD_TOO_LARGE")
    if (request.content_length or 0) > limit:
        raise too_large
    chunks: list[bytes] = []
    size = 0
    async for chunk in request.content.iter_any():
        size += len(chunk)
        if size > limit:
            raise too_large
        chunks.append(chunk)
    return b"".join(chunks)


def _seen(exchange: Exchange, status: int | None) -> SeenRequest:
    return SeenRequest(
        method=exchange.method,
        path=exchange.raw_path,
        operation=exchange.operation.id if exchange.operation else None,
        status=status,
        headers=mask_headers(exchange.headers),
        request_id=exchange.request_id,
        at=exchange.at,
        fault=exchange.fault,
        query=Secret(exchange.raw_query),
        body=exchange.body,
    )
