"""Owns the connections and performs one attempt: a request goes out, an answer or a failure comes back.

aiohttp's sessions belong to one loop and one process, so there is one for each loop that uses the client,
and a forked child starts without any. Failures are values here, never exceptions: no error of aiohttp,
which would show headers, can be raised or chained.
"""

from __future__ import annotations

import asyncio
import math
import os
import ssl
import warnings
from collections.abc import Callable, Mapping
from typing import NoReturn

import aiohttp

from openrelay_async.answer_body import read_body, read_refusal
from openrelay_async.attempt_timer import AttemptTimer
from openrelay_async.config import PoolLimits
from openrelay_async.connector import AttemptState
from openrelay_async.credentials import Credential
from openrelay_async.errors import ConfigurationError
from openrelay_async.failures import closed_failure, describe_failure, timeout_failure
from openrelay_async.fork_guard import importing
from openrelay_async.loop_pool import LoopPool
from openrelay_async.messages import AttemptFailure, HttpRequest, HttpResponse, Outcome
from openrelay_async.proxies import Proxy, choose_proxy
from openrelay_async.redaction import HeaderValue, Payload

_LOOK_AGAIN = 0.02
"""Seconds between two looks whether the calls of another loop have ended."""


class HttpSession:
    """All connections of a client and its views."""

    def __init__(
        self,
        limits: PoolLimits,
        *,
        headers: Mapping[str, str],
        proxy: Proxy | None,
        ssl_context: ssl.SSLContext | None,
        uses_tls: bool,
        made_at: str,
    ) -> None:
        """Take the settings; connections are made when a loop first needs one.

        Args:
            headers: sent with every request.
            proxy: for all requests but those in clear to this machine; `None` asks the environment.
            uses_tls: whether a request may need TLS: certificates take long to load.
            made_at: file and line that made the client, for the warning of one that is not closed.

        Raises:
            ConfigurationError: `ssl_context` is something else.
        """
        # First of all: the finalizer and the traceback of a refusal look at what is half made.
        self._pools: dict[asyncio.AbstractEventLoop, LoopPool] = {}
        self._was_used = False
        if ssl_context is not None and not isinstance(ssl_context, ssl.SSLContext):
            raise ConfigurationError(
                f"ssl_context must be an ssl.SSLContext, not {type(ssl_context).__name__}"
            )
        self.limits = limits
        self.headers = {name: HeaderValue(value) for name, value in headers.items()}
        self._proxy = proxy
        self._proxies: dict[str, Proxy | None] = {}
        self._ssl_context = ssl_context
        self._uses_tls = uses_tls or proxy is not None
        self._made_at = made_at
        self._inherited: list[LoopPool] = []
        self._pid = os.getpid()
        self.closed = False

    def __repr__(self) -> str:
        return f"<HttpSession with {len(self._pools)} pools>"

    def __reduce__(self) -> NoReturn:
        raise TypeError("connections cannot be pickled")

    def __del__(
        self,
        _warn: Callable[..., None] = warnings.warn_explicit,
        _getpid: Callable[[], int] = os.getpid,
    ) -> None:
        # A finalizer runs in any thread, at any time: it must not schedule work. Pools of loops that can
        # still run stay with their loops (see `LoopPool`), the others are let go here.
        if not self._was_used or self.closed:
            return
        forked = self._pid != _getpid()
        for loop, pool in self._pools.items():
            if forked or loop.is_closed():
                pool.abandon()
        if not forked:
            file, _, line = self._made_at.rpartition(":")
            # Said of the line that made it: where it is collected is anywhere.
            _warn(
                f"a client made at {self._made_at} was not closed: use a `with` or `async with` block",
                ResourceWarning,
                file,
                int(line),
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
        # A copy, and `pop` with a default: another thread may clean up at the same moment.
        for dead in [other for other in list(self._pools) if other.is_closed()]:
            pool = self._pools.pop(dead, None)
            if pool is not None:
                pool.abandon()
        in_environment = os.environ.get("SSL_CERT_FILE") or os.environ.get("SSL_CERT_DIR")
        if self._ssl_context is None and self._uses_tls and in_environment:
            # aiohttp's own context was made when aiohttp was imported: perhaps before the variable was set.
            self._ssl_context = ssl.create_default_context()
        self._was_used = True
        pool = LoopPool(loop, self.limits, self.headers, self._ssl_context, owner=self)
        self._pools[loop] = pool
        return pool

    def _leave_parent(self) -> None:
        """Forget what a forked child inherited: the sockets are the parent's, and so are the loops.

        No lock is taken: a thread that held it would not exist in the child. The pools stay referenced, so
        that nothing of them is finalized here.
        """
        inherited = list(self._pools.values())
        self._pools = {}
        self._inherited += inherited
        self._pid = os.getpid()
        self._was_used = False
        for pool in inherited:
            pool.abandon()

    def queue_limit(self, remaining: float) -> float:
        """Return the seconds that a call may wait for a connection, with `remaining` left of its time."""
        own = self.limits.queue_timeout
        return remaining if own is None else min(remaining, own)

    def describe_queue(self, remaining: float) -> str:
        """Return the message of a call for which no place became free."""
        waited = max(self.queue_limit(remaining), 0.0)
        return (
            f"all {self.limits.max_connections} connections were busy for {waited:.3g} s, "
            "and nothing was sent (PoolLimits.max_connections, queue_timeout)"
        )

    async def attempt(
        self,
        pool: LoopPool,
        base_url: str,
        request: HttpRequest,
        credential: Credential | None,
        *,
        number: int,
        limit: float,
        within: float,
        whole: bool = False,
    ) -> Outcome:
        """Send a request once and read its answer.

        Args:
            base_url: where to; the request's path is appended.
            credential: the key to send, if any.
            number: of this attempt within its call, from 1.
            limit: seconds for the attempt; for an upload or a download, seconds in which nothing moves.
            within: seconds left of the call.
            whole: whether `within` holds for the body of a download too, not only until it begins.

        Raises:
            ConfigurationError: the environment names a proxy that cannot be one.
            Exception: what the caller's own file raised when it was read.
        """
        if within <= 0:
            # A kept connection would take the request before the timer could stop it.
            return AttemptFailure("connect", "timeout", "the call's time was up before it could be sent")
        proxy = self._proxy_for(base_url)
        state = AttemptState()
        moves = request.upload is not None or request.streamed
        timer = AttemptTimer(
            pool.limits,
            limit,
            idle=moves,
            within=within,
            moves=None if request.upload is None else state.sends,
        )
        opened: aiohttp.ClientResponse | None = None
        outcome: Outcome
        try:
            if proxy is None and pool.exchange.takes(request):
                limit_of_body = self.limits.max_body
                return await pool.exchange.ask(base_url, request, credential, state, limit=limit_of_body)
            with importing:
                # What moves no files and has no proxy does without them.
                from openrelay_async.response_stream import ResponseStream
                from openrelay_async.session_request import open_answer
            opened = await open_answer(pool, base_url, request, credential, proxy, state=state, timer=timer)
            if request.streamed and 200 <= opened.status < 300:
                stream = ResponseStream(
                    opened,
                    request,
                    pool,
                    attempts=number,
                    idle_limit=limit,
                    until=timer.until if whole else math.inf,
                )
                return HttpResponse(opened.status, opened.headers, Payload(b""), stream)
            read = read_body if opened.status < 400 else read_refusal
            body = await read(opened.content, opened.headers, self.limits.max_body)
            if body is None:
                opened.close()
            else:
                opened.release()
            return HttpResponse(opened.status, opened.headers, Payload(body or b""))
        except BaseException as error:
            timed_out = timer.stop()
            if opened is not None:
                opened.close()
            if timed_out:
                return timeout_failure(
                    limit, within, connected=state.connected, idle=moves, is_first=number == 1
                )
            if not isinstance(error, Exception):
                raise
            outcome = describe_failure(error, connected=state.connected, limit=self.limits.max_body)
        finally:
            timer.stop()
        if state.file_error is not None:
            # The caller's own, as it was raised: out here nothing of aiohttp is chained to it.
            raise state.file_error
        return closed_failure(outcome) if self.closed else outcome

    def _proxy_for(self, base_url: str) -> Proxy | None:
        if base_url not in self._proxies:
            self._proxies[base_url] = choose_proxy(self._proxy, base_url)
        return self._proxies[base_url]

    async def drain(self) -> None:
        """Return when no call runs any more, in any loop."""
        own = asyncio.get_running_loop()
        for pool in list(self._pools.values()):
            if pool.loop is own:
                await pool.wait_until_idle()
                continue
            # Looked at from here: asked to tell, a loop that ends meanwhile never would.
            while pool.running and pool.loop.is_running():  # noqa: ASYNC110 - the event is another loop's
                await asyncio.sleep(_LOOK_AGAIN)

    async def aclose(self) -> None:
        """Close the connections of all loops: this one's at once, those of other loops when they run."""
        self.closed = True
        pools = list(self._pools.values()) if self._pid == os.getpid() else []
        self._pools = {}
        loop = asyncio.get_running_loop()
        # The other loops first, as telling them does not wait: nothing stays open if this is cancelled.
        for pool in pools:
            if pool.loop is not loop:
                pool.close_in_its_loop()
        for pool in pools:
            if pool.loop is loop:
                await pool.aclose()
