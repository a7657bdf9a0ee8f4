"""Calls that fail because their own client was closed.

Often the program ends at that moment, and nobody asks for them. `asyncio.run` cancels what still runs when
the main coroutine has returned, and says nothing of it; a call that had failed a moment before, when the
client's `async with` block was left, would write "Task exception was never retrieved" with its traceback.
"""

from __future__ import annotations

import asyncio
from functools import partial

_MOMENT = 0.05
"""Seconds after which a program that was about to end has ended."""


async def let_program_end(error: BaseException) -> None:
    """Wait for a moment before a call is told that its client was closed.

    A program that ends now cancels the call, with all that waits for it: a task, a gathering, a group. If it
    goes on, whoever awaits the call has its error.
    """
    keep_unreported(error)
    await asyncio.sleep(_MOMENT)


def keep_unreported(error: BaseException) -> None:
    """Keep asyncio from logging this error, if the current task ends with it and nobody awaits the task."""
    task = asyncio.current_task()
    if task is not None:
        task.add_done_callback(partial(_look_at, error))


def _look_at(error: BaseException, task: asyncio.Task[object]) -> None:
    # The task's own: it may go on after this call, and what it ends with then is to be seen. Asked in the
    # public way, any error would count as retrieved.
    if not task.cancelled() and getattr(task, "_exception", None) is error:
        task.exception()
