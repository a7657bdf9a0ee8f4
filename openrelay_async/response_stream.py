"""The body of an answer that is handed on while it comes."""

from __future__ import annotations

from collections.abc import AsyncGenerator

import aiohttp

from openrelay_async.attempt_timer import AttemptTimer
from openrelay_async.content_encoding import ContentDecoder, MalformedBodyError
from openrelay_async.failures import closed_failure, describe_failure, timeout_failure
from openrelay_async.loop_pool import LoopPool
from openrelay_async.messages import AttemptFailure, HttpRequest
from openrelay_async.program_end import let_program_end
from openrelay_async.responses import error_from_failure

_LARGEST_PIECE = 1024 * 1024


class ResponseStream:
    """An open answer. It keeps its connection, and its place in the queue, until `chunks()` ends."""

    __slots__ = ("_attempts", "_idle_limit", "_pool", "_request", "_response", "_until")

    def __init__(
        self,
        response: aiohttp.ClientResponse,
        request: HttpRequest,
        pool: LoopPool,
        *,
        attempts: int,
        idle_limit: float,
        until: float,
    ) -> None:
        """Take over an answer whose headers are there.

        Args:
            pool: that of the running loop, which is told when the body has ended.
            attempts: requests that it took to get it.
            idle_limit: seconds in which nothing comes before it is given up.
            until: the loop's time at which it must be complete.
        """
        self._response = response
        self._request = request
        self._pool = pool
        self._attempts = attempts
        self._idle_limit = idle_limit
        self._until = until

    def __repr__(self) -> str:
        return f"<ResponseStream of {self._request.operation.id}>"

    async def chunks(self) -> AsyncGenerator[bytes, None]:
        """Yield the body's bytes. Ending early closes the connection.

        Raises:
            RequestTimeout: nothing came for the whole attempt limit, or the call's own time is up.
            ConnectionFailed: the body broke off.
        """
        failure: AttemptFailure | None = None
        try:
            decoder = self._make_decoder()
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
                for piece in decoder.feed(received, _LARGEST_PIECE):
                    yield piece
            if failure is None and decoder is not None and not decoder.is_complete():
                raise MalformedBodyError
        except MalformedBodyError as error:
            failure = describe_failure(error, connected=True, limit=0)
        finally:
            self._response.close()
            self._pool.end_stream()
        if failure is None:
            return
        is_closed = self._pool.connector.closed
        if is_closed:
            failure = closed_failure(failure)
        ended = error_from_failure(self._request, failure, attempts=self._attempts, maybe_applied=False)
        if is_closed:
            await let_program_end(ended)
        raise ended

    def _make_decoder(self) -> ContentDecoder | None:
        """Return what undoes a compression: none was asked for, but some proxies compress all the same."""
        encoding = self._response.headers.get("Content-Encoding", "identity")
        return None if encoding.lower() == "identity" else ContentDecoder(encoding)

    async def _next_piece(self) -> bytes | AttemptFailure:
        within = self._until - self._pool.loop.time()
        timer = AttemptTimer(self._pool.limits, self._idle_limit, within=within)
        try:
            piece = await self._response.content.readany()
        except BaseException as error:
            if timer.stop():
                return timeout_failure(self._idle_limit, within, connected=True, idle=True, is_first=False)
            if not isinstance(error, Exception):
                raise
            return describe_failure(error, connected=True, limit=0)
        timer.stop()
        return piece
