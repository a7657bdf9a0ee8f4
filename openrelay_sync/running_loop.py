"""An event loop in a daemon thread of this process: starting it, giving it calls, ending it.

What is promised here is that nobody waits for ever. Whoever hands in a call gets an answer when the call
ends, when the loop ends, and when the thread is found dead.
"""

from __future__ import annotations

import asyncio
import os
import threading
from _thread import get_ident
from collections import deque
from collections.abc import Callable, Coroutine
from typing import Any, Protocol

from openrelay_async.errors import BridgeError
from openrelay_sync.crossing import Crossing
from openrelay_sync.daemon_executor import DaemonExecutor

CLEAN_UP_LIMIT = 2.0
"""Seconds that a cancelled call has to clean up before its caller goes on without it."""

_LAST_LIMIT = 0.5
"""Seconds that what is still under way after that has to break off, when the loop ends."""

CHECK_INTERVAL = 1.0
"""Seconds after which a thread that waits looks whether the loop is still alive."""

AnyCrossing = Crossing[Any]


class Held(Protocol):
    """What goes on in the loop between two calls, such as what a `with` block has entered."""

    task: asyncio.Task[Any]
    """Ends with it."""

    def break_off(self, owner: object) -> bool:
        """Begin to end it, if it is the owner's and has not ended; return whether it was."""
        ...


