"""`LoopThread`: where sync code meets the event loop. Calls cross here, once each."""

from __future__ import annotations

import os
import signal
import sys
import threading
import weakref
from _thread import get_ident
from collections.abc import Callable, Coroutine
from contextlib import suppress
from types import TracebackType
from typing import NoReturn, Self, TypeVar

from openrelay_async.errors import BridgeError
from openrelay_sync.crossing import Crossing
from openrelay_sync.runner_interrupt import find_runner_handler, raise_if_pending
from openrelay_sync.running_loop import CHECK_INTERVAL, Held, RunningLoop

T = TypeVar("T")


class _OfProcess:
    """What a loop thread has in one process."""

    __slots__ = ("lock", "running")

    def __init__(self) -> None:
        self.running: RunningLoop | None = None
        # Reentrant: a signal handler that makes a call may interrupt the start of the loop.
        self.lock = threading.RLock()


class _Core:
    """What all handles of one loop thread share."""

    def __init__(self) -> None:
        # A forked child has its own: the parent's thread does not exist there, its lock may be held for
        # ever, and its loop must be neither used nor finalized, so it stays referenced here.
        self._processes: dict[int, _OfProcess] = {}
        self.handles = 1
        self.kept: list[object] = []
        """What must not be finalized when the interpreter ends; the thread keeps it too."""

    def here(self) -> _OfProcess:
        """Return what there is in this process; `setdefault` is atomic, so threads agree without a lock."""
        return self._processes.setdefault(os.getpid(), _OfProcess())

    def start(self) -> RunningLoop:
        here = self.here()
        with here.lock:
            if here.running is None:
                fresh = RunningLoop(self.kept)
                if here.running is not None:  # a signal handler was quicker
                    fresh.request_stop()
                else:
                    here.running = fresh
                    # For clients that are dropped, not closed: the thread ends with the last of them.
                    weakref.finalize(self, fresh.request_stop).atexit = False
            return here.running


class LoopThread:
    """An event loop in a thread of its own, which runs coroutines for sync code.

    A `Client` makes one for itself; give several clients the same (`Client(loop_thread=…)`) and they share
    its thread. The thread starts with the first call. It works in a forked child, where a new thread is
    started, and beside a running loop, as in a notebook. Close it with `close()` or a `with` block.
    """

    __slots__ = ("__weakref__", "_closed", "_closing", "_core", "_running")

    def __init__(self) -> None:
        self._core = _Core()
        self._running: RunningLoop | None = None
        self._closing = self._closed = False

    def __repr__(self) -> str:
        running = self._running
        state = "closed" if self._closed else "not started" if running is None else repr(running)
        return f"<LoopThread {state}>"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a thread cannot be pickled: make a client in each process")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def share(self) -> LoopThread:
        """Return another handle on the same thread, which ends when all handles are closed.

        Raises:
            BridgeError: this one is closed.
        """
        if self._closed:
            raise BridgeError("the loop thread is closed")
        handle = LoopThread()
        handle._core = self._core
        with self._core.here().lock:
            self._core.handles += 1
        return handle

    def run(self, coroutine: Coroutine[object, object, T]) -> T:
        """Run a coroutine in the loop and return its result.

        Ctrl-C, and whatever else a signal handler raises, cancels it, gives it two seconds to clean up, and
        is raised here; also inside a coroutine that `asyncio.run` runs, which Ctrl-C only cancels else.

        Raises:
            BridgeError: the thread is closed, has died or cannot start, or this is the loop's own thread.
            BaseException: what the coroutine raises.
        """
        running = self._running
        if running is None or self._closed or running.pid != os.getpid():
            try:
                running = self._begin()
            except BaseException:
                coroutine.close()
                raise
        if running.ident == get_ident() or sys.is_finalizing():
            coroutine.close()
            raise _misplaced(running)
        crossing = Crossing(coroutine, self)
        handler = find_runner_handler()
        # All in one frame: a traceback shows it once.
        try:
            if handler is not None:
                raise_if_pending(handler)
                signal.signal(signal.SIGINT, signal.default_int_handler)
            running.submit(crossing)
            while not crossing.done.acquire(timeout=CHECK_INTERVAL):
                running.look_after(crossing)
        except BaseException:
            running.interrupt(crossing)
            raise
        finally:
            if handler is not None:
                signal.signal(signal.SIGINT, handler)
        if crossing.error is None:
            return crossing.result
        try:
            raise crossing.error
        finally:
            del crossing  # else the error's traceback and this frame would keep each other alive

    def hold(self, held: Held) -> None:
        """Have something that goes on in the loop ended before this is closed. For the loop's thread."""
        running = self._core.here().running
        if running is not None:
            running.hold(held)

    def keep(self, thing: object) -> None:
        """Keep something as long as the thread is there: at the end of the interpreter, for ever."""
        self._core.kept.append(thing)

    def close(self) -> None:
        """Cancel the calls under way, and end the thread if no other handle needs it. Later calls raise.

        What a `with` block has entered, such as a lease, is left before that, within two seconds.

        Raises:
            BridgeError: this is the loop's own thread, which cannot wait for itself.
        """
        self.close_after(_do_nothing)

    def close_after(self, last: Callable[[], Coroutine[object, object, object]]) -> bool:
        """Close, with a last coroutine in the loop; return whether it ran, which needs a running loop."""
        here = self._core.here()
        running = here.running
        if running is not None and running.ident == get_ident():
            raise _misplaced(running)
        with here.lock:
            if self._closing:
                return True
            self._closing = True
        is_done = False
        try:
            if running is not None and running.ended is None and not sys.is_finalizing():
                with suppress(BridgeError):  # the thread has died meanwhile, or is dying
                    self.run(running.finish(self, last))
                    is_done = True
        finally:
            self._closed = True
            with here.lock:
                self._core.handles -= 1
                is_last = self._core.handles == 0
            if running is not None and is_last:
                running.request_stop()
                running.join()
        return is_done

    def _begin(self) -> RunningLoop:
        if self._closed:
            raise BridgeError("the client, or its loop thread, is closed")
        self._running = self._core.start()
        return self._running


async def _do_nothing() -> None:
    return


def _misplaced(running: RunningLoop) -> BridgeError:
    if running.ident == get_ident():
        return BridgeError(
            "this is the event loop's own thread, where a call would wait for itself: hooks, callbacks and "
            "key providers run here; use AsyncClient there, or another thread"
        )
    return BridgeError("the interpreter is ending: the event loop no longer runs")
