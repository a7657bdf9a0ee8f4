"""Ctrl-C in a call that is made inside a coroutine, and keeps the coroutine's loop from running.

While `asyncio.run` runs (and `uvloop.run`, and all that stands on `asyncio.Runner`), the first Ctrl-C raises
nothing: it cancels the main task, which a blocked loop hears of when the call is over. So such a call puts
the runner's handler aside while it waits: Ctrl-C is raised at once, and no task is cancelled.
"""

from __future__ import annotations

import asyncio
import signal
import threading
from _thread import get_ident
from functools import partial


def find_runner_handler() -> partial[object] | None:
    """Return how a runner handles Ctrl-C in a call that is made now; `None` where no runner does.

    Ctrl-C is raised there anyway, or is the program's own affair.
    """
    if asyncio._get_running_loop() is None or get_ident() != threading.main_thread().ident:
        return None
    handler = signal.getsignal(signal.SIGINT)
    if isinstance(handler, partial) and isinstance(getattr(handler.func, "__self__", None), asyncio.Runner):
        return handler
    return None


def raise_if_pending(handler: partial[object]) -> None:
    """Raise if Ctrl-C has cancelled the present task, which has not been told: it struck before the call.

    It is raised in place of the cancellation, which is taken back, so that the task can clean up.

    Raises:
        KeyboardInterrupt: it has.
    """
    if not getattr(handler.func.__self__, "_interrupt_count", 0):  # type: ignore[attr-defined]
        return
    task = asyncio.current_task()
    if task is not None and getattr(task, "_must_cancel", False) and task.cancelling():
        task.uncancel()
        raise KeyboardInterrupt
