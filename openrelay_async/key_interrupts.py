"""Ctrl-C at the command line of keys: it does not part a new key from the place where it is stored.

A store command belongs to the same terminal, so Ctrl-C ends it as well, and only its end says whether it
has the key. The first Ctrl-C waits for that end, so that a key which nobody has can be revoked; the second
waits for nothing.
"""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable, Coroutine


class Interrupts:
    """The Ctrl-Cs that one command gets."""

    def __init__(self, tell: Callable[[str], None]) -> None:
        """Take what shows a line to the user."""
        self._tell = tell
        self._task: asyncio.Task[object] | None = None
        self._is_held = False
        self.count = 0

    async def guard(self, work: Coroutine[object, object, None]) -> None:
        """Await `work`; Ctrl-C cancels it where it is not held back. What its error notes say is told."""
        loop, self._task = asyncio.get_running_loop(), asyncio.current_task()
        try:
            loop.add_signal_handler(signal.SIGINT, self._interrupt)
        except (NotImplementedError, RuntimeError):
            # Windows, or not the main thread: there Ctrl-C does what it does in any program.
            await work
            return
        try:
            await work
        except asyncio.CancelledError as error:
            self._tell(" ".join(["interrupted.", *getattr(error, "__notes__", ())]))
            raise
        finally:
            loop.remove_signal_handler(signal.SIGINT)

    def hold_back(self) -> None:
        """Let the first Ctrl-C wait from here on."""
        self._is_held = True

    def let_go(self, *, stop: bool) -> None:
        """Let Ctrl-C cancel the command again.

        Args:
            stop: cancel it now if there was one.
        """
        self._is_held = False
        if stop and self.count and self._task is not None:
            self._task.cancel()

    def _interrupt(self) -> None:
        self.count += 1
        if self.count == 1 and self._is_held:
            self._tell(
                "interrupted: waiting until the new key is stored or revoked; Ctrl-C again to stop at once"
            )
        elif self._task is not None:
            self._task.cancel()
