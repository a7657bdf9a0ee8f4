"""Fixtures of the sync package's tests: an emulator in a thread, servers that misbehave, scripts."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import textwrap
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from attrs import frozen

from openrelay_async.emulator import Emulator
from openrelay_sync import Client

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def emulator() -> Iterator[Emulator]:
    with Emulator.in_thread() as emulator:
        yield emulator


@pytest.fixture
def client(emulator: Emulator) -> Iterator[Client]:
    with Client(emulator.api_key, base_url=emulator.url, org_id=emulator.org_id) as client:
        yield client


@frozen
class Done:
    """What a script did: its exit code, what it wrote, and how long it ran."""

    code: int
    out: str
    err: str


RunScript = Callable[..., Done]


@pytest.fixture
def run_script(tmp_path: Path) -> RunScript:
    """Run Python source in a process of its own; `url` is handed to it as an argument."""

    def run(source: str, url: str = "", *options: str, timeout: float = 30) -> Done:
        script = tmp_path / "script.py"
        script.write_text(textwrap.dedent(source))
        environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("OPENRELAY_")},
            "PYTHONPATH": str(ROOT),
            "OPENRELAY_API_KEY": "vl_0123456789abcdefghijklmnop",
            "OPENRELAY_ORG_ID": "org_1",
            "OPENRELAY_API_URL": url,
            "PYTHONWARNINGS": "default",
        }
        with subprocess.Popen(
            [sys.executable, *options, str(script), url],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=environment,
            cwd=tmp_path,
        ) as process:
            try:
                out, err = process.communicate(timeout=timeout)
            except subprocess.TimeoutExpired:
                process.kill()
                out, err = process.communicate()
                raise AssertionError(f"the script hung; so far it said {out!r} and {err!r}") from None
        return Done(process.returncode, out, err)

    return run


VM = (
    b'{"id":"vm_1","name":"a","status":"running","createdAt":"2026-11-01T00:00:00Z","diskSizeGb":100,'
    b'"gpuCount":1,"gpuModelId":"rtx-4090","gpuModelName":"RTX 4090","organizationId":"org_1",'
    b'"pricePerHourCents":49,"public":false,"resourceSize":"standard","tier":"verified"}'
)


def _answer(status: bytes, body: bytes, *headers: bytes) -> bytes:
    lines = [b"HTTP/1.1 " + status, b"Content-Type: application/json", *headers]
    return b"\r\n".join([*lines, b"Content-Length: %d" % len(body), b"", body])


class RawServer:
    """A socket that accepts and answers every request as it was told: always the same, or never."""

    def __init__(self, answer: bytes | None) -> None:
        self.answer = answer
        self.requests = 0
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._accepted: list[socket.socket] = []
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self.asked = threading.Event()
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self._accepted.append(connection)
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with suppress(OSError):
            while received := connection.recv(65536):
                count = received.count(b"\r\n\r\n")
                self.requests += count
                self.asked.set()
                if self.answer is not None:
                    connection.sendall(self.answer * count)

    def close(self) -> None:
        # A thread in accept() or recv() is woken by shutdown, not by close.
        for each in [self._listener, *self._accepted]:
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()


@contextmanager
def _serving(answer: bytes | None) -> Iterator[RawServer]:
    server = RawServer(answer)
    try:
        yield server
    finally:
        server.close()


@pytest.fixture
def silent_server() -> Iterator[RawServer]:
    """Accepts, reads, and never answers."""
    with _serving(None) as server:
        yield server


@pytest.fixture
def vm_server() -> Iterator[RawServer]:
    """Answers everything with a VM."""
    with _serving(_answer(b"200 OK", VM)) as server:
        yield server


@pytest.fixture
def page_server() -> Iterator[RawServer]:
    """Answers everything with a page of one VM, and with a cursor that leads to the next."""
    body = b'{"items":[' + VM + b'],"nextCursor":null}'
    with _serving(_answer(b"200 OK", body)) as server:
        yield server


@pytest.fixture
def busy_server() -> Iterator[RawServer]:
    """Answers 503 and asks to come back in half a minute."""
    with _serving(_answer(b"503 Service Unavailable", b'{"error":"busy"}', b"Retry-After: 30")) as server:
        yield server


@pytest.fixture
def deaf_server() -> Iterator[str]:
    """A port where connecting hangs: its queue of connections is full. Gives the URL."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        fillers = []
        for _ in range(4):
            filler = socket.socket()
            filler.setblocking(False)
            with suppress(BlockingIOError):
                filler.connect(listener.getsockname())
            fillers.append(filler)
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        for filler in fillers:
            filler.close()
