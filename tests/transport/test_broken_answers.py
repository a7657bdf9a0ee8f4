"""Answers that are cut off, are not HTTP, never end, or are bombs (R2.6, R4.2, R11.1)."""

from __future__ import annotations

import asyncio
import gzip
import json
import zlib

import pytest

from openrelay_async import PoolLimits, errors
from tests.transport.servers import ONCE, VM, Exchange, answering, make_client, serving

SMALL = PoolLimits(max_body=100_000)


async def fail_with(
    handler: object, kind: type[errors.OpenRelayError], **options: object
) -> tuple[errors.OpenRelayError, int]:
    """Return the error of a read that meets a handler, and the number of requests it took."""
    async with serving(handler) as server, make_client(server, **options) as client:
        with pytest.raises(kind) as caught:
            await client.vms.get("vm_1")
    error = caught.value
    assert type(error) is kind
    assert error.__cause__ is None
    assert error.__context__ is None
    assert "\n" not in str(error)
    assert len(str(error)) <= 500
    assert "getVm GET /v1/vms/{id}" in str(error)
    return error, len(server.seen)


async def test_a_connection_closed_without_an_answer():
    async def close(exchange: Exchange) -> None:
        exchange.close()

    error, requests = await fail_with(close, errors.ConnectionFailed)
    assert requests == error.attempts == 4
    assert "closed the connection without an answer" in str(error)


async def test_a_reset():
    async def reset(exchange: Exchange) -> None:
        exchange.reset()

    error, requests = await fail_with(reset, errors.ConnectionFailed)
    assert requests == error.attempts == 4


async def test_an_answer_cut_off_in_its_headers():
    async def cut(exchange: Exchange) -> None:
        await exchange.send(b"HTTP/1.1 200 OK\r\nContent-Le")
        exchange.close()

    error, requests = await fail_with(cut, errors.ConnectionFailed)
    assert requests == 4
    assert not error.maybe_applied


async def test_an_answer_cut_off_in_its_body():
    async def cut(exchange: Exchange) -> None:
        await exchange.send(b'HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n{"id":')
        exchange.close()

    error, requests = await fail_with(cut, errors.ConnectionFailed)
    assert requests == 4
    assert "in the middle of the answer" in str(error)


@pytest.mark.parametrize(
    ("status", "kind"), [(404, errors.NotFound), (400, errors.BadRequest), (501, errors.ServerError)]
)
@pytest.mark.parametrize("encoding", ["", "Content-Encoding: gzip\r\n"], ids=["cut off", "not compressed"])
async def test_a_refusal_whose_body_breaks_off_is_what_its_status_says(status, kind, encoding):
    """R3.2: nothing was applied, and nothing is sent again."""

    async def cut(exchange: Exchange) -> None:
        length = 1000 if not encoding else 9
        head = f"HTTP/1.1 {status} X\r\n{encoding}Content-Length: {length}\r\n\r\n"
        await exchange.send(head.encode() + b'{"error":')
        if not encoding:
            exchange.close()

    error, requests = await fail_with(cut, kind)
    assert requests == error.attempts == 1
    assert (error.status, error.maybe_applied) == (status, False)
    assert "the service gave no reason" in str(error)


async def test_a_429_whose_body_breaks_off_is_waited_for():
    """R3.1 (d)"""

    async def cut(exchange: Exchange) -> None:
        if exchange.number > 1:
            await exchange.answer(200, VM)
            return
        await exchange.send(b'HTTP/1.1 429 X\r\nRetry-After: 0\r\nContent-Length: 99\r\n\r\n{"error":')
        exchange.close()

    async with serving(cut) as server, make_client(server) as client:
        assert (await client.vms.create(name="one")).id == "vm_1"
    assert len(server.seen) == 2


async def test_a_chunked_answer_cut_off_in_its_body():
    async def cut(exchange: Exchange) -> None:
        await exchange.send(b'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\n{"id\r\n')
        exchange.close()

    _, requests = await fail_with(cut, errors.ConnectionFailed)
    assert requests == 4


async def test_an_answer_cut_off_once_is_read_again():
    async def cut_once(exchange: Exchange) -> None:
        if exchange.number == 1:
            await exchange.send(b'HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n{"id":')
            exchange.close()
        else:
            await exchange.answer(200, VM)

    async with serving(cut_once) as server, make_client(server) as client:
        assert (await client.vms.get("vm_1")).id == "vm_1"


@pytest.mark.parametrize(
    "garbage",
    [
        b"SSH-2.0-OpenSSH_9.6\r\n\r\n",
        b"\x00\x01\x02\x03" * 100,
        b"HTTP/1.1 hello\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: minus one\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nnothex\r\n",
        b"HTTP/1.1 200 OK\r\nX: " + b"a" * 100_000 + b"\r\n\r\n",
        b"\x15\x03\x01\x00\x02\x02\x46",
    ],
    ids=["ssh", "binary", "status", "length", "chunk", "long-header", "tls-alert"],
)
async def test_what_is_not_http_is_said_to_be_so(garbage: bytes):
    async def send(exchange: Exchange) -> None:
        await exchange.send(garbage)
        exchange.close()

    error, requests = await fail_with(send, errors.ConnectionFailed)
    assert requests == 4
    assert "SSH-2.0" not in str(error)


