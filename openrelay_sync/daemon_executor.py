"""Threads for what blocks (name resolution, reading files) that never hold up the end of the process."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from queue import SimpleQueue
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")

_MOST_THREADS = 32


class DaemonExecutor(ThreadPoolExecutor):
    """An executor of daemon threads.

    The interpreter joins the threads of a `ThreadPoolExecutor` before it ends, so that one name server that
    does not answer would keep a script alive for half a minute after Ctrl-C. It also refuses work from then
    on, and with it a call from `atexit`. asyncio insists on the class, so this inherits it and replaces all
    that it does.
    """

    def __init__(self) -> None:
        super().__init__(1)
        self._jobs: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        self._free = threading.Semaphore(0)
        self._members: list[threading.Thread] = []

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        future: Future[T] = Future()

        def work() -> None:
            if not future.set_running_or_notify_cancel():
                return
            try:
                result = fn(*args, **kwargs)
            except BaseException as error:  # it belongs to whoever waits for the future
                future.set_exception(error)
            else:
                future.set_result(result)

        if self._free.acquire(blocking=False) or self._add_member():
            self._jobs.put(work)
        else:
            # No thread may be started any more (Python 3.12 and later, in atexit): better late than never.
            work()
        return future

    def _add_member(self) -> bool:
        """Start a thread if there may be one more; return whether there is one that will do a job."""
        if len(self._members) >= _MOST_THREADS:
            return True
        member = threading.Thread(target=self._serve, name="openrelay-sync-io", daemon=True)
        try:
            member.start()
        except RuntimeError:
            return bool(self._members)
        self._members.append(member)
        return True

    def _serve(self) -> None:
        while (job := self._jobs.get()) is not None:
            job()
            del job
            self._free.release()

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Let the threads end after their present job; it never waits for them."""
        for _ in self._members:
            self._jobs.put(None)
