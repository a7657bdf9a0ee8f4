"""Running something asynchronous in a thread and an event loop of its own."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractAsyncContextManager, contextmanager


@contextmanager
def run_in_thread(context: AbstractAsyncContextManager[object], name: str) -> Iterator[None]:
    """Enter `context` in a new thread, and leave it there at the end.

    Raises:
        BaseException: whatever entering it raised; nobody waits for a thread that could not start.
    """
    started = threading.Event()
    failures: list[BaseException] = []
    stopping: list[Callable[[], object]] = []

    async def live() -> None:
        end = asyncio.Event()
        loop = asyncio.get_running_loop()
        async with context:
            stopping.append(lambda: loop.call_soon_threadsafe(end.set))
            started.set()
            await end.wait()

    def run() -> None:
        try:
            asyncio.run(live())
        except BaseException as error:  # whoever waits for the start must hear of it, whatever it is
            failures.append(error)
        finally:
            started.set()

    thread = threading.Thread(target=run, name=name, daemon=True)
    thread.start()
    started.wait()
    if failures:
        thread.join()
        raise failures[0]
    try:
        yield
    finally:
        for stop in stopping:
            stop()
        thread.join()