class RunningLoop:
    """A loop that runs. Its public methods are for any thread but its own."""

    def __init__(self, kept: list[object]) -> None:
        """Start the thread and return when its loop is there.

        Args:
            kept: what the thread keeps alive; at the end of the interpreter it is left as it is.

        Raises:
            BridgeError: the thread or its loop cannot start; the reason is its cause.
        """
        self.pid = os.getpid()
        self.ident = -1
        self.ended: str | None = None
        """Why no call is taken any more."""
        self._kept = kept
        self._loop: asyncio.AbstractEventLoop | None = None
        self._failure: BaseException | None = None
        self._inbox: deque[AnyCrossing] = deque()
        self._is_called = False
        self._is_ending = False
        self._calls: set[AnyCrossing] = set()
        self._held: set[Held] = set()
        started = threading.Event()
        self._thread = threading.Thread(
            target=self._live, args=(started,), name="openrelay-sync", daemon=True
        )
        try:
            self._thread.start()
            started.wait()
        except RuntimeError as error:
            # "can't start new thread": the system's limit, or the interpreter is ending.
            raise BridgeError(f"the event loop's thread cannot start: {error}") from error
        except BaseException:
            self.ended = "its start was interrupted"
            self.request_stop()
            raise
        if self._failure is not None:
            failure, self._failure = self._failure, None
            raise BridgeError(
                f"the event loop cannot start: {type(failure).__name__}: {failure}"
            ) from failure

    def __repr__(self) -> str:
        return f"<RunningLoop in thread {self.ident}{', ended' if self.ended else ''}>"

    def submit(self, crossing: AnyCrossing) -> None:
        """Hand a call to the loop. If the loop has ended, the call ends here with a `BridgeError`."""
        self._inbox.append(crossing)
        # One wake-up serves all calls that are handed in before the loop gets to look. The main thread is
        # excepted: a signal may strike between the two lines, and a wake-up that is noted but not sent
        # would leave the others waiting.
        if get_ident() == threading.main_thread().ident:
            self._call(self._take)
        elif not self._is_called:
            self._is_called = True
            self._call(self._take)
        if self.ended is not None:
            self._refuse_inbox()

    def interrupt(self, crossing: AnyCrossing) -> None:
        """Cancel a call and give it two seconds to clean up. Nothing is raised if they are not enough."""

        def cancel() -> None:
            self._take()
            crossing.cancel("interrupted")

        if not crossing.is_answered and self._call(cancel):
            crossing.done.acquire(timeout=CLEAN_UP_LIMIT)

    def look_after(self, crossing: AnyCrossing) -> None:
        """Make sure that a call which takes long is not one that was lost."""
        self._call(self._take)
        if not self._thread.is_alive():
            self._discard_all("the event loop's thread is dead")
            crossing.fail(BridgeError(f"{self.ended}", maybe_applied=True))

    def request_stop(self) -> None:
        """Let the loop end soon. Safe in a finalizer, in any thread."""
        self._call(self._stop)

    def join(self) -> None:
        """Wait until the thread has ended, at most as long as calls have to clean up."""
        self._thread.join(CLEAN_UP_LIMIT + 1)

    def _call(self, callback: Callable[[], object]) -> bool:
        """Have the loop call something; return whether it may do so."""
        loop = self._loop
        if loop is None:
            return False
        try:
            loop.call_soon_threadsafe(callback)
        except RuntimeError:
            return False  # the loop is closed, and by then every call has its answer
        return True

    # In the loop's thread

    def _live(self, started: threading.Event) -> None:
        try:
            loop = asyncio.new_event_loop()
            loop.set_default_executor(DaemonExecutor())
            self._loop, self.ident = loop, get_ident()
        except BaseException as error:  # whatever it is, the thread that waits for the start must hear of it
            self._failure = error
            self.ended = "the event loop did not start"
            return
        finally:
            started.set()
        reason = "the event loop was stopped"
        try:
            if self.ended is None:
                loop.run_forever()
        except BaseException as error:  # SystemExit in a callback ends a loop; its callers must hear of it
            reason = f"the event loop died of {type(error).__name__}"
            raise
        finally:
            self._end(loop, reason)

    def _take(self) -> None:
        """Begin all calls that were handed in."""
        self._is_called = False
        if self.ended is not None or self._loop is None:
            self._refuse_inbox()
            return
        while self._inbox:
            try:
                crossing = self._inbox.popleft()
            except IndexError:
                return
            crossing.begin(self._loop, self._calls)

    def hold(self, held: Held) -> None:
        """Keep something until it has ended, and have it ended in time when its owner is closed."""
        self._held.add(held)
        held.task.add_done_callback(lambda _: self._held.discard(held))

    async def finish(self, owner: object, last: Callable[[], Coroutine[object, object, object]]) -> None:
        """Cancel all calls of an owner, give them and what it holds time to clean up, then run a last one."""
        own = asyncio.current_task()
        crossings = [each for each in self._calls if each.owner is owner and each.task is not own]
        for crossing in crossings:
            crossing.cancel("under way when the client was closed")
        tasks = [each.task for each in crossings if each.task is not None]
        tasks += [held.task for held in list(self._held) if held.break_off(owner)]
        if tasks:
            await asyncio.wait(tasks, timeout=CLEAN_UP_LIMIT)
        await last()

    def _stop(self) -> None:
        # Once: a second one would break off the clean-up that follows the first.
        if self._loop is not None and not self._is_ending:
            self._loop.stop()

    def _end(self, loop: asyncio.AbstractEventLoop, reason: str) -> None:
        """Close everything in the loop and answer everybody. Nothing here may keep a caller waiting."""
        self._is_ending = True
        if self.ended is None:
            self.ended = reason
        try:
            loop.run_until_complete(self._wind_up())
        except BaseException as error:  # the calls are answered below, come what may
            self.ended = f"{self.ended}, and {type(error).__name__} while it ended"
        finally:
            self._discard_all(reason)
            loop.close()

    async def _wind_up(self) -> None:
        for crossing in list(self._calls):
            crossing.cancel(f"under way when {self.ended}")
        # Twice: what cleans up may have begun tasks for it, and waits for them. Left behind, they complain.
        for limit in (CLEAN_UP_LIMIT, _LAST_LIMIT):
            tasks = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
            for task in tasks:
                task.cancel()
            if tasks:
                await asyncio.wait(tasks, timeout=limit)
        # Closes the connections too: see LoopPool.
        await asyncio.wait_for(asyncio.get_running_loop().shutdown_asyncgens(), CLEAN_UP_LIMIT)

    def _discard_all(self, reason: str) -> None:
        if self.ended is None:
            self.ended = reason
        self._refuse_inbox()
        for crossing in list(self._calls):
            crossing.fail(BridgeError(f"the call was under way when {self.ended}", maybe_applied=True))

    def _refuse_inbox(self) -> None:
        while self._inbox:
            try:
                crossing = self._inbox.popleft()
            except IndexError:
                return
            crossing.fail(BridgeError(f"the call was not begun: {self.ended}"))
