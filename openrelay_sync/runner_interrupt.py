"""Ctrl-C in a call that is made inside a coroutine, and keeps the coroutine's loop from running.

While `asyncio.run` runs (and `uvloop.run`, and all that stands on `asyncio.Runner`), the first Ctrl-C raises
nothing: it cancels the main task, which a blocked loop hears of when the call is over.
"""

from __future__ import annotations

import asyncio
import signal
import threading
from _thread import get_ident
from functools import partial

LOOK_INTERVAL = 0.05
"""Seconds between two looks whether Ctrl-C has struck."""


class RunnerInterrupt:
    """Tells of Ctrl-C while a call is made in a task. A call that ends before the first look pays nothing."""

    __slots__ = ("_before", "_task")

    def __init__(self, task: asyncio.Task[object]) -> None:
        self._task = task
        self._before: int | None = None

    def look(self) -> None:
        """Raise what Ctrl-C raises elsewhere, if it has struck since the look before.

        Raises:
            KeyboardInterrupt: it has.
        """
        self.raise_if_pending()
        # The main task may be another one, and wait for this.
        count = _count_interrupts()
        before, self._before = self._before, count
        if before is not None and count > before:
            raise KeyboardInterrupt

    def raise_if_pending(self) -> None:
        """Raise if Ctrl-C has cancelled the task, which has not been told: in a row of calls, in any of them.

        It is raised in place of the cancellation, which is taken back, so that the task can clean up.

        Raises:
            KeyboardInterrupt: it has.
        """
        task = self._task
        if getattr(task, "_must_cancel", False) and task.cancelling() and _count_interrupts():
            task.uncancel()
            raise KeyboardInterrupt


def find_interrupt() -> RunnerInterrupt | None:
    """Return what tells of Ctrl-C in a call that is made now, `None` where it is raised in this thread."""
    loop = asyncio._get_running_loop()
    if loop is None or get_ident() != threading.main_thread().ident:
        return None
    task = asyncio.current_task(loop)
    return None if task is None else RunnerInterrupt(task)


def _count_interrupts() -> int:
    """Return how often Ctrl-C has struck while the present runner runs; 0 if there is none, as in Jupyter."""
    handler = signal.getsignal(signal.SIGINT)
    runner = getattr(handler.func, "__self__", None) if isinstance(handler, partial) else None
    count = getattr(runner, "_interrupt_count", 0) if isinstance(runner, asyncio.Runner) else 0
    return count if isinstance(count, int) else 0