async def test_garbage_after_a_change_may_have_been_an_answer_to_it():
    """R3.2"""

    async def send(exchange: Exchange) -> None:
        await exchange.send(b"what?\r\n\r\n")
        exchange.close()

    async with serving(send) as server, make_client(server) as client:
        with pytest.raises(errors.ConnectionFailed) as caught:
            await client.request("POST", "/v1/things")
    assert caught.value.maybe_applied
    assert len(server.seen) == 1


@pytest.mark.parametrize(
    "body", [b"<html>Bad gateway</html>", b"", b"{", b"[]", b"null", b"\xff\xfe", b"1" * 50]
)
async def test_a_success_that_is_not_what_the_api_describes(body: bytes):
    async def send(exchange: Exchange) -> None:
        await exchange.answer(200, raw=body, headers={"X-Request-Id": "req_7"})

    error, requests = await fail_with(send, errors.InvalidResponse)
    assert requests == 1
    assert error.status == 200
    assert error.request_id == "req_7"


@pytest.mark.parametrize(
    "body",
    [b"<html>Bad gateway</html>", b"", b"{", b"[]", b"null", b"\xff\xfe", b'{"error": 5}', b'{"error": {}}'],
)
async def test_an_error_whose_body_says_nothing_is_still_that_error(body: bytes):
    async def send(exchange: Exchange) -> None:
        await exchange.answer(404, raw=body)

    error, _ = await fail_with(send, errors.NotFound)
    assert error.status == 404
    assert error.code is None
    assert error.message


async def test_hostile_texts_of_an_error_stay_one_line_of_500_characters():
    """R11.1: operation, method, path, status and attempts survive whatever the service says."""
    long = "x\r\ny\t\x1b[31m" * 200
    body = {"error": long, "code": long, "requestId": long, "permission": long, "policies": [long] * 50}
    error, _ = await fail_with(answering((403, body)), errors.PermissionDenied)
    line = str(error)
    assert line.isprintable()
    assert line.startswith("getVm GET /v1/vms/{id}: 403 ")
    assert "attempts 1" in line


@pytest.mark.parametrize("status", [300, 301, 302, 303, 304, 307, 308])
async def test_a_redirect_is_an_invalid_response_and_is_not_followed(status: int):
    """R4.4"""
    followed = False

    async def other(exchange: Exchange) -> None:
        nonlocal followed
        followed = True
        await exchange.answer(200, VM)

    async with serving(other) as elsewhere:
        handler = answering((status, None, {"Location": f"{elsewhere.url}/v1/vms/vm_1"}))
        error, requests = await fail_with(handler, errors.InvalidResponse)
    assert error.status == status
    assert requests == 1
    assert not followed


# -- compression and size


@pytest.mark.parametrize(
    ("encoding", "compress"),
    [
        ("gzip", gzip.compress),
        ("GZip", gzip.compress),
        ("x-gzip", gzip.compress),
        ("deflate", zlib.compress),
        ("deflate", lambda data: zlib.compress(data, wbits=-15)),
        ("gzip", lambda data: gzip.compress(data[:9]) + gzip.compress(data[9:])),
        ("identity", bytes),
    ],
    ids=["gzip", "case", "x-gzip", "zlib", "raw-deflate", "two-members", "identity"],
)
async def test_compressed_answers_are_read(encoding: str, compress: object):
    async def send(exchange: Exchange) -> None:
        await exchange.answer(
            200, raw=compress(json.dumps(VM).encode()), headers={"Content-Encoding": encoding}
        )

    async with serving(send) as server, make_client(server) as client:
        assert (await client.vms.get("vm_1")).name == "box"


@pytest.mark.parametrize("body", [b"not gzip at all", gzip.compress(json.dumps(VM).encode())[:-12]])
async def test_broken_compression_is_told(body: bytes):
    async def send(exchange: Exchange) -> None:
        await exchange.answer(200, raw=body, headers={"Content-Encoding": "gzip"})

    error, _ = await fail_with(send, errors.ConnectionFailed, retry=ONCE)
    assert "compression is broken" in str(error)


async def test_an_encoding_that_was_not_asked_for_is_refused():
    async def send(exchange: Exchange) -> None:
        assert "br" not in exchange.seen.headers["accept-encoding"]
        await exchange.answer(200, raw=b"\x0b\x02\x80", headers={"Content-Encoding": "br"})

    await fail_with(send, errors.ConnectionFailed, retry=ONCE)


async def test_a_gzip_bomb_is_refused_at_the_limit():
    """R2.6: a hundred kilobytes that would be a hundred megabytes."""
    bomb = gzip.compress(b"\0" * 100_000_000)
    assert len(bomb) <= SMALL.max_body

    async def send(exchange: Exchange) -> None:
        await exchange.answer(200, raw=bomb, headers={"Content-Encoding": "gzip"})

    error, requests = await fail_with(send, errors.InvalidResponse, limits=SMALL)
    assert requests == 1
    assert "larger than 100000 bytes (PoolLimits.max_body)" in str(error)


