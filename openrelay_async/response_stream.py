"""The body of an answer that is handed on while it comes."""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import AsyncGenerator, Callable

import aiohttp

from openrelay_async.attempt_timer import AttemptTimer
from openrelay_async.failures import describe_failure, timeout_failure
from openrelay_async.messages import AttemptFailure, HttpRequest
from openrelay_async.responses import MalformedBodyError, error_from_failure

_LARGEST_PIECE = 1024 * 1024


class ResponseStream:
    """An open answer. It keeps its connection, and its place in the queue, until `chunks()` ends."""

    __slots__ = ("_idle_limit", "_release", "_request", "_response")

    def __init__(
        self,
        response: aiohttp.ClientResponse,
        request: HttpRequest,
        *,
        idle_limit: float,
        release: Callable[[], None],
    ) -> None:
        self._response = response
        self._request = request
        self._idle_limit = idle_limit
        self._release = release

    def __repr__(self) -> str:
        return f"<ResponseStream of {self._request.operation.id}>"

    async def chunks(self) -> AsyncGenerator[bytes, None]:
        """Yield the body's bytes. Ending early closes the connection.

        Raises:
            RequestTimeout: nothing came for the whole attempt limit.
            ConnectionFailed: the body broke off.
        """
        decoder = None
        if self._response.headers.get("Content-Encoding", "identity") in {"gzip", "deflate"}:
            # Not asked for; some proxies compress all the same.
            decoder = zlib.decompressobj(32 + zlib.MAX_WBITS)
        failure: AttemptFailure | None = None
        try:
            while True:
                received = await self._next_piece()
                if isinstance(received, AttemptFailure):
                    failure = received
                    break
                if not received:
                    break
                if decoder is None:
                    yield received
                    continue
                while received:
                    try:
                        piece = decoder.decompress(received, _LARGEST_PIECE)
                    except zlib.error:
                        failure = describe_failure(MalformedBodyError(), connected=True, limit=0)
                        break
                    received = decoder.unconsumed_tail
                    if piece:
                        yield piece
                if failure is not None:
                    break
            if failure is None and decoder is not None and not decoder.eof:
                failure = describe_failure(MalformedBodyError(), connected=True, limit=0)
        finally:
            self._response.close()
            self._release()
        if failure is not None:
            raise error_from_failure(self._request, failure, attempts=1, maybe_applied=False)

    async def _next_piece(self) -> bytes | AttemptFailure:
        timer = AttemptTimer(asyncio.get_running_loop(), self._idle_limit)
        try:
            piece = await self._response.content.readany()
        except BaseException as error:
            if timer.stop():
                return timeout_failure(self._idle_limit, connected=True, idle=True)
            if not isinstance(error, Exception):
                raise
            return describe_failure(error, connected=True, limit=0)
        timer.stop()
        return piece
