"""Runs a blocking function in a thread of its own, which nothing waits for at the end of the program."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import functools
import inspect
import threading
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def is_async(function: object) -> bool:
    """Return whether calling a function, or an object with a `__call__`, gives something to await."""
    return inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(
        getattr(function, "__call__", None)  # noqa: B004 - the method itself is looked at
    )


async def run_off_loop(function: Callable[[], T]) -> T:
    """Return what `function` returns; the loop goes on meanwhile.

    Not `asyncio.to_thread`: its threads are joined when the loop and the interpreter end, so a function
    that hangs (a file on a lost network drive) would keep the program from ending.
    """
    loop = asyncio.get_running_loop()
    future: asyncio.Future[T] = loop.create_future()
    context = contextvars.copy_context()

    def run() -> None:
        try:
            result = context.run(function)
        except BaseException as error:  # handed to the caller, whatever it is
            settle = functools.partial(_set_error, future, error)
        else:
            settle = functools.partial(_set_result, future, result)
        # The loop may be gone by now: then nobody waits.
        with contextlib.suppress(RuntimeError):
            loop.call_soon_threadsafe(settle)

    try:
        threading.Thread(target=run, name="openrelay-off-loop", daemon=True).start()
    except RuntimeError:
        # Python 3.12 and later start no thread while the interpreter ends, which is when `atexit` calls
        # are made: better on the loop, which has little else to do by then, than not at all.
        run()
    return await future


def _set_result(future: asyncio.Future[T], result: T) -> None:
    if not future.done():
        future.set_result(result)


def _set_error(future: asyncio.Future[T], error: BaseException) -> None:
    if not future.done():
        # A future cannot hold it, and outside of a generator it means nothing.
        given = RuntimeError("StopIteration") if isinstance(error, StopIteration) else error
        future.set_exception(given)
