"""Owns the connections and performs one attempt: a request goes out, an answer or a failure comes back.

aiohttp's sessions belong to one loop and one process, so there is one for each loop that uses the client,
and a forked child starts without any. Failures are values here, never exceptions: no error of aiohttp,
which would show headers, can be raised or chained.
"""

from __future__ import annotations

import asyncio
import os
import ssl
import warnings
from collections.abc import AsyncGenerator, Callable, Mapping
from typing import NoReturn

import aiohttp
from yarl import URL

from openrelay_async.attempt_timer import AttemptTimer
from openrelay_async.config import PoolLimits
from openrelay_async.connector import AttemptState, PoolConnector, current_attempt
from openrelay_async.errors import LocalQueueTimeout
from openrelay_async.failures import describe_failure, timeout_failure
from openrelay_async.messages import HttpRequest, HttpResponse, Outcome
from openrelay_async.proxies import proxy_from_environment
from openrelay_async.redaction import HeaderValue, Payload, Secret
from openrelay_async.response_stream import ResponseStream
from openrelay_async.responses import BodyTooLargeError, decompress

NO_LIMIT = aiohttp.ClientTimeout(total=None, connect=None, sock_connect=None, sock_read=None)
"""aiohttp's limits are off: its total includes waiting for the pool, and ours are one timer."""

_NEVER_WITH_BODY = frozenset({"GET", "HEAD"})


class LoopPool:
    """The connections of one event loop, and the queue of calls that wait for one."""

    __slots__ = ("_guard", "connector", "idle", "loop", "running", "session", "slots", "waiting")

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        limits: PoolLimits,
        headers: Mapping[str, str],
        ssl_context: ssl.SSLContext | None,
    ) -> None:
        self.loop = loop
        self.slots = asyncio.Semaphore(limits.max_connections)
        self.waiting = 0
        self.running = 0
        self.idle = asyncio.Event()
        self.idle.set()
        # The queue before aiohttp is ours (`slots`), so its own must never be the shorter one.
        self.connector = PoolConnector(
            limit=0,
            keepalive_timeout=limits.idle,
            ssl=True if ssl_context is None else ssl_context,
            # Named, because aiohttp takes another one as soon as aiodns is installed.
            resolver=aiohttp.ThreadedResolver(loop=loop),
        )
        self.session = aiohttp.ClientSession(
            connector=self.connector,
            headers=headers,
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=NO_LIMIT,
            auto_decompress=False,
            trust_env=False,
        )
        # aiohttp would send GET, PUT and DELETE a second time by itself when a kept connection breaks:
        # hooks would not see it, and a limit of one attempt would be two requests.
        self.session._retry_connection = False
        self._guard = self._close_with_loop()
        _start(self._guard)

    async def _close_with_loop(self) -> AsyncGenerator[None, None]:
        """Wait until the loop shuts its generators down, then close the connections while it still runs.

        `asyncio.run`, `Runner` and their like do that last. It is the only notice of its end that a loop
        gives, and it keeps a client that is used in two successive runs from leaving sockets behind.
        """
        try:
            yield
        finally:
            await self.session.close()

    def enter(self) -> None:
        """Note that a call begins; `leave()` must follow."""
        self.running += 1
        self.idle.clear()

    def leave(self) -> None:
        self.running -= 1
        if self.running == 0:
            self.idle.set()

    async def aclose(self) -> None:
        await self._guard.aclose()

    def abandon(self) -> None:
        """Let go of the connections without a word to their loop, which is closed or the parent's."""
        self.session.detach()
        self.connector.abandon()


def _start(generator: AsyncGenerator[None, None]) -> None:
    """Run a generator to its first `yield`, which makes the running loop know it; nothing is awaited."""
    try:
        generator.__anext__().send(None)
    except StopIteration:
        return


