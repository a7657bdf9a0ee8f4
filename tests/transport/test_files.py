"""Uploads and downloads: streamed, in constant memory, with an idle limit instead of an attempt limit."""

from __future__ import annotations

import asyncio
import email
import email.policy
import gzip
import io
import os
import time
from pathlib import Path
from typing import Any, BinaryIO

import pytest

from openrelay_async import PoolLimits, errors
from tests.transport.programs import run_program
from tests.transport.servers import ONCE, Exchange, Seen, answering, make_client, serving, until

FILE = {
    "id": "file_1",
    "object": "file",
    "bytes": 5,
    "createdAt": 1,
    "created_at": 1,
    "filename": "a.jsonl",
    "purpose": "batch",
    "status": "processed",
}


def read_form(seen: Seen) -> dict[str, tuple[str | None, bytes]]:
    """Return name → (filename, content), read by the standard library."""
    head = f"Content-Type: {seen.headers['content-type']}\r\n\r\n".encode()
    message = email.message_from_bytes(head + seen.body, policy=email.policy.HTTP)
    form = {}
    for part in message.iter_parts():
        name = part.get_param("name", header="content-disposition")
        form[str(name)] = (part.get_filename(), part.get_payload(decode=True))
    return form


class Unrewindable(io.RawIOBase):
    """A stream that gives what it has once."""

    def __init__(self, content: bytes) -> None:
        self._content = io.BytesIO(content)

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        return self._content.read(size)


@pytest.mark.parametrize("kind", ["path", "str", "bytes", "file", "half-read", "stream"])
async def test_a_file_is_uploaded_from(kind: str, tmp_path: Path):
    content = os.urandom(200_000)
    path = tmp_path / "data.jsonl"
    path.write_bytes(content)
    opened: BinaryIO | None = None
    file: Any = content
    if kind in {"path", "str"}:
        file = path if kind == "path" else str(path)
    elif kind in {"file", "half-read"}:
        file = opened = path.open("rb")
        if kind == "half-read":
            opened.seek(50_000)
            content = content[50_000:]
    elif kind == "stream":
        file = Unrewindable(content)
    async with serving(answering((200, FILE))) as server, make_client(server) as client:
        stored = await client.files.upload(file=file, purpose="batch")
    if opened is not None:
        assert not opened.closed  # it is the caller's
        opened.close()
    assert stored.id == "file_1"
    form = read_form(server.seen[0])
    assert form["purpose"] == (None, b"batch")
    name, sent = form["file"]
    assert sent == content
    assert name == ("upload" if kind in {"bytes", "stream"} else "data.jsonl")
    assert ("content-length" in server.seen[0].headers) == (kind != "stream")


@pytest.mark.parametrize("name", ["ümläut.txt", 'quo"te.txt', "line\r\nbreak.txt", "a;b=c.txt", "日本.txt"])
async def test_no_file_name_breaks_the_form(name: str):
    async with serving(answering((200, FILE))) as server, make_client(server) as client:
        await client.files.upload(file=b"12345", filename=name, purpose="batch")
    form = read_form(server.seen[0])
    assert set(form) == {"purpose", "file"}
    assert form["file"][1] == b"12345"


@pytest.mark.parametrize(
    ("file", "kind", "words"),
    [
        (Path("/nonexistent/file"), FileNotFoundError, "no file to upload"),
        (io.StringIO("text"), TypeError, "binary mode"),
        (5, TypeError, "must be a path, bytes or a binary file object, not int"),
    ],
)
async def test_what_cannot_be_uploaded_is_refused_before_a_request(
    file: Any, kind: type[Exception], words: str
):
    async with serving(answering((200, FILE))) as server, make_client(server) as client:
        with pytest.raises(kind, match=words):
            await client.files.upload(file=file, purpose="batch")
    assert server.seen == []


