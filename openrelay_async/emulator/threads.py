"""Running something asynchronous in a thread and an event loop of its own."""

from __future__ import annotations

import asyncio
import atexit
import sys
import threading
import warnings
from collections.abc import Callable
from concurrent.futures import Future, InvalidStateError
from contextlib import AbstractAsyncContextManager, suppress
from types import FrameType
from typing import Generic, TypeVar

C = TypeVar("C", bound=AbstractAsyncContextManager[object])

_LAST_WAIT = 2.0
"""Seconds that the end of the interpreter waits for a thread that nobody stopped: it takes 0.2 as a rule."""


class InThread(Generic[C]):
    """Runs something in a thread of its own: for a `with` block, or from `start()` to `stop()`.

    One that is never stopped does not hold up the interpreter, which stops it at its end without a word.
    But who lets go of this object before has lost the way to stop it, and gets a `ResourceWarning`.
    """

    def __init__(self, context: C, name: str) -> None:
        self._context = context
        self._name = name
        self._lock = threading.Lock()
        self._life: _Life | None = None
        self._started_at = ""

    def __enter__(self) -> C:
        return self._begin(sys._getframe(1))

    def __exit__(self, *exc_info: object) -> None:
        self.stop()

    def start(self) -> C:
        """Start it, and return it when it is ready.

        Raises:
            BaseException: whatever kept it from starting; nobody waits for a thread that could not start.
        """
        return self._begin(sys._getframe(1))

    def stop(self) -> None:
        """Return when it has ended; at once if it does not run. It can be started again."""
        with self._lock:
            if self._life is not None:
                self._life.end()
                atexit.unregister(self._life.end)
                self._life = None

    def _begin(self, caller: FrameType) -> C:
        with self._lock:
            life = _Life(self._context, self._name)
            life.begin()
            self._life, self._started_at = life, f"{caller.f_code.co_filename}:{caller.f_lineno}"
            atexit.register(life.end, _LAST_WAIT)
        return self._context

    def __del__(self, _warn: Callable[..., None] = warnings.warn) -> None:
        life: _Life | None = getattr(self, "_life", None)
        if life is not None and life.thread.is_alive():
            _warn(
                f"{self._context!r} in a thread, started at {self._started_at}, was not stopped: keep what "
                "in_thread() returns, and call its stop()",
                ResourceWarning,
                stacklevel=2,
                source=self,
            )


class _Life:
    """A thread that enters a context, and leaves it when asked to."""

    def __init__(self, context: AbstractAsyncContextManager[object], name: str) -> None:
        self._context = context
        self._entered: Future[None] = Future()
        self._asked: Future[None] = Future()
        self.thread = threading.Thread(target=self._run, name=name, daemon=True)

    def begin(self) -> None:
        """Return when the context was entered, or raise what entering it raised."""
        try:
            self.thread.start()
            self._entered.result()
        except BaseException:  # Ctrl-C too: nobody could stop the thread later
            self._ask()
            self.end()
            raise

    def end(self, timeout: float | None = None) -> None:
        """Return when the thread has ended; also from several threads."""
        if self.thread.is_alive():  # it is not in the child of a fork
            self._ask()
            self.thread.join(timeout)

    def _ask(self) -> None:
        with suppress(InvalidStateError):
            self._asked.set_result(None)

    def _run(self) -> None:
        try:
            asyncio.run(self._live())
        except BaseException as error:  # whoever waits for the start must hear of it, whatever it is
            if not self._entered.done():
                self._entered.set_exception(error)

    async def _live(self) -> None:
        async with self._context:
            self._entered.set_result(None)
            await asyncio.wrap_future(self._asked)