async def test_a_bomb_in_an_error_is_refused_too():
    """R2.6"""
    bomb = gzip.compress(b"\0" * 10_000_000)

    async def send(exchange: Exchange) -> None:
        await exchange.answer(500, raw=bomb, headers={"Content-Encoding": "gzip"})

    await fail_with(send, errors.InvalidResponse, limits=SMALL)


async def test_an_endless_body_is_refused_at_the_limit():
    """R2.6: chunk after chunk, until the client hangs up."""
    sent = 0

    async def send(exchange: Exchange) -> None:
        nonlocal sent
        await exchange.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        while True:
            await exchange.send(b"1000\r\n" + b" " * 4096 + b"\r\n")
            sent += 4096
            assert sent < 100_000_000

    error, requests = await fail_with(send, errors.InvalidResponse, limits=SMALL)
    assert requests == 1
    assert "larger than" in str(error)
    assert sent < 20_000_000


async def test_a_body_announced_as_too_large_is_not_even_read():
    """R2.6"""

    async def send(exchange: Exchange) -> None:
        await exchange.send(b"HTTP/1.1 200 OK\r\nContent-Length: 100001\r\n\r\n")
        await exchange.wait_for_client_to_leave()

    error, _ = await fail_with(send, errors.InvalidResponse, limits=SMALL)
    assert "larger than" in str(error)


async def test_a_body_of_exactly_the_limit_is_taken():
    """R2.6"""
    body = json.dumps("x" * (SMALL.max_body - 2)).encode()
    assert len(body) == SMALL.max_body

    async def send(exchange: Exchange) -> None:
        await exchange.answer(200, raw=body)

    async with serving(send) as server, make_client(server, limits=SMALL) as client:
        assert len(str(await client.request("GET", "/v1/x"))) == SMALL.max_body - 2


async def test_a_head_may_announce_any_length():
    async def send(exchange: Exchange) -> None:
        await exchange.send(b"HTTP/1.1 200 OK\r\nContent-Length: 99999999\r\n\r\n")

    async with serving(send) as server, make_client(server, limits=SMALL) as client:
        assert await client.request("HEAD", "/v1/x") is None
        assert await client.request("HEAD", "/v1/x") is None
    assert server.connections == 1


async def test_endless_headers_are_refused():
    """R2.6"""

    async def send(exchange: Exchange) -> None:
        await exchange.send(b"HTTP/1.1 200 OK\r\n")
        try:
            for number in range(1_000_000):
                await exchange.send(f"X-{number}: {'y' * 100}\r\n".encode())
                await asyncio.sleep(0)
        except ConnectionError:
            return

    await asyncio.wait_for(fail_with(send, errors.ConnectionFailed, retry=ONCE), 20)


@pytest.mark.parametrize("status", ["000", "042", "099"])
async def test_a_status_below_all_that_exist_is_no_success(status: str):
    async def answer(exchange: Exchange) -> None:
        await exchange.send(f"HTTP/1.1 {status} Odd\r\nContent-Length: 2\r\n\r\n{{}}".encode())

    async with serving(answer) as server, make_client(server, retry=ONCE) as client:
        with pytest.raises(errors.InvalidResponse) as caught:
            await client.request("GET", "/v1/things")
    assert caught.value.status == int(status)


@pytest.mark.parametrize("body", [b"no JSON", b"[]", b""])
async def test_an_answer_of_the_wrong_shape_says_how_many_attempts_there_were(body: bytes):
    """R11.1"""

    async def answer(exchange: Exchange) -> None:
        await (exchange.answer(503, {}) if exchange.number < 3 else exchange.answer(200, raw=body))

    error, requests = await fail_with(answer, errors.InvalidResponse)
    assert requests == error.attempts == 3
    assert "attempts 3" in str(error)


@pytest.mark.parametrize("length", [10, 200, 700, 5000])
async def test_the_facts_of_an_error_have_their_place_after_a_long_path_and_message(length: int):
    """R11.1"""
    answer = answering((400, {"error": "m" * length, "code": "TOO_LONG"}, {"X-Request-Id": "req_1"}))
    path = "/v1/" + "p" * length
    async with serving(answer) as server, make_client(server, retry=ONCE) as client:
        with pytest.raises(errors.BadRequest) as caught:
            await client.request("GET", path)
    line = str(caught.value)
    assert len(line) <= 500
    for fact in ("request GET /v1/ppp", "400 TOO_LONG: mmm", "request id req_1", "attempts 1"):
        assert fact in line
    assert caught.value.path == path


def test_the_facts_of_an_error_have_their_place_when_all_of_it_is_long():
    """R11.1: as long as code and request id can be."""
    error = errors.BadRequest(
        "m" * 500,
        status=400,
        code="C" * 100,
        request_id="r" * 100,
        operation="o" * 28,
        method="DELETE",
        path="/" + "p" * 700,
        retry_after=3600.5,
        maybe_applied=True,
        attempts=4,
    )
    line = str(error)
    assert len(line) <= 500
    for fact in ("C" * 100, "r" * 100, "attempts 4", "may have been applied", "mmm"):
        assert fact in line
