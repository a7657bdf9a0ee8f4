"""The connections of one event loop: made in it, used in it, and gone with it.

A loop gives no notice of its end, and a client may outlive many. So a pool has three ends: its client
closes it; `asyncio.run` (and all that shut a loop's generators down) closes it while the loop still runs;
or it is abandoned, where its loop or process is gone. None of them leaves a socket open or a warning.
"""

from __future__ import annotations

import asyncio
import contextvars
import ssl
import sys
import weakref
from collections.abc import AsyncGenerator, Mapping
from typing import cast

import aiohttp
from multidict import CIMultiDict

from openrelay_async.attempt_timer import Limits
from openrelay_async.config import PoolLimits
from openrelay_async.connector import PoolConnector
from openrelay_async.exchange import NO_LIMIT, Exchange
from openrelay_async.resolver import OffLoopResolver
from openrelay_async.slots import Slots

FOR_EVER = 365 * 86400.0
"""Seconds that stand for no limit: not all versions of aiohttp 3.14 keep a connection without one."""

LOOK_AFTER = 60.0
"""Seconds between two looks whether the client of a pool still exists."""


class LoopPool:
    """The connections of one event loop, and the queue of calls that wait for one."""

    __slots__ = (
        "__weakref__",
        "_anchor",
        "_closing",
        "_idle",
        "connector",
        "exchange",
        "headers",
        "limits",
        "loop",
        "running",
        "session",
        "slots",
        "waits",
    )

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        limits: PoolLimits,
        headers: Mapping[str, str],
        ssl_context: ssl.SSLContext | None,
        *,
        owner: object,
    ) -> None:
        """Make a pool for the running loop.

        Args:
            owner: whose pool it is; it is referenced weakly.
        """
        self.loop = loop
        self.limits = Limits(loop)
        self.slots = Slots(self.limits, limits.max_connections)
        self.waits: set[asyncio.Timeout] = set()
        """Limits of the waits that end when the pool is closed."""
        self.running = 0
        self._idle: asyncio.Event | None = None
        self._closing: asyncio.Task[None] | None = None
        # The queue before aiohttp is ours (`slots`), so its own must never be the shorter one.
        self.connector = PoolConnector(
            limit=0,
            keepalive_timeout=min(limits.idle, FOR_EVER),
            ssl=True if ssl_context is None else ssl_context,
            # aiohttp would take another one as soon as aiodns is installed.
            resolver=OffLoopResolver(),
        )
        self.headers = CIMultiDict(headers)
        # Not the session's: it would send them to a proxy too, with the request for a tunnel.
        self.session = aiohttp.ClientSession(
            connector=self.connector,
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=NO_LIMIT,
            auto_decompress=False,
            trust_env=False,
        )
        # aiohttp would send GET, PUT and DELETE a second time by itself when a kept connection breaks:
        # hooks would not see it, and a limit of one attempt would be two requests.
        self.session._retry_connection = False
        self.exchange = Exchange(self.session, self.connector, self.headers)
        _close_with_generators(self)
        self._anchor = _hold(_Anchor(self, weakref.ref(owner)))

    def enter(self) -> None:
        """Note that a call begins; `leave()` must follow."""
        self.running += 1

    def leave(self) -> None:
        self.running -= 1
        if self.running == 0 and self._idle is not None:
            self._idle.set()

    async def wait_until_idle(self) -> None:
        """Return when no call runs. Called in the pool's loop."""
        while self.running:
            # Made here, not for every call that begins and ends: few clients are ever drained.
            self._idle = self._idle or asyncio.Event()
            self._idle.clear()
            await self._idle.wait()

    def end_stream(self) -> None:
        """Note that a call ends which kept its connection after it was answered."""
        self.slots.give_back()
        self.leave()

    async def aclose(self) -> None:
        """Close all connections. Called in the pool's loop."""
        handle = self._anchor()
        if handle is not None:
            handle.cancel()
        for limit in self.waits:
            if not limit.expired():
                limit.reschedule(self.loop.time())
        self.slots.turn_away_all()
        self.connector.break_off_answers()
        await self.session.close()

    def close_in_its_loop(self) -> None:
        """Close all connections, from any thread: now if the loop runs, else when it runs again.

        Sockets that are closed behind the back of a loop which only pauses stay in its selector, and the
        next connection that gets such a number is not heard.
        """
        try:
            self.loop.call_soon_threadsafe(self._begin_closing)
        except RuntimeError:
            # Closed, perhaps at this moment.
            self.abandon()

    def _begin_closing(self) -> None:
        self._closing = self.loop.create_task(self.aclose())

    def abandon(self) -> None:
        """Let go of the connections without a word to their loop, which is closed or the parent's."""
        self.session.detach()
        self.connector.abandon()


def _close_with_generators(pool: LoopPool) -> None:
    """Let the loop close the pool when it shuts its asynchronous generators down.

    `asyncio.run`, `Runner` and their like do that last: it is the only notice of its end that a loop gives.
    All they do with a generator is `await generator.aclose()`, so a pool can stand for one. A real
    generator would do too, but its finalizer schedules work whenever a client is collected.
    """
    notice = sys.get_asyncgen_hooks().firstiter
    if notice is not None:
        notice(cast("AsyncGenerator[object, object]", pool))


class _Anchor:
    """What holds a pool as long as its loop: the loop holds it, as the argument of a timer.

    A loop that is closed drops its timers, so the end of this object is the notice of the loop's end where
    there was none before it.
    """

    __slots__ = ("owner", "pool")

    def __init__(self, pool: LoopPool, owner: weakref.ref[object]) -> None:
        self.pool = pool
        self.owner = owner

    def __del__(self) -> None:
        # Sockets are closed, nothing is scheduled: there is no loop any more that could run it.
        if self.pool.loop.is_closed():
            self.pool.abandon()


def _hold(anchor: _Anchor) -> weakref.ref[asyncio.TimerHandle]:
    """Keep a pool alive as long as its loop, or until it is closed.

    A client that is collected without being closed must not take open connections with it: only their loop
    can close them properly. So the loop looks, now and then, whether the client still exists.
    """
    # An empty context: a copy of the caller's would keep alive what the caller put there.
    handle = anchor.pool.loop.call_later(LOOK_AFTER, _look, anchor, context=contextvars.Context())
    return weakref.ref(handle)


def _look(anchor: _Anchor) -> None:
    pool = anchor.pool
    if pool.session.closed:
        return
    if anchor.owner() is None and pool.running == 0:
        pool._begin_closing()
        return
    pool._anchor = _hold(anchor)