class HttpSession:
    """All connections of a client and its views."""

    def __init__(
        self,
        limits: PoolLimits,
        *,
        headers: Mapping[str, str],
        proxy: Secret | None,
        ssl_context: ssl.SSLContext | None,
        made_at: str,
    ) -> None:
        """Take the settings; connections are made when a loop first needs one.

        Args:
            headers: sent with every request.
            proxy: URL of a proxy for all requests; `None` asks the environment.
            made_at: file and line that made the client, for the warning of one that is not closed.
        """
        self.limits = limits
        self._headers = {name: HeaderValue(value) for name, value in headers.items()}
        self._proxy = proxy
        self._environment_proxies: dict[str, Secret | None] = {}
        self._ssl_context = ssl_context
        self._made_at = made_at
        self._pools: dict[asyncio.AbstractEventLoop, LoopPool] = {}
        self._inherited: list[LoopPool] = []
        self._pid = os.getpid()
        self._was_used = False
        self.closed = False

    def __repr__(self) -> str:
        return f"<HttpSession with {len(self._pools)} pools>"

    def __reduce__(self) -> NoReturn:
        raise TypeError("connections cannot be pickled")

    def __del__(self, _warn: Callable[..., None] = warnings.warn) -> None:
        # It only warns: a finalizer runs in any thread, at any time, and must not schedule work.
        if getattr(self, "_was_used", False) and not self.closed:
            _warn(
                f"a client made at {self._made_at} was not closed: use `async with`, or await aclose()",
                ResourceWarning,
                stacklevel=2,
                source=self,
            )

    def pool(self) -> LoopPool:
        """Return the running loop's pool; make it if this is the loop's first call."""
        loop = asyncio.get_running_loop()
        if self._pid != os.getpid():
            self._leave_parent()
        pool = self._pools.get(loop)
        if pool is None or pool.session.closed:
            return self._open_pool(loop)
        return pool

    def _open_pool(self, loop: asyncio.AbstractEventLoop) -> LoopPool:
        for dead in [other for other in self._pools if other.is_closed()]:
            # Another thread may clean up at the same moment.
            pool = self._pools.pop(dead, None)
            if pool is not None:
                pool.abandon()
        self._was_used = True
        pool = LoopPool(loop, self.limits, self._headers, self._ssl_context)
        self._pools[loop] = pool
        return pool

    def _leave_parent(self) -> None:
        """Forget what a forked child inherited: the sockets are the parent's, and so are the loops.

        No lock is taken: a thread that held it would not exist in the child. The pools stay referenced, so
        that nothing of them is finalized here.
        """
        inherited = list(self._pools.values())
        self._pools = {}
        self._inherited = inherited
        self._pid = os.getpid()
        for pool in inherited:
            pool.abandon()

    async def acquire(self, pool: LoopPool, remaining: float, operation: str) -> None:
        """Take a place among the connections; the caller gives it back with `pool.slots.release()`.

        Raises:
            LocalQueueTimeout: none became free in time. Nothing was sent.
        """
        limit = remaining
        if self.limits.queue_timeout is not None:
            limit = min(limit, self.limits.queue_timeout)
        timer = AttemptTimer(pool.loop, limit)
        pool.waiting += 1
        try:
            await pool.slots.acquire()
        except asyncio.CancelledError:
            if not timer.stop():
                raise
        else:
            timer.stop()
            return
        finally:
            pool.waiting -= 1
        raise LocalQueueTimeout(
            f"all {self.limits.max_connections} connections were busy for {limit:.3g} s "
            "(PoolLimits.max_connections, queue_timeout)",
            operation=operation,
        )

    async def attempt(
        self,
        pool: LoopPool,
        base_url: str,
        request: HttpRequest,
        headers: Mapping[str, str],
        *,
        limit: float,
        within: float,
    ) -> Outcome:
        """Send a request once and read its answer.

        Args:
            base_url: where to; the request's path is appended.
            headers: what this attempt adds to the client's: the credential.
            limit: seconds for the attempt; for an upload or a download, seconds in which nothing moves.
            within: seconds left of the call.
        """
        state = AttemptState()
        token = current_attempt.set(state)
        moves = request.upload is not None or request.streamed
        timer = AttemptTimer(pool.loop, limit, idle=moves, within=within)
        response: aiohttp.ClientResponse | None = None
        try:
            response = await pool.session.request(
                request.operation.http_method,
                _make_url(base_url, request),
                headers=headers,
                data=_body_of(request, timer),
                skip_auto_headers=_doubtful_headers(request),
                allow_redirects=False,
                proxy=self._proxy_for(base_url),
            )
            if request.streamed and response.status < 300:
                timer.stop()
                stream = ResponseStream(response, request, idle_limit=limit, release=pool.slots.release)
                return HttpResponse(response.status, response.headers, Payload(b""), stream)
            body = await _read_body(response, self.limits.max_body)
        except BaseException as error:
            timed_out = timer.stop()
            if response is not None:
                response.close()
            if timed_out:
                return timeout_failure(min(limit, within), connected=state.connected, idle=moves)
            if not isinstance(error, Exception):
                raise
            return describe_failure(error, connected=state.connected, limit=self.limits.max_body)
        finally:
            current_attempt.reset(token)
        timer.stop()
        return HttpResponse(response.status, response.headers, Payload(body))

    def _proxy_for(self, base_url: str) -> URL | None:
        if self._proxy is not None:
            return URL(self._proxy.reveal())
        if base_url not in self._environment_proxies:
            self._environment_proxies[base_url] = proxy_from_environment(base_url)
        proxy = self._environment_proxies[base_url]
        return None if proxy is None else URL(proxy.reveal())

    async def drain(self) -> None:
        """Return when no call runs any more, in any loop."""
        own = asyncio.get_running_loop()
        for pool in list(self._pools.values()):
            if pool.loop is own:
                await pool.idle.wait()
            elif pool.loop.is_running():
                await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(_wait_idle(pool), pool.loop))

    async def aclose(self) -> None:
        """Close the connections of all loops; those of other running loops are closed by them."""
        self.closed = True
        own = asyncio.get_running_loop()
        pools = list(self._pools.values()) if self._pid == os.getpid() else []
        self._pools = {}
        for pool in pools:
            if pool.loop is own:
                await pool.aclose()
            elif pool.loop.is_running():
                asyncio.run_coroutine_threadsafe(pool.aclose(), pool.loop)
            else:
                pool.abandon()


