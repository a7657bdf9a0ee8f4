"""Work that must not be left half done, whatever happens to the one who waits for it."""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from typing import TypeVar

T = TypeVar("T")


class Stopped(asyncio.CancelledError):
    """Work that was carried through a cancellation came to a place where it may stop, and did."""


class _Carried:
    """What is known to work that is carried through."""

    __slots__ = ("is_cancelled", "may_stop")

    def __init__(self) -> None:
        self.is_cancelled = False
        """Whether the one who waits for it was cancelled."""
        self.may_stop = False
        """Whether it may be cancelled just now."""


_CARRIED: contextvars.ContextVar[_Carried | None] = contextvars.ContextVar("_CARRIED", default=None)


async def carry_through(
    work: Coroutine[object, object, T],
) -> tuple[asyncio.Task[T], asyncio.CancelledError | None]:
    """Run to its end what no cancellation of the caller may stop, but for what is `stoppable`.

    Returns:
        The task, which has ended, and the last cancellation that came meanwhile: the caller raises it when
        the rest is in order.
    """
    carried, context = _Carried(), contextvars.copy_context()
    context.run(_CARRIED.set, carried)
    task = asyncio.get_running_loop().create_task(work, context=context)
    cancelled: asyncio.CancelledError | None = None
    while not task.done():
        try:
            await asyncio.wait([task])
        except asyncio.CancelledError as error:
            cancelled = error
            carried.is_cancelled = True
            if carried.may_stop:
                task.cancel()
    return task, cancelled


async def carry_to_the_end(
    work: Callable[[], Coroutine[object, object, T]],
) -> tuple[asyncio.Task[T], asyncio.CancelledError | None]:
    """Carry through what begins anew where it was cancelled itself.

    A loop that ends cancels all of its tasks, this work's too, but each of them once.
    """
    task, cancelled = await carry_through(work())
    if task.cancelled():
        task, again = await carry_through(work())
        cancelled = again or cancelled
    return task, cancelled


@contextmanager
def stoppable() -> Iterator[None]:
    """Mark what a cancellation stops even within `carry_through`: nothing is left half done there.

    Raises:
        Stopped: it was cancelled, or the one who waits for it was, before or meanwhile. A loop that ends
            cancels both, in any order.
    """
    carried = _CARRIED.get()
    if carried is None:
        yield
        return
    if carried.is_cancelled:
        raise Stopped
    carried.may_stop = True
    try:
        yield
    except asyncio.CancelledError:
        raise Stopped from None
    finally:
        carried.may_stop = False