async def test_what_reading_the_file_raises_is_raised_as_it_is():
    """Not wrapped in a failed connection, not retried, and with nothing of aiohttp chained to it."""

    class Broken(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            raise OSError(5, "the disk is on fire")

    async with serving(answering((200, FILE))) as server, make_client(server) as client:
        with pytest.raises(OSError, match="the disk is on fire") as caught:
            await client.files.upload(file=Broken(b"12345"), purpose="batch")
        assert not isinstance(caught.value, errors.OpenRelayError)
        assert caught.value.__context__ is None
        await until(lambda: server.open == 0)


async def test_a_file_that_becomes_shorter_is_told(tmp_path: Path):
    path = tmp_path / "shrinking"
    path.write_bytes(b"x" * 1_000_000)

    async def cut(exchange: Exchange) -> None:
        os.truncate(path, 10)
        await exchange.wait_for_client_to_leave()

    async with serving(cut, reads_body=False) as server, make_client(server) as client:
        # It is cut when the first bytes are there; the rest was not read yet.
        with pytest.raises(OSError, match="became shorter while it was uploaded"):
            await client.files.upload(file=path, purpose="batch")
    assert len(server.seen) == 1


async def test_a_file_that_grows_is_sent_as_long_as_it_was(tmp_path: Path):
    path = tmp_path / "growing"
    path.write_bytes(b"x" * 300_000)
    size = path.stat().st_size

    class Growing(io.FileIO):
        def read(self, size: int | None = -1) -> bytes:
            with path.open("ab") as file:
                file.write(b"more")
            return super().read(size) or b""

    async with serving(answering((200, FILE))) as server, make_client(server) as client:
        with Growing(path) as file:
            await client.files.upload(file=file, purpose="batch")
    assert len(read_form(server.seen[0])["file"][1]) == size


async def test_an_upload_is_not_sent_again_after_it_may_have_been_stored():
    """R3.1: it has no idempotency key."""

    async def drop(exchange: Exchange) -> None:
        exchange.reset()

    async with serving(drop) as server, make_client(server) as client:
        with pytest.raises(errors.ConnectionFailed) as caught:
            await client.files.upload(file=b"12345", purpose="batch")
    assert len(server.seen) == 1
    assert caught.value.maybe_applied


async def test_an_upload_that_was_refused_with_429_is_read_and_sent_again():
    """R3.1 (d)"""
    handler = answering((429, None), (200, FILE))
    async with serving(handler) as server, make_client(server) as client:
        await client.files.upload(file=io.BytesIO(b"12345"), purpose="batch")
    assert [read_form(seen)["file"][1] for seen in server.seen] == [b"12345"] * 2


async def test_a_stream_that_cannot_be_rewound_is_sent_once():
    handler = answering((429, None), (200, FILE))
    async with serving(handler) as server, make_client(server) as client:
        with pytest.raises(errors.RateLimited):
            await client.files.upload(file=Unrewindable(b"12345"), purpose="batch")
    assert len(server.seen) == 1


async def test_a_file_that_is_too_large_is_a_413_though_the_server_does_not_read_it():
    async def refuse(exchange: Exchange) -> None:
        await exchange.answer(413, {"error": "too large"}, headers={"Connection": "close"})
        await exchange.wait_for_client_to_leave()

    async with serving(refuse, reads_body=False) as server, make_client(server) as client:
        with pytest.raises(errors.PayloadTooLarge):
            await asyncio.wait_for(client.files.upload(file=b"x" * 20_000_000, purpose="batch"), 10)


async def test_an_upload_that_moves_may_take_longer_than_an_attempt():
    """Its limit is for the time in which nothing moves: what the system still sends counts as well."""

    async def read_slowly(exchange: Exchange) -> None:
        length = int(exchange.seen.headers["content-length"])
        while length > 0:
            length -= len(await exchange.reader.read(65536))
            await asyncio.sleep(0.02)
        await exchange.answer(200, FILE)

    async with (
        serving(read_slowly, reads_body=False, receive_buffer=65536) as server,
        make_client(server, timeout=1.0, attempt_timeout=1.0) as client,
    ):
        began = time.monotonic()
        await client.files.upload(file=b"x" * 8_000_000, purpose="batch")
        assert time.monotonic() - began > 1.5


async def test_an_upload_that_stalls_is_given_up():
    async def read_nothing(exchange: Exchange) -> None:
        await asyncio.sleep(30)

    async with (
        serving(read_nothing, reads_body=False) as server,
        make_client(server, attempt_timeout=0.2) as client,
    ):
        began = time.monotonic()
        with pytest.raises(errors.RequestTimeout, match=r"nothing moved for 0\.2 s") as caught:
            await client.files.upload(file=b"x" * 20_000_000, purpose="batch")
        assert time.monotonic() - began < 2.0
    assert caught.value.maybe_applied


async def test_a_timeout_that_is_given_bounds_an_upload_as_a_whole():
    async def read_slowly(exchange: Exchange) -> None:
        while await exchange.reader.read(1000):
            await asyncio.sleep(0.01)

    async with serving(read_slowly, reads_body=False) as server, make_client(server) as client:
        began = time.monotonic()
        with pytest.raises(errors.RequestTimeout, match=r"no complete answer within 0\.3 s"):
            await client.files.upload(file=b"x" * 50_000_000, purpose="batch", timeout=0.3)
        assert time.monotonic() - began < 2.0


async def test_cancelling_an_upload_stops_it_and_closes_what_it_opened(tmp_path: Path):
    """R3.5"""
    path = tmp_path / "data"
    path.write_bytes(b"x" * 30_000_000)
    received = 0

    async def read_slowly(exchange: Exchange) -> None:
        nonlocal received
        while data := await exchange.reader.read(100_000):
            received += len(data)
            await asyncio.sleep(0.005)

    async with serving(read_slowly, reads_body=False) as server, make_client(server) as client:
        task = asyncio.create_task(client.files.upload(file=path, purpose="batch"))
        await until(lambda: received > 200_000)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await until(lambda: server.open == 0)
        await until(lambda: str(path) not in _open_files())
    assert received < 30_000_000


def _open_files() -> list[str]:
    found = []
    for number in os.listdir("/proc/self/fd"):
        try:
            found.append(os.readlink(f"/proc/self/fd/{number}"))
        except OSError:
            continue
    return found


# -- downloads


def sending(content: bytes, *, cut: int | None = None, headers: str = "") -> Any:
    async def handle(exchange: Exchange) -> None:
        await exchange.send(f"HTTP/1.1 200 OK\r\n{headers}Content-Length: {len(content)}\r\n\r\n".encode())
        await exchange.send(content if cut is None else content[:cut])
        if cut is not None:
            exchange.close()

    return handle


async def test_a_download_is_awaited_iterated_or_saved(tmp_path: Path):
    content = os.urandom(1_000_000)
    async with serving(sending(content)) as server, make_client(server) as client:
        assert await client.files.get_content("file_1") == content
        assert b"".join([chunk async for chunk in client.files.get_content("file_1")]) == content
        saved = await client.files.get_content("file_1").save(tmp_path / "out")
    assert saved.read_bytes() == content
    assert os.listdir(tmp_path) == ["out"]
    # Read to its end, a download gives its connection back.
    assert server.connections == 1


async def test_a_download_that_breaks_leaves_the_old_file(tmp_path: Path):
    target = tmp_path / "out"
    target.write_bytes(b"old")
    async with serving(sending(b"x" * 100_000, cut=50_000)) as server, make_client(server) as client:
        with pytest.raises(errors.ConnectionFailed, match="in the middle of the answer") as caught:
            await client.files.get_content("file_1").save(target)
    assert target.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["out"]
    assert caught.value.attempts == 1
    assert not caught.value.maybe_applied


async def test_a_download_that_is_cancelled_leaves_the_old_file(tmp_path: Path):
    target = tmp_path / "out"
    target.write_bytes(b"old")

    async def stall(exchange: Exchange) -> None:
        await exchange.send(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n12345")
        await exchange.wait_for_client_to_leave()

    async with serving(stall) as server, make_client(server) as client:
        task = asyncio.ensure_future(client.files.get_content("file_1").save(target))
        await until(lambda: len(os.listdir(tmp_path)) == 2)
        await until(lambda: len(server.seen) == 1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await until(lambda: server.open == 0)
    assert target.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["out"]


async def test_a_download_that_is_refused_leaves_the_old_file(tmp_path: Path):
    target = tmp_path / "out"
    target.write_bytes(b"old")
    async with serving(answering((404, {"error": "no"}))) as server, make_client(server) as client:
        with pytest.raises(errors.NotFound):
            await client.files.get_content("file_1").save(target)
    assert os.listdir(tmp_path) == ["out"]


async def test_a_target_that_is_a_directory_is_refused_before_the_request(tmp_path: Path):
    async with serving(sending(b"12345")) as server, make_client(server) as client:
        with pytest.raises(IsADirectoryError):
            await client.files.get_content("file_1").save(tmp_path)
        with pytest.raises(FileNotFoundError):
            await client.files.get_content("file_1").save(tmp_path / "missing" / "out")
    assert server.seen == []


async def test_a_download_is_tried_again_until_it_begins():
    content = b"12345"

    async def fail_first(exchange: Exchange) -> None:
        await (exchange.answer(503, None) if exchange.number < 3 else sending(content)(exchange))

    async with serving(fail_first) as server, make_client(server) as client:
        assert await client.files.get_content("file_1") == content
    assert len(server.seen) == 3


async def test_the_error_of_a_download_counts_the_attempts_before_it():
    async def fail_first(exchange: Exchange) -> None:
        await (exchange.answer(503, None) if exchange.number < 3 else sending(b"x" * 1000, cut=10)(exchange))

    async with serving(fail_first) as server, make_client(server) as client:
        with pytest.raises(errors.ConnectionFailed) as caught:
            await client.files.get_content("file_1")
    assert caught.value.attempts == 3


async def test_leaving_a_download_early_closes_its_connection_and_gives_back_its_place():
    """R6.3"""

    async def send_for_ever(exchange: Exchange) -> None:
        await exchange.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        while True:
            await exchange.send(b"5\r\n12345\r\n")
            await asyncio.sleep(0)

    limits = PoolLimits(max_connections=1)
    async with serving(send_for_ever) as server, make_client(server, limits=limits) as client:
        for _ in range(3):
            async for chunk in client.files.get_content("file_1"):
                assert chunk
                break
        await until(lambda: server.open == 0)
        assert client._calls.transport.shared.session.pool().running == 0


async def test_a_download_that_moves_may_take_longer_than_a_call():
    async def trickle(exchange: Exchange) -> None:
        await exchange.send(b"HTTP/1.1 200 OK\r\nContent-Length: 40\r\n\r\n")
        for _ in range(40):
            await exchange.send(b"x")
            await asyncio.sleep(0.01)

    async with (
        serving(trickle) as server,
        make_client(server, timeout=0.2, attempt_timeout=0.2) as client,
    ):
        assert len(await client.files.get_content("file_1")) == 40


async def test_a_timeout_that_is_given_bounds_a_download_as_a_whole():
    async def trickle(exchange: Exchange) -> None:
        await exchange.send(b"HTTP/1.1 200 OK\r\nContent-Length: 4000\r\n\r\n")
        while True:
            await exchange.send(b"x")
            await asyncio.sleep(0.01)

    async with serving(trickle) as server, make_client(server) as client:
        began = time.monotonic()
        with pytest.raises(errors.RequestTimeout):
            await client.files.get_content("file_1", timeout=0.3)
        assert 0.25 < time.monotonic() - began < 2.0


async def test_a_download_that_stalls_is_given_up():
    async def stall(exchange: Exchange) -> None:
        await exchange.send(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n12345")
        await exchange.wait_for_client_to_leave()

    async with serving(stall) as server, make_client(server, attempt_timeout=0.1) as client:
        with pytest.raises(errors.RequestTimeout, match=r"nothing moved for 0\.1 s"):
            await client.files.get_content("file_1")


async def test_a_download_into_memory_is_limited_and_a_stream_is_not(tmp_path: Path):
    """R2.6"""
    content = b"x" * 300_000
    limits = PoolLimits(max_body=100_000)
    async with serving(sending(content)) as server, make_client(server, limits=limits) as client:
        with pytest.raises(errors.InvalidResponse, match="larger than 100000 bytes"):
            await client.files.get_content("file_1")
        assert (await client.files.get_content("file_1").save(tmp_path / "out")).stat().st_size == 300_000


async def test_a_download_that_a_proxy_compressed_is_decompressed_and_a_bomb_is_refused():
    """R2.6"""
    plain = os.urandom(300_000)
    handler = sending(gzip.compress(plain), headers="Content-Encoding: gzip\r\n")
    async with serving(handler) as server, make_client(server) as client:
        assert await client.files.get_content("file_1") == plain
        assert server.seen[0].headers["accept-encoding"] == "identity"
    bomb = sending(gzip.compress(b"\0" * 50_000_000), headers="Content-Encoding: gzip\r\n")
    limits = PoolLimits(max_body=100_000)
    async with serving(bomb) as server, make_client(server, limits=limits) as client:
        with pytest.raises(errors.InvalidResponse):
            await client.files.get_content("file_1")
    broken = sending(gzip.compress(plain)[:-20], headers="Content-Encoding: gzip\r\n")
    async with serving(broken) as server, make_client(server, retry=ONCE) as client:
        with pytest.raises(errors.ConnectionFailed, match="compression is broken"):
            await client.files.get_content("file_1")


MEMORY = r"""
import asyncio, os, resource, tempfile
from openrelay_async import AsyncClient

SIZE, BLOCK = 200_000_000, bytes(1_000_000)
NAMES = ("id", "filename", "object", "purpose", "status")
ANSWER = ("{" + "".join(f'"{name}": "x", ' for name in NAMES) + '"bytes": 5, "created_at": 1}').encode()


def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


async def handle(reader, writer):
    try:
        while True:
            head = await reader.readuntil(b"\r\n\r\n")
            if head.startswith(b"POST"):
                lines = head.lower().split(b"\r\n")
                left = next(int(line.split(b":")[1]) for line in lines if line.startswith(b"content-length"))
                while left:
                    left -= len(await reader.read(min(left, 1_000_000)))
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(ANSWER) + ANSWER)
                continue
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % SIZE)
            for _ in range(SIZE // len(BLOCK)):
                writer.write(BLOCK)
                await writer.drain()
    except (asyncio.IncompleteReadError, ConnectionError):
        writer.close()


async def main():
    server = await asyncio.start_server(handle, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    async with AsyncClient("vl_memory_0123456789abcdefghijk", base_url=url) as client:
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "big")
            with open(path, "wb") as file:
                file.truncate(3_000_000)
            await client.files.upload(file=path, purpose="batch")
            async for _ in client.files.get_content("f"):
                break
            before = peak()
            with open(path, "wb") as file:
                file.truncate(SIZE)
            await client.files.upload(file=path, purpose="batch")
            uploaded = peak()
            saved = await client.files.get_content("f").save(path)
            assert saved.stat().st_size == SIZE
            print(before, uploaded - before, peak() - before)


asyncio.run(main())
"""


def test_two_hundred_megabytes_go_up_and_down_in_constant_memory():
    """The peak grows by a few buffers, not by the file: client and server are in the one process."""
    result = run_program(MEMORY, options=(), prelude="", within=60)
    assert result.err == ""
    _, up, down = (int(number) for number in result.out.split())
    assert up < 12, f"{up} MiB for an upload"
    assert down < 24, f"{down} MiB for a download"