async def _wait_idle(pool: LoopPool) -> None:
    await pool.idle.wait()


def _make_url(base_url: str, request: HttpRequest) -> URL:
    """Return the request's URL. Its frame is gone before anything can fail: a query may hold a secret."""
    if not request.query:
        return URL(base_url + request.path, encoded=True)
    url = URL(base_url + request.path, encoded=True)
    return url.with_query(
        [(name, value.reveal() if isinstance(value, Secret) else value) for name, value in request.query]
    )


def _doubtful_headers(request: HttpRequest) -> tuple[str, ...] | None:
    """Return what aiohttp must not add: it gives a POST without a body a content type."""
    if request.has_body or request.operation.http_method in _NEVER_WITH_BODY:
        return None
    return ("Content-Type",)


def _body_of(request: HttpRequest, timer: AttemptTimer) -> bytes | AsyncGenerator[bytes, None] | None:
    if request.upload is not None:
        return _touching(request.upload.chunks(), timer)
    return None if request.body is None else request.body.data


async def _touching(chunks: AsyncGenerator[bytes, None], timer: AttemptTimer) -> AsyncGenerator[bytes, None]:
    async for chunk in chunks:
        timer.touch()
        yield chunk


async def _read_body(response: aiohttp.ClientResponse, limit: int) -> bytes:
    """Return an answer's whole body, decompressed.

    Raises:
        BodyTooLargeError: it is longer than `limit`, before or after decompression.
    """
    length = response.content_length
    if length is not None and length <= limit:
        body = await response.read()
    elif length is not None:
        raise BodyTooLargeError
    else:
        received = bytearray()
        while piece := await response.content.readany():
            received += piece
            if len(received) > limit:
                raise BodyTooLargeError
        body = bytes(received)
    encoding = response.headers.get("Content-Encoding")
    return body if encoding is None and len(body) <= limit else decompress(body, encoding, limit=limit)
