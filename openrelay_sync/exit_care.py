"""The end of the interpreter with a client that nobody closed."""

from __future__ import annotations

import atexit
import weakref

from openrelay_sync.loop_thread import LoopThread


class ExitCare:
    """Keeps an unclosed client as it is when the interpreter ends.

    Nothing is closed, so that calls from other `atexit` functions still work and nobody waits. But an
    object that holds open connections complains when it is finalized, and at the end its loop's thread
    can no longer listen: so it goes with the process. A client that is dropped before is not kept.
    """

    def __init__(self, client: object, bridge: LoopThread) -> None:
        """Take the client (weakly) and the thread that shall keep it."""
        self._client = weakref.ref(client, self._forget)
        self._bridge = weakref.ref(bridge)
        atexit.register(self._keep)

    def end(self) -> None:
        """Care no more: the client is closed."""
        atexit.unregister(self._keep)

    def _keep(self) -> None:
        client, bridge = self._client(), self._bridge()
        if client is not None and bridge is not None:
            bridge.keep(client)

    def _forget(self, _: object) -> None:
        self.end()
