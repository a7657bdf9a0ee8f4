"""A server in a thread of its own that answers at once: what is counted is the client's doing."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator

import pytest

from tests.performance.canned_answers import CannedAnswers


@pytest.fixture(scope="module")
def server_url() -> Iterator[str]:
    """Serves one VM, and a list of `LISTED`."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    server = loop.run_until_complete(loop.create_server(CannedAnswers, "127.0.0.1", 0))
    thread.start()
    yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    server.close()
    loop.run_until_complete(server.wait_closed())
    loop.close()
